"""The audit table: for each group what was asked, what came out, and how sure that is.

Shares are over **all** images. An image that could not be read counts in n and in the column `unknown`, so
unread images lower every share instead of disappearing.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from fair_diffusion.statistics.intervals import Verdict, simultaneous, verdict, wilson
from fair_diffusion.statistics.metrics import kl, noise_floor, total_variation

JOINT = " × "


@dataclass(frozen=True, kw_only=True)
class Row:
    """One group of one attribute in an audit.

    Attributes:
        attribute: what was read, such as "gender"; joint attributes as "gender × skin_tone".
        group: one of its groups.
        target: share asked for, or None if nothing was asked.
        quota: images asked for, or None if none were dealt out.
        count: images that show the group.
        unknown: images of the run in which the attribute could not be read; the same in every row of it.
        share: count over all images of the run, unknown ones included.
        low: lower end of the 95 % interval of the share.
        high: upper end of the 95 % interval of the share.
        verdict: the interval against target ± tolerance (see `intervals.verdict`); None without a target.
    """

    attribute: str
    group: str
    target: float | None
    quota: int | None
    count: int
    unknown: int
    share: float
    low: float
    high: float
    verdict: Verdict | None


def audit_rows(
    labels: Sequence[str | None],
    *,
    attribute: str,
    groups: Sequence[str],
    target: Sequence[float] | None = None,
    quota: Sequence[int] | None = None,
    tolerance: float = 0.05,
) -> list[Row]:
    """Count labels into one row per group.

    Intervals: Wilson's, each on its own, where at most two groups are in play; otherwise simultaneous ones
    for all groups. A group is in play if its target is above zero; without a target, all are. So woman and
    man with "androgynous" at target zero are two groups.

    Args:
        labels: the group that each image shows, None where it could not be read.
        attribute: name of the attribute.
        groups: its groups, in the order of the rows.
        target: share asked for of each group.
        quota: images asked for of each group.
        tolerance: half the width of the band around the target, in share.

    Raises:
        ValueError: no labels, a label that is no group, or targets or quotas that do not fit the groups.
    """
    if not labels:
        raise ValueError("labels is empty: an audit needs at least 1 image")
    if not groups or len(set(groups)) != len(groups):
        raise ValueError(f"groups is {list(groups)}: give at least one group, each once")
    for name, values in (("target", target), ("quota", quota)):
        if values is not None and len(values) != len(groups):
            raise ValueError(f"{name} has {len(values)} values for {len(groups)} groups: give one per group")
    strange = sorted({label for label in labels if label is not None} - set(groups))
    if strange:
        raise ValueError(f"label {strange[0]!r} is no group of {attribute}: use {list(groups)}, or None")

    n = len(labels)
    counts = [sum(label == group for label in labels) for group in groups]
    in_play = len(groups) if target is None else sum(share > 0 for share in target)
    intervals = [wilson(c, n) for c in counts] if in_play <= 2 else simultaneous(counts, n=n)
    return [
        Row(
            attribute=attribute,
            group=group,
            target=None if target is None else float(target[k]),
            quota=None if quota is None else int(quota[k]),
            count=counts[k],
            unknown=n - sum(counts),
            share=counts[k] / n,
            low=low,
            high=high,
            verdict=None if target is None else verdict(low, high, float(target[k]), tolerance),
        )
        for k, (group, (low, high)) in enumerate(zip(groups, intervals, strict=True))
    ]


def deviation(rows: Sequence[Row]) -> dict[str, float]:
    """How far one attribute is from its target, beside what a perfect coin would give.

    Args:
        rows: all rows of one attribute, with a target.

    Returns:
        tv: total variation with "unknown" as a group of its own whose target is zero, so unread images count
            against the run.
        kl: divergence in nats of the images that could be read; infinite if one shows a group with target
            zero, or if none could be read.
        noise_floor: expected `tv` of as many independent draws from the target.
    """
    if len({(row.attribute, row.unknown) for row in rows}) != 1:
        raise ValueError("the rows are not those of one attribute: call deviation once for each")
    target = [row.target for row in rows if row.target is not None]
    if len(target) != len(rows):
        raise ValueError(f"{rows[0].attribute} has no target: there is nothing to deviate from")
    known, unknown = sum(row.count for row in rows), rows[0].unknown
    n = known + unknown
    return {
        "tv": total_variation([*(row.count / n for row in rows), unknown / n], [*target, 0.0]),
        "kl": kl([row.count / known for row in rows], target) if known else math.inf,
        "noise_floor": noise_floor(target, n),
    }


def joint_groups(*groups: Sequence[str]) -> list[str]:
    """All combinations of the groups of several attributes, the last attribute varying fastest."""
    return [JOINT.join(combination) for combination in itertools.product(*groups)]


def joint_labels(*labels: Sequence[str | None]) -> list[str | None]:
    """Combine the labels of several attributes image by image; unknown if any part is unknown."""
    return [
        None if any(part is None for part in parts) else JOINT.join(part for part in parts if part is not None)
        for parts in zip(*labels, strict=True)
    ]
