"""Does an image show the occupation that it was asked for? A quality that needs no reference, but a reader that knows.

Readers that tell occupations have it (`perceiver.occupations`), and runs whose summary says what their judge tells.
Concepts that it does not know by any name are left out and named. Exports `Fidelity`.
"""

from __future__ import annotations

from collections.abc import Mapping

from fair_diffusion.policy.words import phrase

_NAMED = 4


class Fidelity:
    """Counts, by source, the images whose occupation is the one asked for.

    `occupations` says what the reader `by` calls those that it can tell."""

    def __init__(self, occupations: Mapping[str, str], *, by: str) -> None:
        self.name = f"occupation right (read by {by}; higher is better)"
        self.known = {phrase(name): shown for name, shown in occupations.items()}
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
