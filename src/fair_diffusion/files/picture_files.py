"""Pictures that lie in files while they are worked with, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from PIL import Image

from fair_diffusion.files.durable import hidden_in
from fair_diffusion.files.pictures import open_picture


@dataclass(frozen=True)
class Pictures(Sequence[Image.Image]):
    """Pictures in files. Each is opened when it is used, and not kept in memory.

    Attributes:
        files: the files.
        opening: opens one of them.
    """

    files: Sequence[Any]
    opening: Callable[[Any], Image.Image] = open_picture

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, place: int) -> Image.Image: ...
    @overload
    def __getitem__(self, place: slice) -> Pictures: ...
    def __getitem__(self, place: int | slice) -> Image.Image | Pictures:
        """One picture; for a slice, pictures that are not yet opened."""
        if isinstance(place, slice):
            return Pictures(self.files[place], self.opening)
        return self.opening(self.files[place])

    def some(self, places: Sequence[int]) -> Pictures:
        """The pictures at some places, not yet opened."""
        return Pictures([self.files[place] for place in places], self.opening)


def at(images: Sequence[Image.Image], places: Sequence[int]) -> Sequence[Image.Image]:
    """The pictures at some places; those that lie in files are not yet opened."""
    return images.some(places) if isinstance(images, Pictures) else [images[place] for place in places]


def put_away(picture: Image.Image, folder: Path) -> Path:
    """Write a picture to a new file in a folder, quickly and without loss."""
    path = hidden_in(folder, "picture-")
    picture.save(path, "PNG", compress_level=1)
    return path


def taken_out(picture: Image.Image | Path) -> Image.Image:
    """A picture, or the one that was put away in a file."""
    if isinstance(picture, Image.Image):
        return picture
    with Image.open(picture, formats=["PNG"]) as file:
        file.load()
    file.info = {}
    return file
