"""What the reader's errors do to the shares of each source, over all its concepts together.

One tally per source and attribute, summed over concepts, goes through `correction.correct`. What cannot be corrected
says why instead. Exports `corrections` with its records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fair_diffusion.audit.study import Confusion
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.correction import Corrected, correct


@dataclass(frozen=True, kw_only=True)
class Correction:
    """One source and attribute.

    Attributes:
        source: where the images come from.
        attribute: what was read.
        concepts: how many are summed up: those whose groups are those of the confusion matrix.
        n: images of all of them, unread ones included.
        groups: as read and corrected, in the order of the confusion matrix; none if it was refused.
        refused: why nothing is corrected, or None.
    """

    source: str
    attribute: str
    concepts: int
    n: int
    groups: list[Corrected]
    refused: str | None = None


def corrections(tallies: Sequence[Tally], confusions: Sequence[Confusion]) -> list[Correction]:
    """One for each source and attribute whose reader has a confusion matrix, in order of first appearance.

    Readings as a group that the matrix leaves out count as unknown.
    A source that no matrix names was counted by somebody else, and stays as it is. One that two matrices name has two
    readers, and nothing says which of them was counted: neither is used.
    """
    parts: dict[tuple[str, str], list[Tally]] = {}
    for tally in tallies:
        parts.setdefault((tally.source, tally.attribute), []).append(tally)
    found = []
    for (source, attribute), part in parts.items():
        own = [one for one in confusions if one.attribute == attribute and source in one.sources]
        if own:
            found.append(_correction(part, own))
    return found


def _correction(tallies: Sequence[Tally], confusions: Sequence[Confusion]) -> Correction:
    known = confusions[0]
    own = {*known.groups, *known.left_out}
    fitting = [_of_groups(tally, known.groups) for tally in tallies if set(tally.counts) == own]
    whole = _sum(fitting or tallies[:1])
    groups: list[Corrected] = []
    refused = None
    try:
        if len(confusions) > 1:
            raise ValueError(f"there are {len(confusions)} confusion matrices, and nothing says whose images are whose")
        groups = correct(whole, confusions[0])
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


def _of_groups(tally: Tally, groups: Sequence[str]) -> Tally:
    """The tally with only these groups; what was read as another is unknown."""
    counts = {group: count for group, count in tally.counts.items() if group in groups}
    return replace(tally, counts=counts, unknown=tally.n - sum(counts.values()), target=None)


def _sum(tallies: Sequence[Tally]) -> Tally:
    """Tallies of the same groups as one."""
    return Tally(
        source=tallies[0].source,
        concept="all",
        attribute=tallies[0].attribute,
        counts={group: sum(tally.counts[group] for tally in tallies) for group in tallies[0].counts},
        unknown=sum(tally.unknown for tally in tallies),
    )
