"""Shares from few human labels and many machine labels (Angelopoulos et al. 2023, arXiv 2301.09633 and 2311.01453).

    θ = mean_h(y − λ ŷ) + λ mean_m(ŷ)          λ = cov(y, ŷ) / ((1 + n/N) var ŷ), cut to 0 to 1

y: a human saw the group, ŷ: the machine did, on the n images labelled by both (h) and the N other ones (m). Whatever
errors the machine makes, θ estimates what humans would see; the better the machine, the narrower the interval. The
human labels must be of images drawn at random from the same pool as the others.

The estimate is that of the package `ppi-python`, to the last digits (tested). Its interval, by the normal
approximation, is far too narrow for few human labels: at a share of 5 %, 50 of them and a machine right 95 times of 100
it covers 87 % instead of 95 %, and with 30 of them 69 %. So the interval here is taken after half an image is added to
each of the four pairs of labels that a human and a machine can give, as Agresti and Min (2005, Statistics in Medicine
24) do for paired shares, and by Student's t (see `benchmarks/coverage.md`). Exports `predict` with its lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.intervals import Interval

_FEWEST = 30
_ADDED = 0.5
# Images by (human saw the group, machine did): both, human only, machine only, neither.
_Pairs = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """One group, from human and machine labels together.

    Attributes:
        group: the group.
        human: its share among the human labels.
        machine: its share among the machine's labels of the other images.
        estimate: its share as a human would see it.
        low: lower end of the interval of `estimate`, which holds for this group alone.
        high: its upper end.
        weight: λ, how far the machine is trusted: at 0 only the human labels count.
    """

    group: str
    human: float
    machine: float
    estimate: float
    low: float
    high: float
    weight: float


def predict(
    human: Sequence[str | None], machine: Sequence[str | None], rest: Tally, *, level: float = 0.95
) -> list[Predicted]:
    """Shares of each group of `rest`, over all images, unknown ones included.

    Args:
        human: what a human saw in each labelled image, None where they could not tell; at least 30 labels.
        machine: what the machine read in the same images, in the same order.
        rest: what the machine read in the other images.
        level: confidence of each interval.

    Raises:
        ValueError: too few labels or images, sequences of different length, or a label that is no group of `rest`.
    """
    if len(human) != len(machine):
        raise ValueError(f"{len(human)} human labels and {len(machine)} of the machine: give both for each image")
    if len(human) < _FEWEST:
        raise ValueError(f"{len(human)} human labels are too few: label at least {_FEWEST} images, drawn at random")
    if rest.n < 1:
        raise ValueError("the machine has labelled no other image: without them use the human labels alone")
    strange = sorted({label for label in [*human, *machine] if label is not None} - set(rest.counts))
    if strange:
        raise ValueError(f"label {strange[0]!r} is no group of {rest.attribute}: use {list(rest.counts)}, or None")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: give a number between 0 and 1, such as 0.95")
    return [_predicted(group, human, machine, count, rest.n, level) for group, count in rest.counts.items()]


def _predicted(
    group: str, human: Sequence[str | None], machine: Sequence[str | None], count: int, n: int, level: float
) -> Predicted:
    seen = [(y == group, read == group) for y, read in zip(human, machine, strict=True)]
    pairs = tuple(float(seen.count(pair)) for pair in ((True, True), (True, False), (False, True), (False, False)))
    both, human_only, machine_only, neither = pairs
    estimate, weight = _estimate((both, human_only, machine_only, neither), count, n)
    added = (both + _ADDED, human_only + _ADDED, machine_only + _ADDED, neither + _ADDED)
    low, high = _interval(added, count, n, level)
    return Predicted(
        group=group,
        human=(both + human_only) / len(human),
        machine=count / n,
        estimate=min(1.0, max(0.0, estimate)),
        low=max(0.0, low),
        high=min(1.0, high),
        weight=weight,
    )


def _estimate(pairs: _Pairs, count: float, n: float) -> tuple[float, float]:
    """θ and λ, where the machine saw the group in `count` of the `n` other images."""
    both, human_only, machine_only, _ = pairs
    labelled = sum(pairs)
    y, read = (both + human_only) / labelled, (both + machine_only) / labelled
    pooled = (both + machine_only + count) / (labelled + n)
    variance = pooled * (1 - pooled) * (labelled + n) / (labelled + n - 1)
    covariance = both / labelled - y * read
    weight = covariance / ((1 + labelled / n) * variance) if variance else 0.0
    weight = min(1.0, max(0.0, weight))
    return y - weight * read + weight * count / n, weight


def _interval(pairs: _Pairs, count: float, n: float, level: float) -> Interval:
    """θ ± t standard errors, t being Student's for the human labels: they are the small sample."""
    both, human_only, machine_only, _ = pairs
    labelled, share = sum(pairs), count / n
    estimate, weight = _estimate(pairs, count, n)
    mean = (both * (1 - weight) + human_only - machine_only * weight) / labelled
    square = (both * (1 - weight) ** 2 + human_only + machine_only * weight**2) / labelled
    variance = (square - mean**2) / labelled + weight**2 * share * (1 - share) / n
    half = float(stdtrit(labelled - 1, (1 + level) / 2)) * math.sqrt(variance)
    return estimate - half, estimate + half
