"""What every perceiver looks like to the rest: it reads one group of each attribute from each picture, or none.

A perceiver may be a network, a table of labels that people gave, or a measurement of skin: the protocol is the same.
`opening.open_perceiver` opens one by its name. docs/perceivers.md says what each kind is good for, and what it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

OCCUPATION = "occupation"
"""What some perceivers read beside groups of people: it is asked for, not shared out."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one picture shows: a group, or None where it is not sure, and its probability."""

    label: str | None
    confidence: float


class Perceiver(Protocol):
    """Reads the groups that pictures show."""

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The groups of every attribute that it reads, by attribute."""
        ...

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """One reading per picture for every attribute. Pictures are RGB and of any size; none reads as no readings."""
        ...


def people(perceiver: Perceiver, images: Sequence[Image.Image]) -> list[list[Mapping[str, Reading]]]:
    """What counts of each picture, by attribute: one reading of each, or one for each person of a perceiver that tells
    them apart (it has a method `people`)."""
    if apart := getattr(perceiver, "people", None):
        return list(apart(images))
    readings = perceiver.read(images)
    return [[{name: column[k] for name, column in readings.items()}] for k in range(len(images))]


def occupations(perceiver: Perceiver) -> dict[str, str]:
    """What a perceiver calls each occupation that it can tell, by its names: its own and, if it has some, `aliases`."""
    own = {name: name for name in perceiver.groups.get(OCCUPATION, ())}
    aliases: Mapping[str, str] = getattr(perceiver, "aliases", {})
    return own | {name: shown for name, shown in aliases.items() if shown in own}
