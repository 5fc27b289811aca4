"""Whether a reader's confusion matrix holds for the images that it read, or something speaks against it.

A matrix was measured on other images. Two things show that the reader errs more on these: another reader disagrees with
it more often than the errors of both explain, or it cannot read more of them than the matrix says. Exports `doubt` and
its reasons.
"""

from __future__ import annotations

from collections.abc import Mapping

from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.statistics.true_counts import disagreement_p, unread_p

DISAGREE = "the readers disagree more than their errors explain"
UNREAD = "more images could not be read than the reader's errors explain"
_SURPRISE = 0.01
"""What is less probable than this, if the matrices hold, speaks against them."""


def doubt(
    counts: Mapping[str, int],
    unknown: int,
    confusion: Confusion,
    *,
    other: Confusion | None = None,
    differ: int | None = None,
) -> str | None:
    """The reason why a matrix does not hold for the images that were read; None if nothing speaks against it.

    Args:
        counts: images by the group that the reader read in them. Groups that the matrix leaves out count as unknown.
        unknown: images that it could not read.
        confusion: how it errs.
        other: how another reader of the same images errs, with the same groups; without it the two are not compared.
        differ: images that the two read differently; unknown is a reading of its own. None if that is not known.
    """
    n = sum(counts.values()) + unknown
    read = [counts.get(group, 0) for group in confusion.groups]
    if unread_p(n - sum(read), n, confusion.counts) < _SURPRISE:
        return UNREAD
    if other is None or differ is None or list(other.groups) != list(confusion.groups) or not sum(read):
        return None
    shares = [count / sum(read) for count in read]
    surprising = disagreement_p(differ, n, shares, confusion.counts, other.counts) < _SURPRISE
    return DISAGREE if surprising else None
