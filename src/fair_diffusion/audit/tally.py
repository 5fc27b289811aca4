"""A tally: how many images of one concept, from one source, show which group of one attribute.

Whatever is audited (a run, a folder, a dataset, a table of counts) becomes tallies first; numbers and reports see
nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Counts of one attribute over the images of one concept.

    Attributes:
        source: where the images come from: "laion", "plain", "instructed", the name of a run.
        concept: what they show: an occupation, or a prompt.
        attribute: what was read, such as "gender"; joint attributes as "gender × skin_tone".
        counts: images per group, zeros included, in the order of the attribute's groups.
        unknown: images in which it could not be read.
        target: share asked for of each group, or None if nothing was asked.
    """

    source: str
    concept: str
    attribute: str
    counts: Mapping[str, int]
    unknown: int = 0
    target: Mapping[str, float] | None = None

    @property
    def n(self) -> int:
        """All images, unread ones included."""
        return sum(self.counts.values()) + self.unknown
