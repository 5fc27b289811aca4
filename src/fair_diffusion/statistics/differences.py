"""Tests and intervals for the difference of two shares, and p values corrected for several tests.

    same seeds:   McNemar's exact test (1947, Psychometrika 12): of the images that changed, half are expected to change
                  in each direction. Its interval is Tango's score interval (1998, Statistics in Medicine 17).
    other images: Fisher's exact test. Its interval is Newcombe's, from two Wilson intervals (1998, Statistics in
                  Medicine 17, method 10).

Of 150 concepts, 7 change "significantly" on average even if nothing changes. Holm's correction (1979, Scandinavian
Journal of Statistics 6) bounds the probability of any false difference by 5 %. Benjamini and Hochberg's (1995, JRSS B
57) bounds the expected share of false differences among the reported ones by 5 %. An interval holds for its own
difference alone. It is not the inverse of the test: at the border one may exclude 0 and the other not.
Exports `fisher_p`, `mcnemar_p`, `newcombe`, `tango`, `holm` and `benjamini_hochberg`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from fair_diffusion.statistics.intervals import Array, Interval, wilson

_HALVINGS = 60


def fisher_p(before: int, n_before: int, after: int, n_after: int) -> float:
    """Two-sided p of Fisher's exact test: are two independent shares equal?

    Args:
        before: images of the first sample that show the group, 0 to `n_before`.
        n_before: images of the first sample.
        after: images of the second sample that show the group, 0 to `n_after`.
        n_after: images of the second sample.
    """
    from scipy.stats import fisher_exact

    return min(1.0, float(fisher_exact([[before, n_before - before], [after, n_after - after]]).pvalue))


def mcnemar_p(gained: int, lost: int) -> float:
    """Two-sided p of McNemar's exact test: are two paired shares equal?

    Args:
        gained: pairs that show the group only after.
        lost: pairs that show the group only before.

    Returns:
        The p value; 1 if no pair changed.
    """
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def newcombe(before: int, n_before: int, after: int, n_after: int, *, level: float = 0.95) -> Interval:
    """Newcombe's interval of the difference of two independent shares, after − before.

    Args:
        before: images of the first sample that show the group, 0 to `n_before`.
        n_before: images of the first sample, 1 or more.
        after: images of the second sample that show the group, 0 to `n_after`.
        n_after: images of the second sample, 1 or more.
        level: confidence, strictly between 0 and 1.
    """
    p, q = before / n_before, after / n_after
    (low_p, high_p), (low_q, high_q) = wilson(before, n_before, level), wilson(after, n_after, level)
    return (
        q - p - math.hypot(q - low_q, high_p - p),
        q - p + math.hypot(high_q - q, p - low_p),
    )


def tango(gained: int, lost: int, n: int, *, level: float = 0.95) -> Interval:
    """Tango's score interval of the difference of two paired shares, after − before.

    Args:
        gained: pairs that show the group only after.
        lost: pairs that show the group only before.
        n: all pairs, 1 or more.
        level: confidence, strictly between 0 and 1.
    """
    z = float(ndtri((1 + level) / 2))
    observed = (gained - lost) / n

    def crossing(end: float) -> float:
        inner, outer = observed, end
        for _ in range(_HALVINGS):
            middle = (inner + outer) / 2
            if abs(_score(gained, lost, n, middle)) <= z:
                inner = middle
            else:
                outer = middle
        return outer

    return crossing(-1.0), crossing(1.0)


def _score(gained: int, lost: int, n: int, difference: float) -> float:
    """Tango's statistic: the distance of the observed from the supposed `difference`, in standard errors."""
    b = -gained - lost + (2 * n - gained + lost) * difference
    c = -lost * difference * (1 - difference)
    # Maximum-likelihood share of pairs that lose the group, given the difference.
    losing = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * losing + difference * (1 - difference))
    distance = gained - lost - n * difference
    if variance <= 0:
        return 0.0 if distance == 0 else math.inf
    return distance / math.sqrt(variance)


def holm(p: ArrayLike) -> Array:
    """p values corrected by Holm's step-down method, in the order given.

    Args:
        p: p values of all tests of the family, shape (tests,).
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> Array:
    """p values corrected for the false discovery rate by Benjamini and Hochberg's method, in the order given.

    Args:
        p: p values of all tests of the family, shape (tests,).
    """
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(p), dtype=np.float64)
