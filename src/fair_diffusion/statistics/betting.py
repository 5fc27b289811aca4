"""Shares as people would see them, valid however often one looks while people label: betting intervals.

A page that shows an interval after each label is wrong for one *look* in twenty, and sooner or later for most pages. A
confidence sequence is wrong for one *page* in twenty. The N pictures at hand are labelled in random order. The machine
has read all of them, so its share mean(ŷ) is known, and only its mean error is estimated:

    θ = mean(ŷ) + Δ,        Δ = the mean of z_i = y_i − ŷ_i over all N pictures, z_i in −1 … 1
    K_t(Δ) = Π_{i ≤ t} (1 + b_i (z_i − Δ_i)),    Δ_i = (N Δ − Σ_{j < i} z_j) / (N − i + 1)

Δ_i is the mean of what is left to label, so K_t is a martingale that starts at 1 if Δ is right: the money of somebody
who bets b_i on each label (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting",
JRSSB 86, section 5; arXiv 2010.09686). The mean of a bet upwards and one downwards reaches 1/α with probability at most
α (Ville 1939). The Δ at which it stays below form the interval. b_i uses earlier labels alone:

    b_i = √(2 log(2/α) / (s²_{i−1} · i · log(1 + i)))        s²: the variance so far; limited, so that no bet loses all

The share is that of these N pictures, not of the process behind them. Exports `anytime_share`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fair_diffusion.statistics.intervals import Array, Interval, check_level

_GRID = 2001
_MOST = 0.75
"""The largest part of the money in one bet, of what could be lost whole."""


def anytime_share(
    human: ArrayLike, machine: ArrayLike, seen: float, n: int, *, level: float = 0.95
) -> tuple[float, Interval]:
    """The share of one group that people would see in these pictures, and its interval, after each number of labels.

    Args:
        human: 1 where people saw the group, else 0, in the order in which pictures were labelled: a random one.
        machine: 1 where the machine saw it, in the same pictures.
        seen: pictures in which the machine saw the group, among all `n`.
        n: all pictures, labelled ones included.
        level: the probability that all intervals hold together, however many labels there will be.

    Returns:
        The estimate, and the interval after the labels so far (0 to 1 where there are none).

    Raises:
        ValueError: numbers out of range, or a wrong level.
    """
    y, f = (np.asarray(values, dtype=np.float64) for values in (human, machine))
    if y.shape != f.shape or y.ndim != 1 or y.size > n or not 0 <= seen <= n or n < 1:
        raise ValueError(f"{y.size} labels, seen {seen:g} of n = {n}: give the machine's counts over all pictures")
    if not (((y >= 0) & (y <= 1)).all() and ((f >= 0) & (f <= 1)).all()):
        raise ValueError("labels outside 0 … 1: give 1 where the group was seen, else 0")
    check_level(level)
    share = seen / n
    low, high = _means(y - f, n, share, 1 - level)
    middle = share + float((y - f).mean()) if y.size else share
    return min(1.0, max(0.0, middle)), (max(0.0, share + low), min(1.0, share + high))


def _means(z: Array, n: int, share: float, alpha: float) -> Interval:
    """The interval of Δ: every mean that no bet has ruled out so far. `share` bounds it, as θ lies in 0 … 1."""
    means = np.linspace(-share, 1 - share, _GRID)
    up, down = np.zeros(_GRID), np.zeros(_GRID)
    highest = np.full(_GRID, -np.inf)
    possible = np.ones(_GRID, dtype=bool)
    total, square = 0.0, 0.25  # a first guess of the variance, worth one label
    for i, value in enumerate(z.tolist(), start=1):
        left = (n * means - total) / (n - i + 1)
        possible &= (left >= -1 - 1e-9) & (left <= 1 + 1e-9)
        left = np.clip(left, -1, 1)
        bet = math.sqrt(2 * math.log(2 / alpha) / (square * math.log(1 + i)))  # square is s² · i
        # The next z is at least −1 and at most 1: bets that could lose more than `_MOST` are made smaller.
        up += np.log1p(np.minimum(bet, _MOST / (1 + left + 1e-12)) * (value - left))
        down += np.log1p(-np.minimum(bet, _MOST / (1 - left + 1e-12)) * (value - left))
        highest = np.maximum(highest, np.logaddexp(up, down) - math.log(2))
        before = total / max(i - 1, 1)
        total += value
        square += (value - total / i) * (value - before) if i > 1 else value**2
    kept = means[possible & (highest < math.log(1 / alpha))]
    if not kept.size:  # the grid is too coarse for all but one picture's worth of doubt
        middle = float(z.mean())
        return middle - 1 / n, middle + 1 / n
    step = means[1] - means[0]
    return float(kept.min() - step), float(kept.max() + step)
