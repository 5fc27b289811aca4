"""Shares from few human labels and many machine labels (Angelopoulos et al. 2023, arXiv 2301.09633 and 2311.01453).

    θ = mean_h(y − λ ŷ) + λ mean_m(ŷ)          λ = cov(y, ŷ) / ((1 + n/N) var ŷ), limited to 0 … 1

y is 1 if a human saw the group, ŷ is 1 if the machine did. mean_h is over the n images that both labelled, mean_m over
the N other images, which only the machine labelled. Whatever errors the machine makes, θ estimates the share that
humans would see; the better the machine, the narrower the interval. The human labels must be of images drawn at random
from all images.

The estimate equals that of the package `ppi-python` (tested). That package's interval, by the normal approximation, is
far too narrow for few human labels: at a share of 5 %, with 50 human labels and a machine that is right for 95 of 100
images, it covers 87 % instead of 95 %, and with 30 labels 69 %. The interval here therefore adds half an image to each
of the four pairs of labels that a human and a machine can give, as Agresti and Min (2005, Statistics in Medicine 24) do
for paired shares, and uses Student's t (see `benchmarks/coverage.md`). Exports `predict` and its result
`PredictedShare`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.special import stdtrit

from fair_diffusion.statistics.intervals import Interval, check_level

_FEWEST = 30
_ADDED = 0.5

Pairs = tuple[float, float, float, float]
"""Images by who saw the group in them: human and machine, human only, machine only, neither."""


class PredictedShare(NamedTuple):
    """The share of one group, from human and machine labels together.

    Attributes:
        human: share among the human labels.
        machine: share among the machine's labels of the other images.
        estimate: share that humans would see, θ.
        low: lower end of its interval, which holds for this group alone.
        high: upper end of its interval.
        weight: λ, the trust in the machine: at 0 only the human labels count.
    """

    human: float
    machine: float
    estimate: float
    low: float
    high: float
    weight: float


def predict(pairs: Pairs, count: float, n: float, *, level: float = 0.95) -> PredictedShare:
    """Estimate the share of one group that humans would see.

    Args:
        pairs: the images that both labelled, by who saw the group: human and machine, human only, machine only,
            neither; at least 30 in sum.
        count: other images in which the machine saw the group, 0 to `n`.
        n: all other images, 1 or more.
        level: confidence of the interval, strictly between 0 and 1.

    Raises:
        ValueError: too few human labels, no other image, counts that are negative or too large, or a wrong level.
    """
    both, human_only, machine_only, neither = pairs
    labelled = sum(pairs)
    if min(pairs) < 0:
        raise ValueError(f"pairs is {pairs}: counts of images must not be negative")
    if labelled < _FEWEST:
        raise ValueError(f"{labelled:g} human labels are too few: label at least {_FEWEST} images, drawn at random")
    if n < 1:
        raise ValueError("the machine has labelled no other image: without them use the human labels alone")
    if not 0 <= count <= n:
        raise ValueError(f"count is {count:g}: give a number of images from 0 to {n:g}")
    check_level(level)
    estimate, weight = _estimate(pairs, count, n)
    added = (both + _ADDED, human_only + _ADDED, machine_only + _ADDED, neither + _ADDED)
    low, high = _interval(added, count, n, level)
    return PredictedShare(
        human=(both + human_only) / labelled,
        machine=count / n,
        estimate=min(1.0, max(0.0, estimate)),
        low=max(0.0, low),
        high=min(1.0, high),
        weight=weight,
    )


def _estimate(pairs: Pairs, count: float, n: float) -> tuple[float, float]:
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


def _interval(pairs: Pairs, count: float, n: float, level: float) -> Interval:
    """θ ± t standard errors. t is Student's for the number of human labels, the smaller of the two samples."""
    both, human_only, machine_only, _ = pairs
    labelled, share = sum(pairs), count / n
    estimate, weight = _estimate(pairs, count, n)
    # y − λ ŷ is 1 − λ, 1, −λ or 0 in the four kinds of pairs.
    mean = (both * (1 - weight) + human_only - machine_only * weight) / labelled
    square = (both * (1 - weight) ** 2 + human_only + machine_only * weight**2) / labelled
    variance = (square - mean**2) / labelled + weight**2 * share * (1 - share) / n
    half = float(stdtrit(labelled - 1, (1 + level) / 2)) * math.sqrt(variance)
    return estimate - half, estimate + half
