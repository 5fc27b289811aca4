"""Differences of ways over the same prompts, with intervals that hold for all pairs of ways together.

    d_ij = mean over prompts of (v_ki − v_kj),        s_ij its standard error over the K prompts
    c    = 95 % quantile of max_ij |d*_ij − d_ij| / s*_ij over resamples of the prompts
    interval: d_ij ± c · s_ij,      and at least from d_ij − q (d_ij + w) to d_ij + q (w − d_ij),   q = 1 − 0.05^(1/K)

A resample draws K of the K prompts with replacement, with all their ways: prompts are clusters, and ways are compared
on the same ones (Efron and Tibshirani 1993, chapters 9 and 12; the largest statistic of all pairs as in Romano and Wolf
2005, JASA 100). The second ends allow for prompts unlike those drawn, on which two ways differ by w, the most that they
can: with probability 0.05 none of K prompts is one, although a part q of all prompts is (Hanley and Lippman-Hand 1983,
JAMA 249), as in `over_prompts`. Of 10 prompts, 35 samples of 100 hold none on which one way fails, if 1 in 10 is one.
The interval assumes that the prompts are a random sample of those that matter. `benchmarks/coverage.md` has the
coverage. Exports `FEWEST_PAIRS` and `paired_differences`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fair_diffusion.statistics.intervals import Array, check_level

FEWEST_PAIRS = 10
"""The least number of prompts with intervals: with fewer, they hold less often than they say."""
_RESAMPLES, _TOGETHER = 4_999, 4_000_000
_EQUAL = 1e-12
"""Standard errors below this value are rounding: the ways are equal on all prompts."""


def paired_differences(
    values: ArrayLike, most: float, *, level: float = 0.95, seed: int = 0
) -> tuple[Array, Array, Array]:
    """Differences of all pairs of ways, and the ends of their simultaneous intervals.

    Args:
        values: what was measured, shape (prompts, ways).
        most: the most by which two ways can differ on one prompt, above 0.
        level: confidence for all pairs together, strictly between 0 and 1.
        seed: seed of the resamples.

    Returns:
        Three arrays of shape (ways, ways): row i, column j is way i less way j. The ends are not numbers where there
        are fewer than `FEWEST_PAIRS` prompts, where two ways are equal on all prompts, and everywhere if two ways
        differ on so few prompts that resamples often have none of them.

    Raises:
        ValueError: values of another shape, that are not finite or that differ by more than `most`, or a level outside
            0 to 1.
    """
    measured = np.asarray(values, dtype=np.float64)
    check_level(level)
    if measured.ndim != 2 or not measured.size or not np.isfinite(measured).all():
        raise ValueError(f"values has shape {measured.shape}: give a finite number for every prompt and way")
    widest = float(np.ptp(measured, axis=1).max())
    if not max(widest - _EQUAL, 0) <= most < np.inf:
        raise ValueError(f"most is {most:g}: two ways differ by {widest:g} on a prompt, so give at least that")
    prompts = len(measured)
    mean, error = _differences(measured, np.ones((1, prompts)))
    if prompts < FEWEST_PAIRS:
        return mean[0], np.full_like(mean[0], np.nan), np.full_like(mean[0], np.nan)
    different = error[0] > _EQUAL
    half = np.where(different, np.maximum(error[0], _EQUAL) * _quantile(measured, mean[0], different, level, seed), 0)
    known = np.isfinite(half) & (different | (np.abs(mean[0]) > _EQUAL))
    unseen = 1 - (1 - level) ** (1 / prompts)
    low, high = (mean[0] + sign * np.maximum(half, unseen * (most - sign * mean[0])) for sign in (-1, 1))
    return mean[0], np.where(known, low, np.nan), np.where(known, high, np.nan)


def _quantile(measured: Array, mean: Array, different: Array, level: float, seed: int) -> float:
    """The quantile of the largest statistic over resamples; infinite where a pair often has no spread in them."""
    if not different.any():
        return 0.0
    rng = np.random.default_rng(seed)
    prompts, ways = measured.shape
    largest = []
    for size in _sizes(max(1, _TOGETHER // max(ways * ways, prompts))):
        drawn = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size)
        again, error = _differences(measured, drawn)
        # A resample without the prompts on which two ways differ says nothing of their spread.
        statistic = np.where(error > _EQUAL, np.abs(again - mean) / np.maximum(error, _EQUAL), np.inf)
        largest.append(np.where(different, statistic, 0).max(axis=(1, 2)))
    return float(np.quantile(np.concatenate(largest), level, method="higher"))


def _sizes(most: int) -> list[int]:
    """The resamples in parts of at most `most`."""
    return [min(most, _RESAMPLES - first) for first in range(0, _RESAMPLES, most)]


def _differences(measured: Array, times: ArrayLike) -> tuple[Array, Array]:
    """Mean differences of all pairs and their standard errors, of prompts that count so many times.

    Args:
        measured: shape (prompts, ways).
        times: shape (resamples, prompts); every row sums to the number of prompts.

    Returns:
        Two arrays of shape (resamples, ways, ways).
    """
    weights = np.asarray(times, dtype=np.float64)
    prompts, ways = measured.shape
    centred = measured - measured.mean(axis=0)
    products = (centred[:, :, None] * centred[:, None, :]).reshape(prompts, ways * ways)
    mean = weights @ centred / prompts
    second = (weights @ products).reshape(-1, ways, ways) / prompts - mean[:, :, None] * mean[:, None, :]
    own = np.diagonal(second, axis1=1, axis2=2)
    variance = own[:, :, None] + own[:, None, :] - 2 * second
    error = np.sqrt(np.maximum(variance, 0) / max(prompts - 1, 1))
    shift = measured.mean(axis=0)
    return mean[:, :, None] - mean[:, None, :] + (shift[:, None] - shift), error
