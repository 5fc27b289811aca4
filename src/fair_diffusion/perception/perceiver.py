"""What every perceiver looks like to the rest: it reads one group of each attribute from each picture, or none.

A perceiver may be a network, a table of labels that people gave, or a measurement of skin: the protocol is the same.
`opening.open_perceiver` opens one by its name. docs/reference/perceivers.md says what each is good for, and what not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Protocol

from PIL import Image

from fair_diffusion.files.picture_files import Pictures

OCCUPATION = "occupation"
"""The attribute under which some perceivers read occupations.

A prompt asks for an occupation; no target shares it out.
"""
TOGETHER = 64
"""How many pictures that lie in files are open at the same time."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The reading of one attribute of one picture.

    Attributes:
        label: a group, or None if the perceiver is not sure.
        confidence: the probability of the likeliest group.

    Raises:
        ValueError: the confidence is not a finite number.
    """

    label: str | None
    confidence: float

    def __post_init__(self) -> None:
        if not isfinite(self.confidence):
            raise ValueError(
                f"a perceiver read with a confidence of {self.confidence}; its weights are damaged: use another"
            )


class Perceiver(Protocol):
    """A reader of the groups that pictures show."""

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The groups of every attribute that it reads, by attribute."""
        ...

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """One reading per picture for every attribute.

        Args:
            images: RGB pictures of any size. No pictures give empty lists.
        """
        ...


def all_read(perceiver: Perceiver, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
    """One reading per picture for every attribute. Pictures that lie in files are opened `TOGETHER` at a time."""
    if not isinstance(images, Pictures) or not images:
        return perceiver.read(images)
    parts = [perceiver.read(list(images[i : i + TOGETHER])) for i in range(0, len(images), TOGETHER)]
    return {name: [reading for part in parts for reading in part[name]] for name in parts[0]}


def people(perceiver: Perceiver, images: Sequence[Image.Image]) -> list[list[Mapping[str, Reading]]]:
    """The readings that count for each picture, by attribute.

    A perceiver that tells the people of a picture apart has a method `people`, and gives one entry per person. Any
    other perceiver gives one entry per picture.
    """
    if apart := getattr(perceiver, "people", None):
        return list(apart(images))
    readings = perceiver.read(images)
    return [[{name: column[k] for name, column in readings.items()}] for k in range(len(images))]


def occupations(perceiver: Perceiver) -> dict[str, str]:
    """The perceiver's name for each occupation that it can read, by the names that people use.

    These are its own names and, if it has them, its `aliases`.
    """
    own = {name: name for name in perceiver.groups.get(OCCUPATION, ())}
    aliases: Mapping[str, str] = getattr(perceiver, "aliases", {})
    return own | {name: shown for name, shown in aliases.items() if shown in own}
