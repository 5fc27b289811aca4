"""The mean deviation of the process behind the images, apart from what few images deviate by chance.

    δ_k = ½ Σ_g |p_kg − τ_kg|     p_k: the shares that prompt k would show in the long run, τ_k: its target
    θ   = mean of δ_k over prompts like those at hand

The same formula with the observed shares is too large: a fair coin thrown 20 times deviates by 0.088. θ is estimated
by cross-fitting (Cox 1975, Biometrika 62; Chernozhukov et al. 2018, Econometrics Journal 21). The images of each prompt
are cut in two halves A and B at random, 64 times:

    h_k = Σ_{g ∈ S_k} (share of g in half B − τ_kg),     S_k: the groups that half A shows too often

A and B are independent, so the expected h_k is p_k(S_k) − τ_k(S_k). That is 0 where the process is on target, and never
more than δ_k. It is less where half A mistakes the direction, so the estimate leans to small values for prompts that
deviate by less than the noise of their images. To choose S_k, the shares in A are shrunk towards those of all prompts,
as in James and Stein's estimator: where all prompts lean one way, the direction is then sure.

The interval is that of `over_prompts`: its low end is taken of h_k, which are too small if anything, and its high end
of y_k, which are too large:

    y_k = 2 · observed deviation − its mean over as many images drawn from the observed shares

This is the observed deviation less its bias as a bootstrap estimates it (Efron and Tibshirani 1993, chapter 10), which
is less than all of it. `benchmarks/coverage.md` has the coverage. Exports `process_deviation`, `process_bounds`,
`less_biased_deviations`, `expected_deviation` and `worst_deviation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr

from fair_diffusion.statistics.intervals import Array
from fair_diffusion.statistics.over_prompts import FEWEST, high_end, low_end

_SPLITS, _FEWEST_SPLITS, _DRAWS = 64, 4, 2_000_000
"""Numbers of splits, and of counts in all splits together above which fewer are made."""
_MOST = 10**8
"""Larger counts of a prompt are scaled down to it: the generator takes no larger ones, and they have no noise left."""


@dataclass(frozen=True, kw_only=True)
class ProcessDeviation:
    """The mean deviation of a process.

    Attributes:
        estimate: by cross-fitting, 0 or more.
        low: lower end of the 95 % interval over prompts of the same sort; None for fewer than `FEWEST` prompts.
        high: upper end of that interval.
    """

    estimate: float
    low: float | None
    high: float | None


def process_deviation(
    counts: Sequence[ArrayLike] | NDArray[np.int64], targets: ArrayLike, *, seed: int = 0
) -> ProcessDeviation:
    """Estimate how far the process behind some counts is from its targets, as a mean over prompts.

    Args:
        counts: for each prompt its images by phrasing and group, shape (phrasings, groups). A prompt without phrasings
            has shape (groups,). "Unknown" is a group like others, whose target is 0. With `FEWEST` phrasings or more,
            halves are made of phrasings, so that the estimate speaks of phrasings like these; else of images.
        targets: the share asked for of each group, shape (prompts, groups).
        seed: seed of the splits.

    Raises:
        ValueError: shapes that do not fit, or a prompt without images.
    """
    rows = [np.atleast_2d(np.asarray(own, dtype=np.int64)) for own in counts]
    asked = np.asarray(targets, dtype=np.float64)
    if not rows or asked.ndim != 2 or any(row.shape[1:] != asked.shape[1:] for row in rows) or len(rows) != len(asked):
        raise ValueError(f"counts of {len(rows)} prompts do not fit targets of shape {asked.shape}: give one row each")
    if empty := [k for k, row in enumerate(rows) if not row.any()]:
        raise ValueError(f"prompt {empty[0]} has no images: leave it out")
    padded = np.zeros((len(rows), max(map(len, rows)), asked.shape[1]), dtype=np.int64)
    for k, row in enumerate(rows):
        padded[k, : len(row)] = row
    splits = int(np.clip(_DRAWS // padded.size, _FEWEST_SPLITS, _SPLITS))
    estimate, low, high = process_bounds(padded, asked, splits=splits, seed=seed)
    if len(rows) < FEWEST:
        return ProcessDeviation(estimate=float(estimate), low=None, high=None)
    return ProcessDeviation(estimate=float(estimate), low=float(low), high=float(high))


def process_bounds(
    counts: ArrayLike, targets: ArrayLike, *, splits: int = 64, seed: int = 0
) -> tuple[Array, Array, Array]:
    """Estimates and ends of the intervals of many studies of the same size at once.

    Args:
        counts: images, shape (…, prompts, phrasings, groups); phrasings without images do not count. Not checked.
        targets: shares, shape (prompts, groups) or (groups,).
        splits: how many times the images of a prompt are cut in halves.
        seed: seed of the splits.

    Returns:
        Estimate, lower end and upper end, each of shape (…). For a single prompt the ends are not numbers.
    """
    shown = np.asarray(counts, dtype=np.int64)
    shown = shown // np.maximum(-(-shown.sum(axis=(-2, -1), keepdims=True) // _MOST), 1)
    asked = np.broadcast_to(np.asarray(targets, dtype=np.float64), shown.shape[-3:-2] + shown.shape[-1:])
    fitted = _cross_fitted(shown, asked, splits, np.random.default_rng(seed))
    estimate = np.maximum(fitted.mean(axis=-1), 0)
    if shown.shape[-3] < 2:
        return estimate, np.full_like(estimate, np.nan), np.full_like(estimate, np.nan)
    less_biased = less_biased_deviations(shown.sum(axis=-2), asked)
    worst = np.maximum(less_biased.max(axis=-1), max(map(worst_deviation, asked)))
    return estimate, low_end(fitted), np.maximum(high_end(less_biased, worst), estimate)


def _cross_fitted(counts: NDArray[np.int64], asked: Array, splits: int, rng: np.random.Generator) -> Array:
    """h_k of every prompt, as its mean over splits; each half serves as A and as B. Shape (…, prompts)."""
    images = counts.sum(axis=-2)
    fitted = np.zeros(images.shape[:-1])
    for _ in range(splits):
        a = _half(counts, images, rng)
        b = images - a
        in_b, has_b = _excess(b, asked, _too_often(a, asked))
        in_a, has_a = _excess(a, asked, _too_often(b, asked))
        fitted += (in_a + in_b) / np.maximum(has_a + has_b, 1)
    return fitted / splits


def _half(counts: NDArray[np.int64], images: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Half of the images of every prompt, at random: of whole phrasings where there are enough. (…, prompts, groups)"""
    half = _half_of_images(images, rng)
    phrasings = counts.any(axis=-1)
    number = phrasings.sum(axis=-1, keepdims=True)
    if not (number >= FEWEST).any():
        return half
    order = np.argsort(np.where(phrasings, rng.random(phrasings.shape), 2), axis=-1).argsort(axis=-1)
    chosen = order < (number + rng.integers(0, 2, number.shape)) // 2
    return np.where(number >= FEWEST, (counts * (chosen & phrasings)[..., None]).sum(axis=-2), half)


def _half_of_images(images: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Half of the images of every prompt, without replacement: group by group, hypergeometric. (…, prompts, groups)"""
    left = images.sum(axis=-1)
    wanted = (left + rng.integers(0, 2, left.shape)) // 2  # of an odd number, one half gets one more by lot
    half = np.zeros_like(images)
    for group in range(images.shape[-1] - 1):
        left = left - images[..., group]
        half[..., group] = rng.hypergeometric(images[..., group], left, wanted)
        wanted = wanted - half[..., group]
    half[..., -1] = wanted
    return half


def _too_often(half: NDArray[np.int64], asked: Array) -> NDArray[np.bool_]:
    """The groups that half A shows too often, with shares shrunk towards those of all prompts. (…, prompts, groups)

    The weight of a prompt's own shares is v / (v + w): v is the variance between prompts, w the one within a prompt,
    both summed over groups. A prompt without images in this half goes by the others alone.
    """
    n = half.sum(axis=-1, keepdims=True)
    there = n > 0
    prompts = np.maximum(there.sum(axis=-2, keepdims=True), 1)

    def mean(values: Array, where: NDArray[np.bool_], number: Array | NDArray[np.int64]) -> Array:
        return np.asarray(np.where(where, values, 0).sum(axis=-2, keepdims=True) / number)

    share = half / np.maximum(n, 1)
    off = share - asked
    common = mean(off, there, prompts)
    # Of one image, a prompt's own variance is not known: then it is that of the shares of all prompts together.
    several = n > 1
    own = (share * (1 - share)).sum(axis=-1, keepdims=True) * n / np.maximum(n - 1, 1)
    pooled = mean(share, there, prompts)
    single = np.where(
        several.any(axis=-2, keepdims=True),
        mean(own, several, np.maximum(several.sum(axis=-2, keepdims=True), 1)),
        (pooled * (1 - pooled)).sum(axis=-1, keepdims=True),
    )
    within = single / np.maximum(n, 1)
    spread = mean(((off - common) ** 2).sum(axis=-1, keepdims=True), there, np.maximum(prompts - 1, 1))
    between = np.maximum(spread - mean(within, there, prompts), 0)
    weight = np.where(there, between / np.maximum(between + within, 1e-12), 0)
    return np.asarray(weight * off + (1 - weight) * common > 0)


def _excess(half: NDArray[np.int64], asked: Array, groups: NDArray[np.bool_]) -> tuple[Array, NDArray[np.int64]]:
    """By how much half B shows these groups too often, and 1 where B has images, else 0. Two times (…, prompts)"""
    n = half.sum(axis=-1, keepdims=True)
    off = np.where(groups & (n > 0), half / np.maximum(n, 1) - asked, 0)
    return off.sum(axis=-1), (n[..., 0] > 0).astype(np.int64)


def less_biased_deviations(images: NDArray[np.int64], asked: Array) -> Array:
    """y_k: twice the observed deviation, less its mean over as many draws from the observed shares; 0 or more.

    Args:
        images: counts, shape (…, groups), each with at least 1 image; not checked.
        asked: targets, which broadcast against the counts.

    Returns:
        An array of shape (…).
    """
    n = images.sum(axis=-1, keepdims=True)
    share = images / n
    return np.asarray(np.maximum(np.abs(share - asked).sum(axis=-1) - expected_deviation(share, asked, n[..., 0]), 0))


def expected_deviation(shares: ArrayLike, targets: ArrayLike, n: ArrayLike) -> Array:
    """The deviation from targets that n independent draws from `shares` have on average: ½ Σ_g E|X_g / n − τ_g|.

    X_g is binomial, and E|X − nτ| = 2 [nτ F_n(m) − np F_{n−1}(m − 1)] + np − nτ, with m = ⌊nτ⌋ and the binomial
    distribution functions F (de Moivre; Diaconis and Zabell 1991, Statistical Science 6). For shares equal to the
    target it is `metrics.noise_floor`.

    Args:
        shares: of the groups, shape (…, groups).
        targets: of the groups, shape (…, groups).
        n: numbers of draws, 1 or more, shape (…).
    """
    share, target, draws = np.broadcast_arrays(
        np.asarray(shares, dtype=np.float64), np.asarray(targets, dtype=np.float64), np.asarray(n)[..., None]
    )
    n_target = draws * target
    m = np.floor(n_target + 1e-9)
    up_to = bdtr(np.minimum(m, draws), draws, share)
    fewer = np.where(
        m >= draws, 1.0, np.where(m < 1, 0.0, bdtr(np.clip(m - 1, 0, draws - 1), np.maximum(draws - 1, 1), share))
    )
    mean = 2 * (n_target * up_to - draws * share * fewer) + draws * share - n_target
    return np.asarray(np.abs(mean).sum(axis=-1) / (2 * draws[..., 0]))


def worst_deviation(target: Sequence[float] | Array) -> float:
    """The largest deviation that a prompt can have: all images show the group asked for least, of those in play."""
    playing = [share for share in target if share > 0]
    return float(1 - min(playing)) if len(playing) > 1 else 1.0
