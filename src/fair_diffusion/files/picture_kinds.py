"""The kind of a picture by the first bytes of its file, as endings are often wrong, and what makes one take long."""

from __future__ import annotations

import re
from typing import BinaryIO

START = 64
"""How many bytes of a file tell."""

CHUNKS, SCANS, WORK = 5_000, 20, 400_000_000
"""The most chunks of a PNG beside those of pixels, and scans of a JPEG. Small pictures may have more scans: up to so
many pixels times scans."""

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"8BPS", "Photoshop"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"\x00\x00\x01\x00", "icon"),
    (b"FUJIFILMCCD-RAW", "raw camera file"),
)
_BRANDS = (
    (("avif", "avis"), "AVIF"),
    (("heic", "heix", "hevc", "hevx", "heim", "heis", "hevm", "hevs", "mif1", "msf1"), "HEIF"),
    (("crx ",), "raw camera file"),
)
_NETPBM = re.compile(rb"P[1-6]\s+(#[^\n]*\n\s*)*\d+\s+\d+\s|P7\n(WIDTH|HEIGHT) \d")
_BITMAP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
"""The lengths that the header of a bitmap may have."""


def kind_of_picture(start: bytes) -> str | None:
    """The kind of a picture whose file starts so; None if it is none. `START` bytes are enough."""
    if start[4:8] == b"ftyp":
        brands = [start[k : k + 4].decode("latin-1") for k in (8, *range(16, min(len(start), START) - 3, 4))]
        return next((kind for names, kind in _BRANDS if any(brand in names for brand in brands)), None)
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in _BITMAP_HEADERS:
        return "BMP"
    if _NETPBM.match(start):
        return "Netpbm"
    text = start.lstrip(b"\xef\xbb\xbf \r\n\t")[:5].lower()
    if text == b"<svg " or (text.startswith(b"<?xml") and b"<svg" in start.lower()):
        return "SVG"
    return next((kind for magic, kind in _MAGIC if start.startswith(magic)), None)


def is_crowded(file: BinaryIO) -> bool:
    """Whether an open PNG has more than `CHUNKS` chunks without pixels. Afterwards the file is at its start."""
    file.seek(8)
    count = 0
    while count <= CHUNKS and len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        count += head[4:] not in (b"IDAT", b"fdAT")
        file.seek(int.from_bytes(head[:4]) + 4, 1)
    file.seek(0)
    return count > CHUNKS


def scans_of(file: BinaryIO) -> int:
    """The number of scans of an open JPEG. Afterwards the file is where it was."""
    before = file.tell()
    file.seek(0)
    count = sum(block.count(b"\xff\xda") for block in iter(lambda: file.read(2**24), b""))
    file.seek(before)
    return count
