"""A confusion matrix: how a perceiver errs on images whose group is known. Exports `Confusion` and `BY_PEOPLE`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fair_diffusion.files.schema import Count

BY_PEOPLE = "people labelled"
"""Stands in `measured_on` where people's labels say which group an image shows."""


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """How a perceiver errs on labelled images, for one attribute.

    Attributes:
        attribute: what was read, such as "gender".
        groups: the K groups that labelled images show.
        counts: `counts[i][j]` images of group i were read as group j, shape (K, K + 1); the last j is unknown.
        measured_on: which images these are, in words.
        sources: names of the sources whose images this perceiver read. The matrix may correct their shares.
        left_out: groups that the perceiver reads but no labelled image shows. Their error rates are not known, so
            readings of them count as unknown.
    """

    attribute: str
    groups: Sequence[str]
    counts: Sequence[Sequence[Count]]
    measured_on: str
    sources: Sequence[str] = ()
    left_out: Sequence[str] = ()

    def __post_init__(self) -> None:
        # A matrix from a file has a list here; a tuple makes it equal to the one that was written.
        object.__setattr__(self, "left_out", tuple(self.left_out))

    @property
    def by_people(self) -> bool:
        """Whether people's labels say which groups the images show: shares corrected by it are as people see them."""
        return BY_PEOPLE in self.measured_on
