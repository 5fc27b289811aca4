"""A delivery: how many images show each group, beside how many were asked for.

It is a statement about these very images, and exact but for the reader's errors. What the process behind them would
show in the long run is another one: `audit.lines`.

    band     quota ± tolerance · n for every group
    ends     the fewest and the most images that show a group: as people would see them if the reader's errors are known
             and hold (`statistics.true_counts`), else unread images may show anything, and so may those on which the
             judge and the perceiver disagree: where nobody knows how often the judge errs, its word alone is no miss

    misses        the ends of a group lie outside its band
    meets         not so, and every count lies in its band, whatever unread images show
    cannot tell   else; `reason` says why

Exports `Delivery`, `Delivered` and `delivery`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fair_diffusion.audit.transfer import DISAGREE, doubt
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.statistics.intervals import Verdict
from fair_diffusion.statistics.true_counts import shared_counts, true_counts

TOLERANCE = 0.05
WITHIN_ERRORS = "the difference is within the errors of the judge"
DIFFER = "judge and perceiver read {} otherwise, and how often the judge errs is not known"
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """One group.

    Attributes:
        group: the group.
        quota: images asked for.
        count: images that the judge reads as it.
        low: the fewest images that show it (see the top of this file).
        high: the most images that show it.
        shared_low: the fewest, if the judge makes the very same errors as the reader that steers; None if the errors
            are not known or do not hold.
        shared_high: the most, likewise.
    """

    group: str
    quota: int
    count: int
    low: int
    high: int
    shared_low: int | None = None
    shared_high: int | None = None


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The images of one attribute, joint ones included.

    Attributes:
        attribute: what was asked for.
        n: all images.
        unread: images that the judge could not read.
        groups: in the order of the attribute.
        corrected: whether the ends are those of what people would see.
        verdict: "meets", "misses" or "cannot tell".
        reason: why nobody can tell; None for the other verdicts.
    """

    attribute: str
    n: int
    unread: int
    groups: list[Delivered]
    corrected: bool
    verdict: Verdict
    reason: str | None = None

    @property
    def exact(self) -> bool:
        """Whether the judge counts just as many of every group as were asked for."""
        return all(one.count == one.quota for one in self.groups)


def delivery(
    attribute: str,
    quotas: Mapping[str, int],
    counts: Mapping[str, int],
    *,
    unread: int = 0,
    given_up: int = 0,
    looked_at: int | None = None,
    confusion: Confusion | None = None,
    other: Confusion | None = None,
    disputed: Mapping[str | None, int] | None = None,
    tolerance: float = TOLERANCE,
) -> Delivery:
    """Compare what was delivered with what was asked for.

    Args:
        attribute: what was read.
        quotas: images asked for, by group. If they do not sum to the images, drawing was interrupted.
        counts: images that the judge reads as each of these groups.
        unread: images that the judge could not read.
        given_up: unread images that steering gave up too: neither reader sees their group, so they do not show it.
        looked_at: images among which the perceiver chose, those made again included; None if nothing was chosen.
        confusion: how the judge errs, if that is known.
        other: how the perceiver errs, if that is known.
        disputed: images that perceiver and judge read differently, by what the judge reads; None if that is not known.
        tolerance: half the width of the band, as a share of the images.

    Raises:
        ValueError: counts that do not sum to the images, or of other groups than the quotas.
    """
    n = sum(counts.values()) + unread
    if set(counts) != set(quotas):
        raise ValueError(f"counts are of {list(counts)}, quotas of {list(quotas)}: give both for the same groups")
    if n < 1:
        raise ValueError(f"there are no images of {attribute}: nothing was delivered")
    fits = confusion is not None and {*confusion.groups, *confusion.left_out} == set(quotas)
    differ = None if disputed is None else sum(disputed.values())
    # An image that the judge could not read is open already.
    otherwise = sum(number for group, number in (disputed or {}).items() if group is not None)
    why = doubt(counts, unread, confusion, other=other, differ=differ) if confusion and fits else None
    open_ = unread - given_up
    ends = {group: (count, count + open_) for group, count in counts.items()}
    shared: dict[str, tuple[int, int]] = {}
    if confusion and fits and why is None:
        read = [counts[group] for group in confusion.groups]
        readings = [*read, n - sum(read)]
        corrected = dict(zip(confusion.groups, true_counts(readings, confusion.counts), strict=True))
        ends |= corrected
        if looked_at is not None:
            most = shared_counts(readings, confusion.counts, looked_at=looked_at)
            shared = dict(zip(confusion.groups, most, strict=True))
    elif disputed is not None:
        ends = {
            group: (count - disputed.get(group, 0), count + open_ + otherwise - disputed.get(group, 0))
            for group, count in counts.items()
        }
    groups = [
        Delivered(
            group=group,
            quota=quota,
            count=counts[group],
            low=ends[group][0],
            high=ends[group][1],
            shared_low=shared[group][0] if group in shared else None,
            shared_high=shared[group][1] if group in shared else None,
        )
        for group, quota in quotas.items()
    ]
    verdict, reason = _verdict(
        groups, n=n, unread=open_, differ=otherwise, corrected=fits and why is None, doubted=why, band=tolerance
    )
    return Delivery(
        attribute=attribute,
        n=n,
        unread=unread,
        groups=groups,
        corrected=fits and why is None,
        verdict=verdict,
        reason=reason,
    )


def _verdict(
    groups: list[Delivered],
    *,
    n: int,
    unread: int,
    differ: int,
    corrected: bool,
    doubted: str | None,
    band: float,
) -> tuple[Verdict, str | None]:
    """The verdict and, if nobody can tell, the reason."""
    asked = sum(one.quota for one in groups)
    if n != asked:
        return "cannot tell", f"{n:,} of {asked:,} images were drawn"
    room = band * n + _ROUNDING
    if any(one.high < one.quota - room or one.low > one.quota + room for one in groups):
        return "misses", None
    if doubted == DISAGREE:
        return "cannot tell", DISAGREE
    if all(one.quota - room <= one.count and one.count + unread <= one.quota + room for one in groups):
        return "meets", None
    if corrected:
        return "cannot tell", WITHIN_ERRORS
    if differ:
        return "cannot tell", DIFFER.format(_images(differ))
    return "cannot tell", f"{_images(unread)} could not be read"


def _images(number: int) -> str:
    return f"{number:,} image{'s' if number > 1 else ''}"
