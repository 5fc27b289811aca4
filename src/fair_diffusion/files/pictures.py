"""Pictures from tensors, and pictures from files of any origin.

A picture that is too large is refused before it is decoded (decompression bombs). Others are reduced to `SIDE` pixels,
so that a batch has a known size in memory, turned upright as the camera noted, and laid on white where transparent.
"""

from __future__ import annotations

import base64
import contextlib
import os
import warnings
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fair_diffusion.files.guarded import Readable, RefusedFile, opened

if TYPE_CHECKING:
    from torch import Tensor

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
ENDINGS = frozenset([".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"])
MAX_PIXELS = 64_000_000
MAX_BYTES = 128 * 2**20
SIDE = 1024


class BrokenPicture(ValueError):
    """A picture that cannot be read; `str()` says why."""


def from_pixels(pixels: Tensor) -> list[Image.Image]:
    """Pictures from pixels in 0…1, (n, 3, height, width)."""
    rows = (pixels * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(row) for row in rows]


def open_picture(data: Readable | bytes, name: str = "") -> Image.Image:
    """Open a picture as RGB, its longer side at most `SIDE` pixels.

    Args:
        data: the file, or its bytes.
        name: kept in the picture's `info["file"]`.

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
            with Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise BrokenPicture(f"{image.width} × {image.height} pixels, more than {MAX_PIXELS:,}")
                image.thumbnail((SIDE, SIDE))
                image.load()
                picture = _upright(image)
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


def upright_size(file: Readable) -> tuple[int, int]:
    """Width and height in pixels of an upright picture, before `open_picture` reduces it. Only the header is read."""
    with warnings.catch_warnings(), opened(file) as source, Image.open(source, formats=FORMATS) as image:
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


def _upright(image: Image.Image) -> Image.Image:
    """The image turned upright, as RGB on white."""
    with contextlib.suppress(Exception):  # orientation notes that cannot be read say nothing
        image = ImageOps.exif_transpose(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
