"""The same picture, found more than once: it is counted once, and a note says so.

Records     Two records are of the same picture if they agree in source, prompt, seed, settings, steering, and in what
            the judge read with which confidence: a copy of a run, or two runs of one prompt with the same seed, whose
            plain twins are the same pictures. Where both files are there, their pictures must agree too.
Files       Two files of a source and concept are the same picture if their content is.

Exports `Repeats`, which finds them among records, and `repeated_files`.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fair_diffusion.files.guarded import InnerFile, Readable, RefusedFile, opened
from fair_diffusion.files.picture_hash import picture_hash
from fair_diffusion.files.pictures import MAX_BYTES
from fair_diffusion.files.text import printable
from fair_diffusion.readers.perceive import Picture

Kind = tuple[str, str, str, str]
"""Title, model, method and control. Images of one kind are one source."""
_SAME = ("prompt", "negative_prompt", "seed", "steps", "guidance", "guidance_rescale", "strength")
_BY_ATTRIBUTE = ("judged", "confidence", "steered_to")


@dataclass
class Repeats:
    """The pictures that were found, and those that were found again.

    Attributes:
        folder: where the files of the records are.
        places: the places of the records whose picture another record has already.
        counts: how many these are, by kind.
        examples: for each kind, a file and the earlier one that it repeats.
    """

    folder: Path
    places: set[int] = field(default_factory=set)
    counts: Counter[Kind] = field(default_factory=Counter)
    examples: dict[Kind, tuple[str, str]] = field(default_factory=dict)
    _first: dict[int, str] = field(default_factory=dict)

    def note(self, place: int, record: Mapping[str, Any], kind: Kind) -> bool:
        """Take one record in, and return whether its picture was there already.

        Args:
            place: the number of the record.
            record: the record of an image; without seed or confidence it is taken for a new picture.
            kind: what images of one source have in common.
        """
        if record.get("seed") is None or not record.get("confidence"):
            return False
        named = tuple(record.get(name) for name in _SAME)
        read = tuple(tuple((record.get(name) or {}).items()) for name in _BY_ATTRIBUTE)
        known = len(self._first)
        first = self._first.setdefault(hash((kind, named, read)), record["file"])
        if len(self._first) > known or not self._same(first, record["file"]):
            return False
        self.places.add(place)
        self.counts[kind] += 1
        self.examples.setdefault(kind, (record["file"], first))
        return True

    def _same(self, one: str, other: str) -> bool:
        """Whether two files show the same picture; files that are not there, or are not opened, are taken to."""
        try:
            return picture_hash(InnerFile(self.folder, one)) == picture_hash(InnerFile(self.folder, other))
        except (OSError, RefusedFile):
            return True

    def notes(self, names: Mapping[Kind, str]) -> list[str]:
        """What was counted once, for a study; names: of the sources."""
        return [
            printable(f"{names[kind]}: {_again(count, *self.examples[kind])}") for kind, count in self.counts.items()
        ]


def repeated_files(pictures: Iterable[Picture]) -> tuple[list[Picture], list[str]]:
    """Leave out pictures that a file of the same source and concept shows already.

    Args:
        pictures: pictures in files, in order.

    Returns:
        The pictures without those that are there again; and notes for the study.
    """
    alike: dict[tuple[str, str, int], list[Picture]] = defaultdict(list)
    kept = list(pictures)
    for picture in kept:
        if not isinstance(picture.data, bytes) and (size := _size(picture.data)) is not None:
            alike[picture.source, picture.concept, size].append(picture)
    again: dict[str, str] = {}
    for several in alike.values():
        first: dict[bytes, str] = {}
        for picture in several if len(several) > 1 else ():
            assert not isinstance(picture.data, bytes)
            name = first.setdefault(picture_hash(picture.data), picture.name)
            if name != picture.name:
                again[picture.name] = name
    if not again:
        return kept, []
    said = _again(len(again), *next(iter(again.items())))
    return [picture for picture in kept if picture.name not in again], [printable(said)]


def _size(file: Readable) -> int | None:
    """The bytes of a file; None if it is not opened, or is too large to be read."""
    try:
        with opened(file) as source:
            size = source.seek(0, os.SEEK_END)
    except (OSError, RefusedFile):
        return None
    return size if size <= MAX_BYTES else None


def _again(count: int, one: str, other: str) -> str:
    """How many pictures were found again, with an example."""
    if count == 1:
        return f"one image is the same as another and is counted once: {one}, as {other}"
    return f"{count:,} images are the same as others and are counted once, such as {one}, as {other}"
