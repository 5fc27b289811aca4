"""Tests and intervals for the difference of two shares, and p values corrected for several tests.

    same seeds:   McNemar's mid-p test: of the images that changed, half are expected to change in each direction
                  (McNemar 1947, Psychometrika 12). Its interval is Tango's score interval (1998, Statistics in Medicine
                  17).
    other images: Fisher's mid-p test. Its interval is Newcombe's, from two Wilson intervals (1998, Statistics in
                  Medicine 17, method 10).

Mid-p counts outcomes as likely as the observed one by half (Lancaster 1961, JASA 56). Exact p values count them fully,
and so reject a true "no difference" of two samples of 50 images in 2 of 100 cases where 5 are allowed; mid-p values do
so in 4 to 6 (Fagerland, Lydersen and Laake 2013, BMC Medical Research Methodology 13). Test and interval come from
different methods, and at the border one could exclude 0 and the other not. `agreed` widens what it is given until both
say the same.

Of 150 concepts, 7 change "significantly" on average even if nothing changes. Holm's correction (1979, Scandinavian
Journal of Statistics 6) bounds the probability of any false difference by 5 %. Benjamini and Hochberg's (1995, JRSS B
57) bounds the expected share of false differences among the reported ones by 5 %. An interval holds for its own
difference alone.
Exports `fisher_p`, `mcnemar_p`, `newcombe`, `tango`, `agreed`, `holm` and `benjamini_hochberg`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, ndtri

from fair_diffusion.statistics.intervals import Array, Interval, score_bounds

_HALVINGS = 60
_TIE = 1e-7
"""Outcomes whose probabilities differ relatively by less are equally likely."""


def fisher_p(before: int, n_before: int, after: int, n_after: int) -> float:
    """Two-sided mid-p of Fisher's test: are two independent shares equal?

    Args:
        before: images of the first sample that show the group, 0 to `n_before`.
        n_before: images of the first sample.
        after: images of the second sample that show the group, 0 to `n_after`.
        n_after: images of the second sample.

    Returns:
        The p value; 1 if the shares are equal.
    """
    if before * n_after == after * n_before:
        return 1.0
    shown = before + after
    # Given the images that show the group in both samples, their number in the first is hypergeometric.
    x = np.arange(max(0, shown - n_after), min(n_before, shown) + 1)
    return _mid_p(_log_choose(n_before, x) + _log_choose(n_after, shown - x), before - int(x[0]))


def mcnemar_p(gained: int, lost: int) -> float:
    """Two-sided mid-p of McNemar's test: are two paired shares equal?

    Args:
        gained: pairs that show the group only after.
        lost: pairs that show the group only before.

    Returns:
        The p value; 1 if as many pairs changed one way as the other.
    """
    if gained == lost:
        return 1.0
    return _mid_p(_log_choose(gained + lost, np.arange(gained + lost + 1)), gained)


def _mid_p(log_weights: Array, observed: int) -> float:
    """The probability of outcomes less likely than the observed one, and half that of those as likely.

    Args:
        log_weights: logarithms of the probabilities of all outcomes, up to a constant.
        observed: the place of the observed outcome.
    """
    weights = np.exp(log_weights - log_weights.max())
    own = weights[observed]
    rarer, alike = weights < own * (1 - _TIE), np.abs(weights - own) <= own * _TIE
    return float((weights[rarer].sum() + weights[alike].sum() / 2) / weights.sum())


def _log_choose(n: int, k: NDArray[np.int64]) -> Array:
    """Logarithm of the binomial coefficients n over k."""
    return np.asarray(-math.log(n + 1) - betaln(n - k + 1, k + 1), dtype=np.float64)


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
    lows, highs = score_bounds([before, after], [n_before, n_after], level)
    (low_p, low_q), (high_p, high_q) = lows.tolist(), highs.tolist()
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


def agreed(p: float, interval: Interval, *, level: float = 0.95) -> tuple[float, Interval]:
    """p and interval of one difference, widened where they disagree about whether there is one.

    An interval that excludes 0 while p is not small enough is extended to 0. A p that is small enough while the
    interval holds 0 is raised to 1 − level. Both say "a difference" only if both did before.

    Args:
        p: two-sided p of the hypothesis that there is no difference.
        interval: the interval of the difference.
        level: confidence of the interval.
    """
    low, high = interval
    if low <= 0 <= high:
        return max(p, 1 - level), interval
    return (p, interval) if p < 1 - level else (p, (min(low, 0.0), max(high, 0.0)))


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
