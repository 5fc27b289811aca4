"""The audit table of one request: for each group what was asked, what came out, and how certain that is.

Shares are over **all** images. An image that could not be read counts in n and in the column `unknown`, so it lowers
every share instead of disappearing; it may show any group, so intervals go from none to all of them. The numbers are
those of `audit.lines` and `audit.deviations` for the tally of the request. Exports `AuditRow`, `audit_rows`,
`deviation`, `JOINT`, `joint_groups` and `joint_labels`.
"""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fair_diffusion.audit.deviations import tally_deviation
from fair_diffusion.audit.lines import summarize
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.intervals import Verdict
from fair_diffusion.statistics.metrics import cached_noise_floor

JOINT = " × "
"""Stands between the parts of a joint attribute or group."""


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """One group of one attribute in the audit of a request.

    Attributes:
        attribute: what was read, such as "gender"; joint attributes as "gender × skin_tone".
        group: one of its groups.
        target: share asked for, or None if nothing was asked.
        quota: number of images asked for, or None if there were no quotas.
        count: images that show the group.
        unknown: images of the request in which the attribute could not be read; the same in all rows of an attribute.
        share: count over all images of the request, unknown ones included.
        low: lower end of the 95 % interval of the share, if no unread image shows the group.
        high: upper end of the 95 % interval of the share, if all unread images show it.
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
) -> list[AuditRow]:
    """Count labels into one row per group.

    If at most two groups are in play, the intervals are Wilson's, each by itself; otherwise they are simultaneous for
    all groups. A group is in play if its target is above zero; without a target, all groups are in play. For example,
    woman and man are two groups in play if "androgynous" has target zero.

    Args:
        labels: the group that each image shows; None if it could not be read.
        attribute: name of the attribute.
        groups: its groups in the order of the rows, at least 2.
        target: share asked for of each group; the shares sum to 1.
        quota: number of images asked for of each group.
        tolerance: half the width of the band around the target, as a share.

    Raises:
        ValueError: no labels, a label that is no group, too few groups, or targets or quotas that do not fit the
            groups.
    """
    if not labels:
        raise ValueError("labels is empty: an audit needs at least 1 image")
    if len(groups) < 2 or len(set(groups)) != len(groups):
        raise ValueError(f"groups is {list(groups)}: give at least 2 groups, each once")
    for name, values in (("target", target), ("quota", quota)):
        if values is not None and len(values) != len(groups):
            raise ValueError(f"{name} has {len(values)} values for {len(groups)} groups: give one per group")
    strange = sorted({label for label in labels if label is not None} - set(groups))
    if strange:
        raise ValueError(f"label {strange[0]!r} is no group of {attribute}: use {list(groups)}, or None")

    counts = Counter(labels)
    # Without a target an even one stands in: it puts all groups in play, and no row shows it.
    asked = [1 / len(groups)] * len(groups) if target is None else [float(share) for share in target]
    tally = Tally(
        source="request",
        concept="all images",
        attribute=attribute,
        counts={group: counts[group] for group in groups},
        unknown=counts[None],
        target=dict(zip(groups, asked, strict=True)),
    )
    return [
        AuditRow(
            attribute=attribute,
            group=line.group,
            target=None if target is None else line.target,
            quota=None if quota is None else int(quota[k]),
            count=line.count,
            unknown=line.unknown,
            share=line.share,
            low=line.low,
            high=line.high,
            verdict=None if target is None else line.verdict,
        )
        for k, line in enumerate(summarize([tally], tolerance=tolerance))
    ]


def deviation(rows: Sequence[AuditRow]) -> dict[str, float]:
    """How far one attribute is from its target, and its noise floor.

    Args:
        rows: all rows of one attribute that has a target.

    Returns:
        tv: total variation. "Unknown" is a group of its own whose target is zero, so unread images count as deviating.
        kl: divergence of the read images in nats; infinite if an image shows a group with target zero, or if no image
            could be read.
        noise_floor: expected `tv` of as many independent draws from the target.

    Raises:
        ValueError: rows of several attributes, no rows, or rows without a target.
    """
    if len({(row.attribute, row.unknown) for row in rows}) != 1:
        raise ValueError("the rows are not those of one attribute: call deviation once for each")
    target = tuple(row.target for row in rows if row.target is not None)
    if len(target) != len(rows):
        raise ValueError(f"{rows[0].attribute} has no target: there is nothing to deviate from")
    counts, unknown = tuple(row.count for row in rows), rows[0].unknown
    metrics = tally_deviation(counts, unknown, target)
    return {
        "tv": metrics.tv,
        "kl": math.inf if metrics.kl is None else metrics.kl,
        "noise_floor": cached_noise_floor(target, sum(counts) + unknown),
    }


def joint_groups(*groups: Sequence[str]) -> list[str]:
    """All combinations of the groups of several attributes; the last attribute varies fastest."""
    return [JOINT.join(combination) for combination in itertools.product(*groups)]


def joint_labels(*labels: Sequence[str | None]) -> list[str | None]:
    """Combine the labels of several attributes image by image; the result is unknown if any part is unknown.

    Args:
        labels: one sequence per attribute, all of the same images.
    """
    return [
        None if any(part is None for part in parts) else JOINT.join(part for part in parts if part is not None)
        for parts in zip(*labels, strict=True)
    ]
