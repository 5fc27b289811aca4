"""The numbers of a study: every tally as lines with intervals, every source as one deviation.

    share     = count / n, over all images: an unread one lowers every share instead of disappearing
    gap       = share − target
    relation  = reflected where |p̂ − r| < 0.04, else amplified where p̂ is further from 1/K than r, else mitigated
    band      = |p̂_k − τ_k| ≤ z √(τ_k (1 − τ_k) / n) for every group: as a perfect coin would fall, 95 times of 100

p̂ is the share among the images that could be read, r that of the reference, K the number of groups in play: those
with a target above zero. So for two groups 1/K is one half, and relation and band are those of Fair Diffusion
(arXiv 2302.10893), whose published counts give its published figures here. With more groups each group's relation
is to its uniform share. A share as far from 1/K as the reference, on the other side, counts as mitigated.
Exports `summarize` and `deviations` with their lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.special import ndtri

from fair_diffusion.audit.bootstrap import bootstrap_mean
from fair_diffusion.audit.intervals import Array, Interval, Verdict, clopper_pearson_bounds, verdict, wilson_bounds
from fair_diffusion.audit.metrics import deviation_ratio, fd, kl, noise_floor, pairwise_bias, total_variation
from fair_diffusion.audit.stopping import anytime_bounds
from fair_diffusion.audit.tally import Tally

Relation = Literal["amplified", "reflected", "mitigated"]
MARGIN = 0.04
_LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Line:
    """One group of one tally.

    Attributes:
        source: where the images come from.
        concept: what they show.
        attribute: what was read; joint attributes as "gender × skin_tone".
        group: one of its groups.
        target: share asked for, or the uniform share if `assumed`.
        assumed: nothing was asked, so the uniform target stands in.
        n: all images, unread ones included.
        count: images that show the group.
        unknown: images that could not be read; the same in every line of a tally.
        share: count over n.
        low: lower end of the 95 % interval of the share: Wilson's where at most two groups are in play, else
            simultaneous for all groups of the tally; where the source was drawn until sure, one that holds then too.
        high: its upper end.
        gap: share − target.
        verdict: the interval against target ± tolerance (see `intervals.verdict`).
        noise_floor: total variation that as many draws of a perfect coin would have; the same in every line of a tally.
        reference: share of the group among the read images of the reference, or None.
        relation: this share against the reference's, both among read images, or None.
    """

    source: str
    concept: str
    attribute: str
    group: str
    target: float
    assumed: bool
    n: int
    count: int
    unknown: int
    share: float
    low: float
    high: float
    gap: float
    verdict: Verdict
    noise_floor: float
    reference: float | None
    relation: Relation | None


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """How far one source is from its targets in one attribute, over all its concepts.

    Attributes:
        source: where the images come from.
        attribute: what was read.
        concepts: how many there are.
        n: images of all of them, unread ones included.
        unknown: how many of these could not be read.
        assumed: some tally had no target, so the uniform one stands in.
        tv_mean: mean total variation, "unknown" being a group whose target is zero.
        tv_low: lower end of its 95 % interval, by bootstrap over concepts; None for a single concept.
        tv_high: its upper end.
        tv_worst: the largest total variation.
        worst_concept: where it is.
        kl_mean: mean divergence in nats of the read images; infinite if one shows a group with target zero. Concepts
            with no read image are left out here and in the next three; None if there is no other.
        fd_mean: mean fairness discrepancy of the read images.
        pairwise_bias_mean: mean pairwise bias among the groups in play: a distance from uniform, whatever the target.
        deviation_ratio_mean: mean deviation ratio among the groups in play: a distance from uniform likewise.
        noise_floor: what `tv_mean` would be for as many draws of a perfect coin.
        inside_band: concepts that lie in the two-sided 95 % binomial band of their target (normal approximation, read
            images; with more than two groups in play, simultaneous by Bonferroni).
    """

    source: str
    attribute: str
    concepts: int
    n: int
    unknown: int
    assumed: bool
    tv_mean: float
    tv_low: float | None
    tv_high: float | None
    tv_worst: float
    worst_concept: str
    kl_mean: float | None
    fd_mean: float | None
    pairwise_bias_mean: float | None
    deviation_ratio_mean: float | None
    noise_floor: float
    inside_band: int


def summarize(
    tallies: Sequence[Tally],
    *,
    reference: Sequence[Tally] | None = None,
    tolerance: float = 0.05,
    stopped: Mapping[str, float] | None = None,
) -> list[Line]:
    """One line per tally and group, in the order given.

    Args:
        tallies: what was counted.
        reference: tallies to compare with, matched by concept and attribute, whatever their source; concepts that
            it lacks have no relation.
        tolerance: half the width of the band around a target, in share.
        stopped: of sources that were drawn until every interval was narrow enough, the half width that was asked
            for; their intervals are those that hold under such stopping (see `stopping`).

    Raises:
        ValueError: a tally without images, counted twice, or with a target that does not fit its groups; a
            reference that names a concept twice or has groups that the tally lacks.
    """
    _check(tallies)
    references = _by_concept(reference or ())
    targets = [_target(tally) for tally in tallies]
    bounds = iter(_bounds(tallies, targets, stopped or {}))
    lines = []
    for tally, target in zip(tallies, targets, strict=True):
        known = tally.n - tally.unknown
        floor = _noise_floor(target, tally.n)
        other = _reference(tally, references.get((tally.concept, tally.attribute)))
        for (group, count), share in zip(tally.counts.items(), target, strict=True):
            low, high = next(bounds)
            r = None if other is None else other[group]
            lines.append(
                Line(
                    source=tally.source,
                    concept=tally.concept,
                    attribute=tally.attribute,
                    group=group,
                    target=share,
                    assumed=tally.target is None,
                    n=tally.n,
                    count=count,
                    unknown=tally.unknown,
                    share=count / tally.n,
                    low=low,
                    high=high,
                    gap=count / tally.n - share,
                    verdict=verdict(low, high, share, tolerance),
                    noise_floor=floor,
                    reference=r,
                    relation=None if r is None or not known else relation(count / known, r, groups=_in_play(target)),
                )
            )
    return lines


def relation(share: float, reference: float, *, groups: int = 2, margin: float = MARGIN) -> Relation:
    """Whether a share amplifies, reflects or mitigates that of a reference: see the top of this file.

    Args:
        share: the share, among the images that could be read.
        reference: the share that it is compared with.
        groups: number of groups in play.
        margin: differences below it count as none.
    """
    if abs(share - reference) < margin:
        return "reflected"
    return "amplified" if abs(share - 1 / groups) > abs(reference - 1 / groups) else "mitigated"


def deviations(tallies: Sequence[Tally]) -> list[Deviation]:
    """One summary per source and attribute over their concepts, in order of first appearance.

    A tally without a target is measured against the uniform one; `assumed` says so.

    Raises:
        ValueError: as `summarize`.
    """
    _check(tallies)
    parts: dict[tuple[str, str], list[Tally]] = {}
    for tally in tallies:
        parts.setdefault((tally.source, tally.attribute), []).append(tally)
    return [_deviation(part) for part in parts.values()]


def _deviation(tallies: Sequence[Tally]) -> Deviation:
    targets = [_target(tally) for tally in tallies]
    pairs = list(zip(tallies, targets, strict=True))
    tv = [_total_variation(tally, target) for tally, target in pairs]
    low, high = bootstrap_mean(tv) if len(tv) > 1 else (None, None)
    worst = int(np.argmax(tv))
    read = [(_read(tally), target) for tally, target in pairs if tally.n > tally.unknown]
    played = [_played(shares, target) for shares, target in read]
    return Deviation(
        source=tallies[0].source,
        attribute=tallies[0].attribute,
        concepts=len(tallies),
        n=sum(tally.n for tally in tallies),
        unknown=sum(tally.unknown for tally in tallies),
        assumed=any(tally.target is None for tally in tallies),
        tv_mean=float(np.mean(tv)),
        tv_low=low,
        tv_high=high,
        tv_worst=tv[worst],
        worst_concept=tallies[worst].concept,
        kl_mean=_mean([kl(shares, target) for shares, target in read]),
        fd_mean=_mean([fd(shares, target) for shares, target in read]),
        pairwise_bias_mean=_mean([pairwise_bias(shares) for shares in played]),
        deviation_ratio_mean=_mean([deviation_ratio(shares) for shares in played]),
        noise_floor=float(np.mean([_noise_floor(target, tally.n) for tally, target in pairs])),
        inside_band=sum(_inside_band(tally, target) for tally, target in pairs),
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _target(tally: Tally) -> tuple[float, ...]:
    if tally.target is None:
        return (1 / len(tally.counts),) * len(tally.counts)
    return tuple(float(tally.target[group]) for group in tally.counts)


def _in_play(target: Sequence[float]) -> int:
    return sum(share > 0 for share in target)


def _read(tally: Tally) -> Array:
    """The shares among the images that could be read."""
    return np.fromiter(tally.counts.values(), np.float64) / (tally.n - tally.unknown)


def _played(shares: Array, target: Sequence[float]) -> Array:
    """The shares among the groups in play; among all if that leaves nothing to compare."""
    playing = shares[np.array(target) > 0]
    return playing / playing.sum() if len(playing) > 1 and playing.any() else shares


def _total_variation(tally: Tally, target: Sequence[float]) -> float:
    counts = np.array([*tally.counts.values(), tally.unknown])
    return total_variation(counts / tally.n, [*target, 0.0])


def _inside_band(tally: Tally, target: Sequence[float]) -> bool:
    known = tally.n - tally.unknown
    if not known:
        return False
    playing, tau = _in_play(target), np.array(target)
    # Two groups are each other's mirror image: one band holds for both.
    z = ndtri(1 - (1 - _LEVEL) / 2 / (playing if playing > 2 else 1))
    return bool((np.abs(_read(tally) - tau) <= z * np.sqrt(tau * (1 - tau) / known)).all())


def _bounds(
    tallies: Sequence[Tally], targets: Sequence[Sequence[float]], stopped: Mapping[str, float]
) -> list[Interval]:
    """The intervals of all groups of all tallies, in one go: one by one they would take most of the time."""
    groups = [len(tally.counts) for tally in tallies]
    counts = np.array([count for tally in tallies for count in tally.counts.values()], dtype=np.float64)
    n = np.repeat([float(tally.n) for tally in tallies], groups)
    several = np.repeat([_in_play(target) > 2 for target in targets], groups)
    tails = (1 - _LEVEL) / 2 / np.repeat(groups, groups)
    low, high = wilson_bounds(counts, n, _LEVEL)
    low[several], high[several] = clopper_pearson_bounds(counts[several], n[several], tails[several])
    width = np.repeat([stopped.get(tally.source, 0.0) for tally in tallies], groups)
    if (looked := width > 0).any():
        alpha = (1 - _LEVEL) / np.repeat(
            [1 if k == 2 and not t.unknown else k for k, t in zip(groups, tallies)], groups
        )
        low[looked], high[looked] = anytime_bounds(counts[looked], n[looked], alpha[looked], width[looked])
    return list(zip(low.tolist(), high.tolist(), strict=True))


@lru_cache(maxsize=65_536)
def _noise_floor(target: tuple[float, ...], n: int) -> float:
    return noise_floor(target, n)


def _reference(tally: Tally, reference: Tally | None) -> dict[str, float] | None:
    """The reference's share of each group of the tally, among its read images; None if it has none."""
    if reference is None or reference.n == reference.unknown:
        return None
    strange = [group for group, count in reference.counts.items() if count and group not in tally.counts]
    if strange:
        raise ValueError(
            f"the reference counts {strange[0]!r} for {tally.concept!r}, which is no group of {tally.attribute} here: "
            f"rename its groups to {list(tally.counts)}"
        )
    known = reference.n - reference.unknown
    return {group: reference.counts.get(group, 0) / known for group in tally.counts}


def _by_concept(reference: Sequence[Tally]) -> dict[tuple[str, str], Tally]:
    found: dict[tuple[str, str], Tally] = {}
    for tally in reference:
        if found.setdefault((tally.concept, tally.attribute), tally) is not tally:
            raise ValueError(f"the reference counts {tally.attribute} of {tally.concept!r} twice: give one source")
    return found


def _check(tallies: Sequence[Tally]) -> None:
    seen = set()
    for tally in tallies:
        where = f"{tally.source}: {tally.attribute} of {tally.concept!r}"
        key = (tally.source, tally.concept, tally.attribute)
        if key in seen:
            raise ValueError(f"{where} is counted twice: add the counts up first")
        seen.add(key)
        if len(tally.counts) < 2:
            raise ValueError(f"{where} has groups {list(tally.counts)}: name all groups, at least 2, zeros included")
        if min(*tally.counts.values(), tally.unknown) < 0:
            raise ValueError(f"{where} has a negative count: {dict(tally.counts)}, unknown {tally.unknown}")
        if not tally.n:
            raise ValueError(f"{where} has no images: leave it out, and say so in a note")
        if tally.target is None:
            continue
        if set(tally.target) != set(tally.counts):
            raise ValueError(f"{where} has targets for {list(tally.target)}: give one for each of {list(tally.counts)}")
        shares = list(tally.target.values())
        if not (min(shares) >= 0 and abs(sum(shares) - 1) < 1e-6):
            raise ValueError(f"{where} has target {dict(tally.target)}: shares must not be negative and sum to 1")
