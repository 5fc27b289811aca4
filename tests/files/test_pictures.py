"""Pictures from anywhere: bombs, truncation, transparency, orientation."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fair_diffusion.files.pictures import MAX_BYTES, SIDE, BrokenPicture, open_picture, upright_size


def png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def header(width: int, height: int) -> bytes:
    """A PNG that says it is this large and holds nearly nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(30_000, 30_000), (9_000, 9_000), (2**31 - 1, 1)])
def test_bombs_are_refused_by_their_size(size: tuple[int, int]) -> None:
    with pytest.raises(BrokenPicture, match=r"pixels|Bomb"):
        open_picture(header(*size))


def test_what_is_no_picture_is_said_without_its_path(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("no picture")
    with pytest.raises(BrokenPicture, match=r"^no picture of a kind that is read$"):
        open_picture(path, path.name)


def test_huge_files_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(BrokenPicture, match="bytes, more than"):
        open_picture(path)


@given(st.integers(0, 400))
def test_a_truncated_picture_is_broken_and_nothing_else(cut: int) -> None:
    noise = Image.effect_noise((16, 16), 90).convert("RGB")
    whole = png(noise)
    with pytest.raises(BrokenPicture):
        open_picture(whole[: min(cut, len(whole) - 20)])


@given(st.binary(max_size=300))
def test_any_bytes_are_a_picture_or_broken(content: bytes) -> None:
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\0\0\0\0WEBP"):
        with pytest.raises(BrokenPicture):
            open_picture(start + content)


def test_formats_that_are_not_listed_are_refused() -> None:
    file = BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PPM")
    with pytest.raises(BrokenPicture):
        open_picture(file.getvalue())


def test_large_pictures_are_reduced_and_small_ones_kept() -> None:
    assert open_picture(png(Image.new("RGB", (SIDE * 2, SIDE)))).size == (SIDE, SIDE // 2)
    assert open_picture(png(Image.new("RGB", (7, 5))), "a/b.png").info == {"file": "a/b.png"}


def test_transparency_becomes_white_and_grey_becomes_colour() -> None:
    assert open_picture(png(Image.new("RGBA", (2, 2), (255, 0, 0, 0)))).getpixel((0, 0)) == (255, 255, 255)
    assert open_picture(png(Image.new("L", (2, 2), 7))).getpixel((0, 0)) == (7, 7, 7)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_that_is_read_from_a_header_is_that_of_the_opened_picture(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name, size in (("small.jpg", (6, 4)), ("large.jpg", (2 * SIDE, SIDE))):
        Image.new("RGB", size).save(tmp_path / name, exif=exif)
        opened, known = open_picture(tmp_path / name), upright_size(tmp_path / name)
        assert max(known) == max(size)
        assert (known[0] > known[1]) == (opened.width > opened.height)
    assert upright_size(tmp_path / "small.jpg") == open_picture(tmp_path / "small.jpg").size


def test_pictures_are_turned_upright() -> None:
    image = Image.new("RGB", (2, 4))
    exif = image.getexif()
    exif[0x0112] = 6  # a quarter turn
    file = BytesIO()
    image.save(file, "JPEG", exif=exif)
    assert open_picture(file.getvalue()).size == (4, 2)


def saved(values: object, kind: str) -> bytes:
    file = BytesIO()
    Image.fromarray(np.array(values)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("dtype", "values", "kind"),
    [
        (np.uint16, (0, 32768, 65535), "PNG"),
        (np.uint16, (0, 32768, 65535), "TIFF"),
        (np.int32, (0, 128, 255), "TIFF"),
        (np.int32, (0, 32768, 65535), "TIFF"),
        (np.uint32, (0, 2**31, 2**32 - 1), "TIFF"),
        (np.int32, (0, 2**30, 2**31 - 1), "TIFF"),  # says that it has a sign
        (np.float32, (0, 0.5, 1), "TIFF"),
        (np.float32, (-3, 128, 255), "TIFF"),
        (np.float32, (0, 32768, 65535), "TIFF"),
    ],
)
def test_grey_pictures_of_more_than_eight_bits_are_scaled(dtype: type, values: tuple[float, ...], kind: str) -> None:
    row: np.ndarray = np.array([values], dtype)
    shown = open_picture(saved(row.view(np.int32) if dtype is np.uint32 else row, kind))
    assert [shown.getpixel((k, 0)) for k in range(3)] == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_pixel_that_is_no_number_is_said(value: float) -> None:
    with pytest.raises(BrokenPicture, match="finite"):
        open_picture(saved(np.array([[0, value]], np.float32), "TIFF"))


def test_a_picture_of_pixels_below_black_is_said_and_not_drawn_black() -> None:
    with pytest.raises(BrokenPicture, match="no pixel is above 0"):
        open_picture(saved(np.array([[0, -0.5, -1]], np.float32), "TIFF"))
    assert open_picture(saved(np.zeros((1, 3), np.float32), "TIFF")).getpixel((1, 0)) == (0, 0, 0)


def test_a_deep_picture_is_turned_upright() -> None:
    exif, file = Image.Exif(), BytesIO()
    exif[0x112] = 6
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(file, "PNG", exif=exif)
    assert open_picture(file.getvalue()).size == (4, 6)


def test_pictures_that_take_long_are_refused() -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    plain = png(Image.new("RGB", (9, 9)))
    many = b"".join(chunk(b"tEXt", b"k%d\0v" % k) for k in range(200_000))
    with pytest.raises(BrokenPicture, match="more than 5,000 chunks"):
        open_picture(plain[:33] + many + plain[33:])
    file = BytesIO()
    Image.new("RGB", (2_000, 2_000)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    assert open_picture(data).size == (SIDE, SIDE)
    with pytest.raises(BrokenPicture, match="scans, too many for 2000 × 2000 pixels"):
        open_picture(data[:-2] + data[last:-2] * 3_000 + data[-2:])


def tiff(row: np.ndarray, bits: int, sample_format: int, *, zero_is_white: bool = False) -> bytes:
    """An uncompressed grey TIFF of one row, as other programs write it."""
    data = row.tobytes()
    width = 8 * len(data) // bits
    tags = [(256, width), (257, 1), (258, bits), (259, 1), (262, 0 if zero_is_white else 1), (273, 146), (277, 1)]
    tags += [(278, 1), (279, len(data)), (339, sample_format)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)
    return head.ljust(146, b"\0") + data


@pytest.mark.parametrize(
    ("row", "bits", "sample_format"),
    [
        (np.array([0, 16384, 32767], np.int16), 16, 2),
        (np.array([0, 64, 127], np.int8), 8, 2),
        (np.array([0x00, 0x08, 0x00, 0xFF, 0xF0, 0x00], np.uint8), 12, 1),  # 0, 2048, 4095, 0
        (np.array([0, 32768, 65535], np.uint16), 16, 1),
    ],
)
def test_tiffs_with_a_sign_or_12_bits_are_as_bright_as_they_are(row: np.ndarray, bits: int, sample_format: int) -> None:
    shown = open_picture(tiff(row, bits, sample_format))
    found = [pixel[0] for pixel in (shown.getpixel((k, 0)) for k in range(3)) if isinstance(pixel, tuple)]
    assert found == pytest.approx([0, 128, 255], abs=1)


def test_zero_is_white_where_a_tiff_says_so() -> None:
    for row, bits, sample_format in (
        (np.array([0, 65535], np.uint16), 16, 1),
        (np.array([0, 1], np.float32), 32, 3),
        (np.array([0, 255], np.uint8), 8, 1),
    ):
        shown = open_picture(tiff(row, bits, sample_format, zero_is_white=True))
        assert [shown.getpixel((0, 0)), shown.getpixel((1, 0))] == [(255, 255, 255), (0, 0, 0)]


def test_pixels_below_zero_are_not_drawn_white() -> None:
    with pytest.raises(BrokenPicture, match="below 0"):
        open_picture(tiff(np.array([-32768, 0, 32767], np.int16), 16, 2))
