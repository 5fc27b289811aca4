"""Ends of an interval for a mean deviation over prompts: prompts are clusters, and there are more than were drawn.

    low   the smaller of  v̄ − s/√K · (t − skewness · (1 + 2t²) / (6√K))   and   error^(1/K) · v̄
    high  mean of v + s/√(K+1) · t,   over the K prompts and one more that deviates as far as can be

v are deviations of K prompts, 0 or more, s their spread, and t is Student's quantile. The low end has Johnson's
correction for skewness (1978, JASA 73). Its second term allows for prompts on target where none was drawn: of K prompts
none may turn up, although each is one with probability 1 − error^(1/K) (Hanley and Lippman-Hand 1983, JAMA 249). The
high end adds a prompt that fails, as Agresti and Coull (1998, The American Statistician 52) add failures: of 20 prompts
none may fail although 1 in 10 does. So no end lies on the mean, however alike the prompts are. Of the 5 % error, 3.5 %
are spent at the low end and 1.5 % at the high one.

The ends assume that the prompts are a random sample of the prompts that matter; a hand-picked list is not one.
`benchmarks/coverage.md` has the coverage. Exports `FEWEST`, `low_end`, `high_end` and
`high_end_of`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from fair_diffusion.statistics.intervals import Array

FEWEST = 5
"""The least number of prompts with an interval, and of phrasings that are taken as clusters: the spread of fewer is not
known."""
_LOW_ERROR, _HIGH_ERROR = 0.035, 0.015


def low_end(deviations: ArrayLike) -> Array:
    """Lower ends of 95 % intervals of mean deviations; shape (…, prompts) → (…). At least 2 prompts; not checked."""
    values = np.asarray(deviations, dtype=np.float64)
    k = values.shape[-1]
    mean, spread = values.mean(axis=-1), values.std(axis=-1, ddof=1)
    third = ((values - mean[..., None]) ** 3).mean(axis=-1)
    # Equal values differ by rounding alone; their skewness is none.
    skewness = np.divide(third, spread**3, out=np.zeros_like(third), where=spread > 1e-9)
    t = float(stdtrit(k - 1, 1 - _LOW_ERROR))
    low = mean - spread / np.sqrt(k) * (t - skewness * (1 + 2 * t * t) / (6 * np.sqrt(k)))
    return np.asarray(np.maximum(np.minimum(low, _LOW_ERROR ** (1 / k) * mean), 0))


def high_end(deviations: ArrayLike, worst: ArrayLike) -> Array:
    """Upper ends of 95 % intervals of mean deviations.

    Args:
        deviations: shape (…, prompts), at least 1 prompt; not checked.
        worst: the deviation of a prompt that fails wholly, shape (…).

    Returns:
        An array of shape (…).
    """
    values = np.asarray(deviations, dtype=np.float64)
    return high_end_of(values.shape[-1], values.mean(axis=-1), values.std(axis=-1), worst)


def high_end_of(prompts: int, mean: ArrayLike, spread: ArrayLike, worst: ArrayLike) -> Array:
    """Upper ends of 95 % intervals, from the mean and the spread of the deviations.

    Args:
        prompts: how many there are, 1 or more; not checked.
        mean: their mean deviation, shape (…).
        spread: the root of their mean squared distance from it, shape (…).
        worst: the deviation of a prompt that fails wholly, shape (…).

    Returns:
        An array of shape (…).
    """
    centre, largest = np.asarray(mean, dtype=np.float64), np.asarray(worst, dtype=np.float64)
    m = prompts + 1
    # Of the prompts and one more with the worst deviation: the mean, and the variance with m − 1 in the denominator.
    moved = (prompts * centre + largest) / m
    variance = np.asarray(spread) ** 2 + (largest - centre) ** 2 / m
    t = float(stdtrit(m - 1, 1 - _HIGH_ERROR))
    return np.asarray(np.minimum(moved + t * np.sqrt(variance / m), largest))
