"""Does an image show the occupation that it was asked for? A quality that needs no reference, but a reader that knows.

Readers with a head for occupations have it: those of the pocket model. Concepts that they do not know by name, or by
what the pocket model draws for it (a nurse is a "health-worker"), are left out and named. Exports `Fidelity`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

from fair_diffusion.policy.words import phrase

DRAWN_AS = {
    "doctor": "health-worker",
    "nurse": "health-worker",
    "software developer": "technologist",
    "welder": "factory-worker",
}
"""Concepts of the pocket model whose drawings go by another name (`recipes/pocket/mix.yaml`)."""
NOT_IDENTITY = "occupation"
"""What the pocket model's readers also read, and what an audit does not count: it is asked for, not shared out."""
_NAMED = 4


class Fidelity:
    """Counts, by source, the images whose occupation is the one asked for; `occupations` are those that `by` knows."""

    def __init__(self, occupations: Sequence[str], *, by: str) -> None:
        self.name = f"occupation right (read by {by}; higher is better)"
        known = {phrase(name): name for name in occupations}
        self.known = known | {phrase(name): shown for name, shown in DRAWN_AS.items() if phrase(shown) in known}
        self.counts: dict[str, list[int]] = {}
        self.asked: dict[str, str | None] = {}

    def add(self, source: str, concept: str, shown: str | None) -> None:
        """Count one image of `concept` that shows the occupation `shown`, None if it could not be read."""
        if concept not in self.asked:
            self.asked[concept] = self.known.get(phrase(concept))
        if (asked := self.asked[concept]) is not None:
            counts = self.counts.setdefault(source, [0, 0])
            counts[0] += shown == asked
            counts[1] += 1

    @classmethod
    def recorded(cls, seen: Iterable[str]) -> Fidelity:
        """That of records whose judge read the occupations `seen`; it knows none if it is not the pocket model's."""
        known = pocket_occupations()
        return cls(known if set(known).issuperset(seen) else (), by="judge")

    def quality(self, source: str) -> dict[str, float]:
        """The share that is right, by the name of this quality; nothing for a source without a known concept."""
        right, total = self.counts.get(source, (0, 0))
        return {self.name: right / total} if total else {}

    def notes(self) -> list[str]:
        """What the share leaves out, if it leaves out anything but all."""
        strange = [concept for concept, asked in self.asked.items() if asked is None]
        if not strange or len(strange) == len(self.asked):
            return []
        more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
        known = f"{len(self.asked) - len(strange)} of {len(self.asked)} concepts"
        return [f"occupation right: of {known}; the reader does not know {', '.join(strange[:_NAMED])}{more}"]


@cache
def pocket_occupations() -> tuple[str, ...]:
    """The occupations that the pocket model's readers know, from a file beside their weights: no network is loaded."""
    file = resources.files("fair_diffusion").joinpath("pocket", "weights", "judge-confusions.json")
    (head,) = [one for one in json.loads(file.read_text(encoding="utf-8")) if one["attribute"] == NOT_IDENTITY]
    return tuple(head["groups"])
