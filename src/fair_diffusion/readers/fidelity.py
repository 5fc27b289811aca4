"""The share of images that show the occupation that was asked for: a quality that needs no reference.

It needs a reader that reads occupations (`perceiver.occupations`), or a run whose summary lists the occupations that
its judge reads. Concepts that the reader does not know by any name are left out and named in a note.
"""

from __future__ import annotations

from collections.abc import Mapping

from fair_diffusion.policy.words import phrase

_NAMED = 4
"""Unknown concepts that a note names."""


class Fidelity:
    """Counts, by source, the images whose occupation is the one that was asked for.

    Args:
        occupations: for each name of an occupation, the reader's name of it.
        by: the reader's name.
    """

    def __init__(self, occupations: Mapping[str, str], *, by: str) -> None:
        self.name = f"occupation right (read by {by}; higher is better)"
        self.known = {phrase(name): shown for name, shown in occupations.items()}
        self.counts: dict[str, list[int]] = {}
        self.asked: dict[str, str | None] = {}

    def add(self, source: str, concept: str, shown: str | None) -> None:
        """Count one image of `concept` that shows the occupation `shown` (None if it could not be read)."""
        if concept not in self.asked:
            self.asked[concept] = self.known.get(phrase(concept))
        if (asked := self.asked[concept]) is not None:
            counts = self.counts.setdefault(source, [0, 0])
            counts[0] += shown == asked
            counts[1] += 1

    def quality(self, source: str) -> dict[str, float]:
        """The share of right images under the name of this quality; empty for a source without a known concept."""
        right, total = self.counts.get(source, (0, 0))
        return {self.name: right / total} if total else {}

    def notes(self) -> list[str]:
        """A note on the concepts that are left out, unless all are or none is."""
        strange = [concept for concept, asked in self.asked.items() if asked is None]
        if not strange or len(strange) == len(self.asked):
            return []
        more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
        known = f"{len(self.asked) - len(strange)} of {len(self.asked)} concepts"
        return [f"occupation right: of {known}; the reader does not know {', '.join(strange[:_NAMED])}{more}"]
