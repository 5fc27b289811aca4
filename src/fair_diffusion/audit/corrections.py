"""Shares of each source corrected for the reader's errors, over all its concepts together.

One tally per source and attribute, summed over concepts, is corrected by `statistics.correction`. If that is refused,
the reason is given instead. Exports `corrections`, `corrected` and their results `Correction` and `Corrected`, and
`of_groups`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fair_diffusion.audit.study import Confusion
from fair_diffusion.audit.tally import Tally, by_source_and_attribute
from fair_diffusion.statistics.correction import correct


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """One group of a tally after correction.

    Attributes:
        group: the group.
        count: images read as it.
        share: count over all images, as read.
        corrected: share of all images that show it, estimated with the confusion matrix.
        low: lower end of the interval of `corrected`, which holds for this group alone.
        high: upper end of the interval of `corrected`.
    """

    group: str
    count: int
    share: float
    corrected: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Correction:
    """One source and attribute.

    Attributes:
        source: where the images come from.
        attribute: what was read.
        concepts: number of concepts that are summed: those whose groups are the groups of the confusion matrix.
        n: images of all these concepts, unread ones included.
        groups: shares as read and corrected, in the order of the confusion matrix; empty if the correction was refused.
        refused: why nothing is corrected, or None.
    """

    source: str
    attribute: str
    concepts: int
    n: int
    groups: list[Corrected]
    refused: str | None = None


def corrections(tallies: Sequence[Tally], confusions: Sequence[Confusion]) -> list[Correction]:
    """Correct each source and attribute whose reader has a confusion matrix, in order of first appearance.

    Readings of a group that the matrix leaves out count as unknown. A source that no matrix names had another reader
    and is not corrected. A source that two matrices name had two readers, and nothing says which reader counted it, so
    the correction is refused.

    Args:
        tallies: what was counted.
        confusions: how the readers err.
    """
    made = []
    for (source, attribute), own in by_source_and_attribute(tallies).items():
        matrices = [one for one in confusions if one.attribute == attribute and source in one.sources]
        if matrices:
            made.append(_correction(own, matrices))
    return made


def corrected(tally: Tally, confusion: Confusion, *, level: float = 0.95, seed: int = 0) -> list[Corrected]:
    """Correct the shares of one tally, in the order of the groups of the confusion matrix.

    Args:
        tally: what was read.
        confusion: how the same reader errs, for the same attribute and groups.
        level: confidence of each interval, strictly between 0 and 1.
        seed: seed of the resamples.

    Raises:
        ValueError: groups that differ, a group without labelled images, or shares that cannot be corrected (see
            `statistics.correction.correct`).
    """
    groups = list(confusion.groups)
    if tally.attribute != confusion.attribute or set(groups) != set(tally.counts):
        raise ValueError(
            f"the confusion matrix is of {confusion.attribute} {groups}, the tally of {tally.attribute} "
            f"{list(tally.counts)}: correct with a matrix of the same groups"
        )
    for group, row in zip(groups, confusion.counts, strict=False):  # `correct` checks the shape
        if not sum(row):
            raise ValueError(f"the confusion matrix has no image of {group!r}: label some, or leave the group out")
    counts = [tally.counts[group] for group in groups]
    shares = correct([*counts, tally.unknown], confusion.counts, level=level, seed=seed)
    return [
        Corrected(
            group=group,
            count=count,
            share=count / tally.n,
            corrected=float(estimate),
            low=float(low),
            high=float(high),
        )
        for group, count, estimate, low, high in zip(groups, counts, *shares, strict=True)
    ]


def _correction(tallies: Sequence[Tally], confusions: Sequence[Confusion]) -> Correction:
    matrix = confusions[0]
    known = {*matrix.groups, *matrix.left_out}
    fitting = [of_groups(tally, matrix.groups) for tally in tallies if set(tally.counts) == known]
    whole = _sum(fitting or tallies[:1])
    groups: list[Corrected] = []
    refused = None
    try:
        if len(confusions) > 1:
            raise ValueError(f"there are {len(confusions)} confusion matrices, and nothing says whose images are whose")
        groups = corrected(whole, matrix)
    except ValueError as error:
        refused = str(error)
    return Correction(
        source=whole.source,
        attribute=whole.attribute,
        concepts=len(fitting),
        n=sum(tally.n for tally in fitting),
        groups=groups,
        refused=refused,
    )


def of_groups(tally: Tally, groups: Sequence[str]) -> Tally:
    """The tally with these groups only; readings of other groups count as unknown."""
    counts = {group: count for group, count in tally.counts.items() if group in groups}
    return replace(tally, counts=counts, unknown=tally.n - sum(counts.values()), target=None)


def _sum(tallies: Sequence[Tally]) -> Tally:
    """The sum of tallies with the same groups."""
    return Tally(
        source=tallies[0].source,
        concept="all",
        attribute=tallies[0].attribute,
        counts={group: sum(tally.counts[group] for tally in tallies) for group in tallies[0].counts},
        unknown=sum(tally.unknown for tally in tallies),
    )
