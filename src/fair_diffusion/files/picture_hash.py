"""A hash of what a picture shows: two copies have the same one, whatever their names and notes.

Of a PNG, the header, palette, transparency and pixel chunks count, and the text in it does not: the record of an image
says when and how it was made. Of other files, all bytes count. Nothing is decoded. Exports `picture_hash`.
"""

from __future__ import annotations

import hashlib

from fair_diffusion.files.guarded import Readable, content
from fair_diffusion.files.pictures import MAX_BYTES

_PNG = b"\x89PNG\r\n\x1a\n"
_SHOWN = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
"""The chunks of a PNG that decide what it shows (PNG specification, third edition, section 4.8)."""


def picture_hash(file: Readable) -> bytes:
    """The hash of a picture file, 16 bytes. `OSError` or `RefusedFile` if it cannot be read."""
    data = content(file, MAX_BYTES)
    found = hashlib.blake2b(digest_size=16)
    if not data.startswith(_PNG):
        found.update(data)
        return found.digest()
    place = len(_PNG)
    while place + 8 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4]) + 4  # length, type, content, checksum
        if data[place + 4 : place + 8] in _SHOWN:
            found.update(data[place + 4 : end])
        place = end
    return found.digest()
