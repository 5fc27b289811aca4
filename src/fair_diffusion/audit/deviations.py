"""Deviations of sources from their targets, over all concepts.

    mean over concepts of each metric of `statistics.metrics`, its noise floor, and the number of concepts in the band
    band: |p̂_k − τ_k| ≤ z √(τ_k (1 − τ_k) / n) for every group k, which holds for 95 % of draws from the target

The mean of few images is too large: a perfect coin has the noise floor. What the process behind them would deviate by
is estimated beside it, with an interval over concepts (see `statistics.process_deviation`).

p̂ is the share among the n images that could be read, τ the target. The band is that of Fair Diffusion (arXiv
2302.10893), whose published counts give its published values here. With several groups or few images it holds fewer
draws than it says, so the exact multinomial test stands beside it (see `statistics.multinomial`). Exports
`deviations`, `tally_deviation`, and their results `Deviation` and `TallyDeviation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

from fair_diffusion.audit.tally import Tally, by_source_and_attribute, check_tallies
from fair_diffusion.statistics.intervals import Array
from fair_diffusion.statistics.metrics import (
    cached_noise_floor,
    deviation_ratio,
    fd,
    kl,
    pairwise_bias,
    parity_gap,
    smoothed_kl,
    total_variation,
)
from fair_diffusion.statistics.multinomial import chance_p
from fair_diffusion.statistics.over_prompts import FEWEST, high_end, low_end
from fair_diffusion.statistics.process_deviation import process_deviation, worst_deviation

_LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """How far one source is from its targets in one attribute, over all its concepts.

    Attributes:
        source: where the images come from.
        attribute: what was read.
        concepts: number of concepts.
        n: images of all concepts, unread ones included.
        unknown: images of all concepts that could not be read.
        assumed: some tally had no target, so the default shares stand in (see `Tally.asked`).
        tv_mean: mean total variation; "unknown" is a group whose target is zero.
        tv_low: lower end of its 95 % interval: how far the mean would move with as many images of other concepts of the
            same sort, noise included; None for fewer than 5 concepts.
        tv_high: upper end of that interval.
        process: mean total variation of the process behind the images, without the noise of few images.
        process_low: lower end of its 95 % interval over concepts of the same sort; None for fewer than 5 concepts.
        process_high: upper end of that interval.
        tv_worst: largest total variation of a concept.
        worst_concept: the concept with the largest total variation.
        kl_mean: mean divergence of the read images in nats; infinite if an image shows a group with target zero. This
            and the next five means leave out concepts without read images; None if no concept is left.
        smoothed_kl_mean: mean divergence of the read images with half an image added to each group; never infinite.
        fd_mean: mean fairness discrepancy of the read images.
        pairwise_bias_mean: mean pairwise bias among the groups in play: a distance from uniform, whatever the target.
        parity_gap_mean: mean parity gap among the groups in play: also a distance from uniform.
        deviation_ratio_mean: mean deviation ratio among the groups in play: also a distance from uniform.
        noise_floor: expected `tv_mean` of as many independent draws from the targets.
        inside_band: number of concepts in the two-sided 95 % binomial band of their target (normal approximation, read
            images; with more than two groups in play, simultaneous by Bonferroni's correction).
        within_chance: number of concepts that the exact multinomial test does not tell from draws from their target
            (p at least 0.05, read images). At least 95 of 100 concepts whose images are such draws are among them.
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
    process: float | None = None
    process_low: float | None = None
    process_high: float | None = None
    tv_worst: float
    worst_concept: str
    kl_mean: float | None
    smoothed_kl_mean: float | None
    fd_mean: float | None
    pairwise_bias_mean: float | None
    parity_gap_mean: float | None = None
    deviation_ratio_mean: float | None
    noise_floor: float
    inside_band: int
    within_chance: int


@dataclass(frozen=True, kw_only=True)
class TallyDeviation:
    """How far one tally is from its target.

    Attributes:
        tv: total variation; "unknown" is a group whose target is zero.
        kl: divergence of the read images in nats. This and the next five are None if no image could be read.
        smoothed_kl: the same with half an image added to each group; never infinite.
        fd: fairness discrepancy of the read images.
        pairwise_bias: pairwise bias among the groups in play.
        parity_gap: parity gap among the groups in play.
        deviation_ratio: deviation ratio among the groups in play.
        inside_band: whether every share of the read images lies in the band (see the top of this file).
        within_chance: whether the exact multinomial test does not tell the read images from draws from the target.
    """

    tv: float
    kl: float | None = None
    smoothed_kl: float | None = None
    fd: float | None = None
    pairwise_bias: float | None = None
    parity_gap: float | None = None
    deviation_ratio: float | None = None
    inside_band: bool = False
    within_chance: bool = False


def deviations(tallies: Sequence[Tally]) -> list[Deviation]:
    """One deviation per source and attribute, over all concepts, in order of first appearance.

    A tally without a target is measured against the default shares; `assumed` says so.

    Args:
        tallies: what was counted.

    Raises:
        ValueError: a tally without images, counted twice, or with a target that does not fit its groups.
    """
    check_tallies(tallies)
    return [_deviation(own) for own in by_source_and_attribute(tallies).values()]


def _deviation(tallies: Sequence[Tally]) -> Deviation:
    parts = [tally_deviation(tuple(tally.counts.values()), tally.unknown, tally.asked) for tally in tallies]
    tv = [part.tv for part in parts]
    failed = max(*tv, *(worst_deviation(tally.asked) for tally in tallies))
    low, high = (float(low_end(tv)), float(high_end(tv, failed))) if len(tv) >= FEWEST else (None, None)
    groups = list(dict.fromkeys(group for tally in tallies for group in tally.counts))
    process = process_deviation(
        [_by_phrasing(tally, groups) for tally in tallies], [_targets(tally, groups) for tally in tallies]
    )
    worst = int(np.argmax(tv))
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
        process=process.estimate,
        process_low=process.low,
        process_high=process.high,
        tv_worst=tv[worst],
        worst_concept=tallies[worst].concept,
        kl_mean=_mean(part.kl for part in parts),
        smoothed_kl_mean=_mean(part.smoothed_kl for part in parts),
        fd_mean=_mean(part.fd for part in parts),
        pairwise_bias_mean=_mean(part.pairwise_bias for part in parts),
        parity_gap_mean=_mean(part.parity_gap for part in parts),
        deviation_ratio_mean=_mean(part.deviation_ratio for part in parts),
        noise_floor=float(np.mean([cached_noise_floor(tally.asked, tally.n) for tally in tallies])),
        inside_band=sum(part.inside_band for part in parts),
        within_chance=sum(part.within_chance for part in parts),
    )


def _by_phrasing(tally: Tally, groups: Sequence[str]) -> list[list[int]]:
    """The counts of every phrasing that counts as a cluster, else of all images: of `groups`, then unknown."""
    rows = tally.clusters or [[*tally.counts.values(), tally.unknown]]
    places = {group: k for k, group in enumerate(tally.counts)}
    return [[*(row[places[group]] if group in places else 0 for group in groups), row[-1]] for row in rows]


def _targets(tally: Tally, groups: Sequence[str]) -> list[float]:
    """The target of each of `groups`, then of unknown."""
    asked = dict(zip(tally.counts, tally.asked, strict=True))
    return [*(asked.get(group, 0.0) for group in groups), 0.0]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


# Many prompts with few images each have the same few counts, so the results are cached.
@lru_cache(maxsize=65_536)
def tally_deviation(counts: tuple[int, ...], unknown: int, target: tuple[float, ...]) -> TallyDeviation:
    """The metrics of one tally.

    Args:
        counts: images per group, at least 2 groups.
        unknown: images that could not be read.
        target: share asked for of each group.
    """
    known = sum(counts)
    tv = total_variation(np.array([*counts, unknown]) / (known + unknown), [*target, 0.0])
    if not known:
        return TallyDeviation(tv=tv)
    shares = np.array(counts) / known
    in_play = _in_play(shares, target)
    return TallyDeviation(
        tv=tv,
        kl=kl(shares, target),
        smoothed_kl=smoothed_kl(counts, target),
        fd=fd(shares, target),
        pairwise_bias=pairwise_bias(in_play),
        parity_gap=parity_gap(in_play),
        deviation_ratio=deviation_ratio(in_play),
        inside_band=_inside_band(shares, target, known),
        within_chance=chance_p(counts, target) >= 1 - _LEVEL,
    )


def _in_play(shares: Array, target: Sequence[float]) -> Array:
    """The shares among the groups in play; among all groups if nothing is left to compare."""
    playing = shares[np.array(target) > 0]
    return playing / playing.sum() if len(playing) > 1 and playing.any() else shares


def _inside_band(shares: Array, target: Sequence[float], n: int) -> bool:
    tau = np.array(target)
    playing = int((tau > 0).sum())
    # Two groups mirror each other, so one band holds for both.
    z = ndtri(1 - (1 - _LEVEL) / 2 / (playing if playing > 2 else 1))
    return bool((np.abs(shares - tau) <= z * np.sqrt(tau * (1 - tau) / n)).all())
