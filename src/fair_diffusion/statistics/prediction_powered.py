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
for paired shares, and uses Student's t (see `benchmarks/coverage.md`).

Several concepts, whose images were labelled to different extents, are strata (Fisch et al. 2024, arXiv 2406.04291):

    θ = Σ_k N_k/N · θ_k        θ_k as above, with one λ for all strata
    Var θ = Σ_k (N_k/N)² (s²_k(y − λ ŷ) / n_k + λ² s²_k(ŷ) / (N_k − n_k))

N_k are all images of stratum k, n_k the labelled ones, and λ makes the variance smallest. Without the weights N_k/N the
concepts with most labels would stand for all: with labels of 3 of 20 concepts, a 95 % interval holds 40 to 70 times of
100. Student's t has Satterthwaite's degrees of freedom (1946, Biometrics Bulletin 2). Exports `predict`,
`predict_strata`, `labels_wanted`, `expected_half_width`, the `Stratum` that they take and their result
`PredictedShare`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from fair_diffusion.statistics.intervals import Array, Interval, check_level

FEWEST_IN_ALL, FEWEST_EACH = 30, 5
"""Human labels that an estimate needs: in all, and of each of several strata."""
_ADDED = 0.5
_TOO_FEW = f"{{labelled:g}} human labels are too few: label at least {FEWEST_IN_ALL} images, drawn at random"
_NO_OTHER = "the machine has labelled no other image: without them use the human labels alone"

Pairs = tuple[float, float, float, float]
"""Images by who saw the group in them: human and machine, human only, machine only, neither."""


class Stratum(NamedTuple):
    """One concept, for one group.

    Attributes:
        pairs: the images that both labelled.
        seen: other images in which the machine saw the group.
        n: all other images; 0 if people labelled every image.
    """

    pairs: Pairs
    seen: float
    n: float


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
    if labelled < FEWEST_IN_ALL:
        raise ValueError(
            f"{labelled:g} human labels are too few: label at least {FEWEST_IN_ALL} images, drawn at random"
        )
    if n < 1:
        raise ValueError(_NO_OTHER)
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


def predict_strata(strata: Sequence[Stratum], *, level: float = 0.95) -> PredictedShare:
    """Estimate the share of one group that humans would see in all images of several concepts together.

    Each concept weighs as much as it has images, however many of them are labelled. Within each concept the labelled
    images must be drawn at random.

    Args:
        strata: the concepts, at least 2, each with at least 5 human labels; at least 30 in sum.
        level: confidence of the interval, strictly between 0 and 1.

    Returns:
        The share of the group in all images. `human` and `machine` are weighted as the estimate is.

    Raises:
        ValueError: too few strata or human labels, no other image, counts that are negative or too large, or a wrong
            level.
    """
    check_level(level)
    if len(strata) < 2:
        raise ValueError(f"there are {len(strata)} concepts: a single one is estimated by `predict`")
    labelled = np.array([sum(stratum.pairs) for stratum in strata], dtype=np.float64)
    for stratum, own in zip(strata, labelled, strict=True):
        if min(stratum.pairs) < 0 or not 0 <= stratum.seen <= stratum.n:
            raise ValueError(f"{stratum} has counts that are negative or too large: give numbers of images")
        if own < FEWEST_EACH:
            raise ValueError(f"a concept has {own:g} human labels: label at least {FEWEST_EACH} images of each")
    if labelled.sum() < FEWEST_IN_ALL:
        raise ValueError(_TOO_FEW.format(labelled=labelled.sum()))
    if not any(stratum.n for stratum in strata):
        raise ValueError(_NO_OTHER)
    pairs = np.array([stratum.pairs for stratum in strata], dtype=np.float64)
    rest = np.array([stratum.n for stratum in strata], dtype=np.float64)
    read = np.array([stratum.seen for stratum in strata], dtype=np.float64) / np.maximum(rest, 1)
    weights = (labelled + rest) / (labelled + rest).sum()
    shares, trust = _shares(pairs, read, rest, weights)
    # As for a single concept half an image is added to each kind of pair, here spread over the concepts.
    added = pairs + _ADDED / len(strata)
    smoothed, weight = _shares(added, read, rest, weights)
    # y − λ ŷ in the four kinds of pairs.
    values = np.stack([1 - weight, np.ones_like(weight), -weight, np.zeros_like(weight)], axis=1)
    kinds = added / added.sum(axis=1, keepdims=True)
    spread = (kinds * values**2).sum(axis=1) - (kinds * values).sum(axis=1) ** 2
    parts = np.concatenate(
        [
            weights**2 * spread / (labelled - 1),
            weights**2 * weight**2 * read * (1 - read) / np.maximum(rest, 1),
        ]
    )
    degrees = np.concatenate([labelled - 1, np.maximum(rest - 1, 1)])
    freedom = parts.sum() ** 2 / (parts**2 / degrees).sum()
    half = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(parts.sum())
    middle = float(weights @ smoothed)
    return PredictedShare(
        human=float(weights @ ((pairs[:, 0] + pairs[:, 1]) / labelled)),
        machine=float(np.average(read, weights=np.where(rest > 0, weights, 0))),
        estimate=min(1.0, max(0.0, float(weights @ shares))),
        low=max(0.0, middle - half),
        high=min(1.0, middle + half),
        weight=float(trust.max()),
    )


def _shares(pairs: Array, read: Array, rest: Array, weights: Array) -> tuple[Array, Array]:
    """θ and λ of each stratum; λ is the same in all of them, but 0 where no image is left to the machine alone.

    Args:
        pairs: labelled images of each stratum, shape (strata, 4).
        read: share of the other images in which the machine saw the group, shape (strata,).
        rest: number of the other images, shape (strata,).
        weights: share of each stratum among all images, shape (strata,).
    """
    labelled = pairs.sum(axis=1)
    human, machine = (pairs[:, 0] + pairs[:, 1]) / labelled, (pairs[:, 0] + pairs[:, 2]) / labelled
    together = labelled + rest
    pooled = (labelled * machine + rest * read) / together
    variance = pooled * (1 - pooled) * together / (together - 1)
    covariance = pairs[:, 0] / labelled - human * machine
    # Where every image is labelled, 1 / rest is left out: λ is 0 there and the term must not count.
    told = rest > 0
    inverse = 1 / labelled[told] + 1 / rest[told]
    most = float((weights[told] ** 2 * variance[told] * inverse).sum())
    least = float((weights[told] ** 2 * covariance[told] / labelled[told]).sum())
    trust = np.where(told, min(1.0, max(0.0, least / most if most else 0.0)), 0.0)
    return human + trust * (read - machine), trust


def labels_wanted(pairs: Pairs, n: float, *, half_width: float = 0.05, level: float = 0.95) -> int | None:
    """How many images people should label for an interval of ± `half_width`, when the machine reads all of them.

    The variance of θ is σ² ((1 − ρ²) / labels + ρ² / n), with σ² the variance of the human labels and ρ their
    correlation with the machine's (Broska, Howes and van Loon 2024, SocArXiv j3bnt); the number solves it for `labels`.

    Args:
        pairs: images that both labelled so far, as for `predict`; half an image is added to each kind.
        n: all images, labelled ones included.
        half_width: half the width of the interval that is wanted, as a share.
        level: confidence of that interval, strictly between 0 and 1.

    Returns:
        The number, at least 30; None if even labels of all `n` images would not do.
    """
    check_level(level)
    variance, alike = _pilot(pairs)
    left = (half_width / float(ndtri((1 + level) / 2))) ** 2 / variance - alike / n
    wanted = (1 - alike) / left if left > 0 else math.inf
    return max(FEWEST_IN_ALL, math.ceil(wanted)) if wanted <= n else None


def expected_half_width(pairs: Pairs, n: float, labels: float, *, level: float = 0.95) -> float:
    """Half the width of the interval that `labels` labelled images would give: the equation of `labels_wanted`.

    Args:
        pairs: as for `labels_wanted`.
        n: as for `labels_wanted`.
        labels: labelled images in all, above 0: those so far give the width now, more give what they would buy.
        level: as for `labels_wanted`.
    """
    check_level(level)
    if not labels > 0:
        raise ValueError(f"labels is {labels:g}: give a number of labelled images above 0")
    variance, alike = _pilot(pairs)
    return float(ndtri((1 + level) / 2)) * math.sqrt(variance * ((1 - alike) / min(labels, n) + alike / n))


def _pilot(pairs: Pairs) -> tuple[float, float]:
    """σ² of the human labels and ρ², with half an image added to each kind of pair."""
    both, human_only, machine_only, neither = (own + _ADDED for own in pairs)
    labelled = both + human_only + machine_only + neither
    human, machine = (both + human_only) / labelled, (both + machine_only) / labelled
    variance = human * (1 - human)
    return variance, (both / labelled - human * machine) ** 2 / (variance * machine * (1 - machine))
