"""A picture that was sent and did not have to be moved, as a file: the bytes that came, or in another format."""

from __future__ import annotations

from io import BytesIO

from fair_diffusion.files.picture_kinds import START, kind_of_picture
from fair_diffusion.files.pictures import open_picture
from fair_diffusion.service.picture_file import MEDIA

LONGEST = 65_535
"""Pixels of a side at most; the number of pixels was checked when the picture came."""


def original_file(content: bytes, *, format: str, compression: int) -> bytes:
    """The file of an original. It has no mark: no model made it.

    Args:
        content: the file as it was sent.
        format: a key of `MEDIA`. A file of this kind stays as it is; another one becomes upright, RGB and of this kind.
        compression: the quality of webp and jpeg, 0 to 100; at 100 webp loses nothing.
    """
    assert format in MEDIA
    if kind_of_picture(content[:START]) == format.upper():
        return content
    file, picture = BytesIO(), open_picture(content, side=LONGEST)
    picture.save(file, format.upper(), quality=max(1, compression), lossless=compression == 100)
    return file.getvalue()
