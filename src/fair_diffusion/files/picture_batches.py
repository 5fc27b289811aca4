"""Read pictures from files in batches: never all are in memory, and a broken picture stops nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from PIL import Image

from fair_diffusion.files.guarded import Readable
from fair_diffusion.files.pictures import BrokenPicture, open_picture

T = TypeVar("T")

BATCH = 32
"""Pictures that are open at the same time."""


class PictureBatch(NamedTuple, Generic[T]):
    """Some pictures of a series.

    Attributes:
        opened: those that could be read, each with its picture.
        broken: the others, each with the error that says why.
        done: how many pictures of the series were taken so far.
    """

    opened: list[tuple[T, Image.Image]]
    broken: list[tuple[T, BrokenPicture]]
    done: int


def picture_batches(
    series: Iterable[T], data: Callable[[T], Readable | bytes], name: Callable[[T], str] = lambda _: ""
) -> Iterator[PictureBatch[T]]:
    """Open the pictures of a series, `BATCH` at a time.

    Args:
        series: what stands for the pictures; it may be a stream.
        data: the file of a picture, or its bytes.
        name: what the picture keeps as its name, as in `open_picture`.
    """
    stream, done = iter(series), 0
    while taken := list(islice(stream, BATCH)):
        done += len(taken)
        batch = PictureBatch[T]([], [], done)
        for one in taken:
            try:
                batch.opened.append((one, open_picture(data(one), name(one))))
            except BrokenPicture as error:
                batch.broken.append((one, error))
        yield batch
