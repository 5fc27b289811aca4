"""Pictures from tensors, and pictures from files of any origin.

A picture that is too large, or made to take long, is refused before it is decoded. Others are reduced to `SIDE` pixels,
so that a batch has a known size in memory, turned upright as the camera noted, and laid on white where transparent.

Grey pictures of more than 8 bits are scaled to 8 bits, so that the whole range is kept:

16 bits    black is 0 and white 65535; 4095 in a TIFF of 12 bits
32 bits    black is 0 and white the smallest of 255, 65535 and 2³² − 1 that no pixel exceeds
signed     where a TIFF says that its numbers have a sign, white is the largest of them, and no pixel may be below 0; if
           one of 32 bits is, they have none
floats     the same, and white is 1 if no pixel exceeds it; less than black is black, but not in all pixels, and every
           pixel must be finite

Where a TIFF says that 0 is white, it is.
"""

from __future__ import annotations

import base64
import contextlib
import os
import warnings
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from fair_diffusion.files.guarded import Readable, RefusedFile, opened
from fair_diffusion.files.picture_kinds import CHUNKS, SCANS, START, WORK, is_crowded, kind_of_picture, scans_of

if TYPE_CHECKING:
    from torch import Tensor

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "JPEG2000", "HEIF")
ENDINGS = frozenset(
    ".png .jpg .jpeg .jpe .jfif .webp .bmp .gif .tif .tiff .avif .heic .heif .jp2 .j2k .jxl .psd .svg .ico .dng".split()
)
"""The usual endings of pictures, of kinds that are not read, too. Other files may be pictures by their content."""
HEIF = "pip install 'fair-diffusion[heif]'"
"""What makes HEIF pictures readable."""
MAX_PIXELS = 64_000_000
MAX_BYTES = 128 * 2**20
SIDE = 1024


class BrokenPicture(ValueError):
    """A picture that cannot be read; `str()` says why."""


@cache
def formats() -> tuple[str, ...]:
    """The kinds of pictures that can be read here."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(kind for kind in FORMATS if kind in Image.OPEN)


def from_pixels(pixels: Tensor) -> list[Image.Image]:
    """Pictures from pixels in 0…1, (n, 3, height, width)."""
    rows = (pixels * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(row) for row in rows]


def open_picture(data: Readable | bytes, name: str = "", *, pixels: int | None = None, side: int = SIDE) -> Image.Image:
    """Open a picture as RGB.

    Args:
        data: the file, or its bytes.
        name: kept in the picture's `info["file"]`.
        pixels: how many it may have; `MAX_PIXELS` if None.
        side: its longer side is reduced to so many pixels.

    Raises:
        BrokenPicture: the picture cannot be read; the message says why.
    """
    try:
        with BytesIO(data) if isinstance(data, bytes) else opened(data) as file, warnings.catch_warnings():
            size = file.seek(0, os.SEEK_END)
            if size > MAX_BYTES:
                raise BrokenPicture(f"{size:,} bytes, more than {MAX_BYTES:,}")
            file.seek(0)
            warnings.simplefilter("ignore")  # about metadata that no audit reads
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            kind = kind_of_picture(file.read(START))
            file.seek(0)
            if kind not in formats():
                raise BrokenPicture(_not_read(kind))
            if kind == "PNG" and is_crowded(file):
                raise BrokenPicture(f"more than {CHUNKS:,} chunks without pixels")
            with Image.open(file, formats=formats()) as image:
                if image.width * image.height > (most := MAX_PIXELS if pixels is None else pixels):
                    raise BrokenPicture(f"{image.width} × {image.height} pixels, more than {most:,}")
                if kind == "JPEG" and (scans := scans_of(file)) > max(SCANS, WORK // (image.width * image.height)):
                    raise BrokenPicture(f"{scans:,} scans, too many for {image.width} × {image.height} pixels")
                shallow = _eight_bits(image)
                shallow.thumbnail((side, side))
                shallow.load()
                picture = _upright(shallow)
    except BrokenPicture:
        raise
    except RefusedFile as error:
        raise BrokenPicture(str(error)) from error
    except UnidentifiedImageError as error:  # its message holds the whole path, which reports must not show
        raise BrokenPicture("no picture of a kind that is read") from error
    except Exception as error:  # decoders raise nearly everything, from SyntaxError to struct.error
        named = isinstance(error, OSError) and error.filename is not None  # nor may they show a path that was opened
        said = os.strerror(error.errno or 0) if isinstance(error, OSError) and named else str(error)
        raise BrokenPicture(f"{type(error).__name__}: {said}".split("\n")[0]) from error
    picture.info = {"file": name}
    return picture


def upright_size(file: Readable | bytes) -> tuple[int, int]:
    """Width and height in pixels of an upright picture, before `open_picture` reduces it. Only the header is read."""
    with (
        warnings.catch_warnings(),
        BytesIO(file) if isinstance(file, bytes) else opened(file) as source,
        Image.open(source, formats=formats()) as image,
    ):
        warnings.simplefilter("ignore")
        turned = False
        with contextlib.suppress(Exception):
            turned = image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)  # the quarter turns
        return (image.height, image.width) if turned else image.size


def jpeg_uri(picture: Image.Image, side: int) -> str:
    """A picture as a JPEG in a data URI, reduced so that no side is longer than `side` pixels."""
    small, file = picture.convert("RGB"), BytesIO()
    small.thumbnail((side, side))
    small.save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _not_read(kind: str | None) -> str:
    """Why a picture of a kind is not read."""
    if kind is None:
        return "no picture of a kind that is read"
    return f"a picture of the kind {kind}, which {f'needs {HEIF}' if kind == 'HEIF' else 'is not read; save it as PNG'}"


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey picture of more than 8 bits, or with a sign, with 8 bits, as this module says; others as they are."""
    signed = _says(image, TiffImagePlugin.SAMPLEFORMAT, 2)
    if not (image.mode.startswith(("I", "F")) or (image.mode == "L" and signed)):
        return image
    values = np.asarray(image)
    bits = next((one for one in (12, 16) if _says(image, TiffImagePlugin.BITSPERSAMPLE, one)), 8 * values.itemsize)
    if image.mode != "F":  # Pillow does not tell all numbers with a sign from those without
        values = values.view(f"{values.dtype.byteorder}{'i' if signed else 'u'}{values.itemsize}")
    if bits == 32 and signed and values.min(initial=0) < 0:  # Pillow writes all 32 bits as if they had a sign
        values, signed = values.view(np.uint32), False
    if signed and values.min(initial=0) < 0:
        raise BrokenPicture("a pixel is below 0, so nothing tells what is black; save it as PNG")
    if not np.isfinite(values).all():
        raise BrokenPicture("a pixel is no finite number")
    whites = [*([255, 65535] if bits == 32 else []), 2 ** (bits - signed) - 1]
    if values.size and values.max() <= 0 > values.min():
        raise BrokenPicture("no pixel is above 0, and some are below")
    top = values.max(initial=0)
    white = next((one for one in ([1] if image.mode == "F" else []) + whites if top <= one), None)
    if white is None:
        raise BrokenPicture(f"a pixel of {top:g}, more than {whites[-1]:,}")
    scaled = (np.clip(values, 0, None) * np.float32(255 / white)).round().astype(np.uint8)
    if image.mode != "L" and _says(image, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 0):
        scaled = 255 - scaled  # 0 is white; of 8 bits Pillow sees to it
    shallow = Image.fromarray(scaled)
    with contextlib.suppress(Exception):
        shallow.getexif()[ExifTags.Base.Orientation] = image.getexif().get(ExifTags.Base.Orientation, 1)
    return shallow


def _says(image: Image.Image, tag: int, value: int) -> bool:
    """Whether a TIFF says this of its only channel."""
    return getattr(image, "tag_v2", {}).get(tag) in (value, (value,))


def _upright(image: Image.Image) -> Image.Image:
    """The image turned upright, as RGB on white."""
    with contextlib.suppress(Exception):  # orientation notes that cannot be read say nothing
        image = ImageOps.exif_transpose(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
