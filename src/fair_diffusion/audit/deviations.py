"""How far a source is from its targets, over all its concepts.

    mean over concepts of each metric of `metrics`, its noise floor, and how many concepts lie inside the band
    band = |p̂_k − τ_k| ≤ z √(τ_k (1 − τ_k) / n) for every group k: as a perfect coin would fall, 95 times of 100

p̂ is the share among the n images that could be read, τ the target. The band is that of Fair Diffusion (arXiv
2302.10893), whose published counts give its published figures here. Exports `deviations` with its records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

from fair_diffusion.audit.tally import Tally, check_tallies
from fair_diffusion.statistics.bootstrap import bootstrap_mean
from fair_diffusion.statistics.intervals import Array
from fair_diffusion.statistics.metrics import (
    cached_noise_floor,
    deviation_ratio,
    fd,
    kl,
    pairwise_bias,
    total_variation,
)

_LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """How far one source is from its targets in one attribute, over all its concepts.

    Attributes:
        source: where the images come from.
        attribute: what was read.
        concepts: how many there are.
        n: images of all of them, unread ones included.
        unknown: how many of these could not be read.
        assumed: some tally had no target, so the default shares stand in (see `Tally.asked`).
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


def deviations(tallies: Sequence[Tally]) -> list[Deviation]:
    """One summary per source and attribute over their concepts, in order of first appearance.

    A tally without a target is measured against the default shares; `assumed` says so.

    Raises:
        ValueError: a tally without images, counted twice, or with a target that does not fit its groups.
    """
    check_tallies(tallies)
    parts: dict[tuple[str, str], list[Tally]] = {}
    for tally in tallies:
        parts.setdefault((tally.source, tally.attribute), []).append(tally)
    return [_deviation(part) for part in parts.values()]


def _deviation(tallies: Sequence[Tally]) -> Deviation:
    figures = [_figures(tuple(tally.counts.values()), tally.unknown, tally.asked) for tally in tallies]
    tv = [found.tv for found in figures]
    low, high = bootstrap_mean(tv) if len(tv) > 1 else (None, None)
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
        tv_worst=tv[worst],
        worst_concept=tallies[worst].concept,
        kl_mean=_mean(found.kl for found in figures),
        fd_mean=_mean(found.fd for found in figures),
        pairwise_bias_mean=_mean(found.pairwise_bias for found in figures),
        deviation_ratio_mean=_mean(found.deviation_ratio for found in figures),
        noise_floor=float(np.mean([cached_noise_floor(tally.asked, tally.n) for tally in tallies])),
        inside_band=sum(found.inside_band for found in figures),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


@dataclass(frozen=True, kw_only=True)
class _Figures:
    """The metrics of one tally; all but `tv` are of the read images, None if there are none."""

    tv: float
    kl: float | None = None
    fd: float | None = None
    pairwise_bias: float | None = None
    deviation_ratio: float | None = None
    inside_band: bool = False


# Many prompts with few images each have the same few counts.
@lru_cache(maxsize=65_536)
def _figures(counts: tuple[int, ...], unknown: int, target: tuple[float, ...]) -> _Figures:
    known = sum(counts)
    tv = total_variation(np.array([*counts, unknown]) / (known + unknown), [*target, 0.0])
    if not known:
        return _Figures(tv=tv)
    shares = np.array(counts) / known
    played = _played(shares, target)
    return _Figures(
        tv=tv,
        kl=kl(shares, target),
        fd=fd(shares, target),
        pairwise_bias=pairwise_bias(played),
        deviation_ratio=deviation_ratio(played),
        inside_band=_inside_band(shares, target, known),
    )


def _played(shares: Array, target: Sequence[float]) -> Array:
    """The shares among the groups in play; among all if that leaves nothing to compare."""
    playing = shares[np.array(target) > 0]
    return playing / playing.sum() if len(playing) > 1 and playing.any() else shares


def _inside_band(shares: Array, target: Sequence[float], n: int) -> bool:
    tau = np.array(target)
    playing = int((tau > 0).sum())
    # Two groups are each other's mirror image: one band holds for both.
    z = ndtri(1 - (1 - _LEVEL) / 2 / (playing if playing > 2 else 1))
    return bool((np.abs(shares - tau) <= z * np.sqrt(tau * (1 - tau) / n)).all())
