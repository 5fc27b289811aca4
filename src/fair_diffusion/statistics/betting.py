"""Shares as people would see them, valid however often one looks while people label: betting intervals.

A page that shows an interval after each label is wrong for one *look* in twenty, and sooner or later for most pages. A
confidence sequence is wrong for one *page* in twenty. The N pictures at hand are labelled in random order. The machine
has read all of them, so its share is known, and it helps as far as it can tell what people see:

    z_i(λ) = y_i − λ f_i          y_i, f_i: 1 if people, if the machine, saw the group in picture i
    K_t(θ) = Π_{i ≤ t} (1 + b_i (z_i(λ_i) − m_i)),    m_i = the mean of z(λ_i) over what is left to label, if θ is right

K_t is a martingale that starts at 1 if the share is θ: the money of somebody who bets b_i on each label (Waudby-Smith
and Ramdas 2024, "Estimating means of bounded random variables by betting", JRSSB 86, section 5; arXiv 2010.09686). The
mean of a bet upwards and one downwards reaches 1/α with probability at most α (Ville 1939). The θ at which it stays
below form the interval. b_i and λ_i use earlier labels alone:

    b_i = √(2 log(2/α) / (s²_{i−1} · i · log(1 + i)))        s²: the variance so far; limited, so that no bet loses all
    λ_i = cov(y, f) / var(f) so far, within 0 … 1            as in "PPI++" (Angelopoulos et al. 2023, arXiv 2311.01453)

So a machine that knows nothing makes the interval hardly wider than labels alone would.

Pictures that people skip, because they show nobody, have no y. The share is then that among the pictures that can be
labelled, whose number nobody knows before all were shown. So a skipped picture counts as the share itself, y_i = θ,
when θ is tested: the mean of y over all N pictures is θ exactly where θ is the share among those that can be labelled,
and K_t is a martingale again, whatever the machine says of pictures that are skipped. The estimate solves the same
equation, with z_i = 1 if picture i was labelled, 0 if it was skipped, over all pictures that were shown:

    θ = (mean(z y) + λ (mean_N(f) − mean(f))) / mean(z)

The share is that of these N pictures, not of the process behind them. Exports `anytime_share`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fair_diffusion.statistics.intervals import Array, Interval, check_level

_GRID = 1001
_MOST = 0.75
"""The largest part of the money in one bet, of what could be lost whole."""
_TRUST = 2.0
"""How many labels the belief is worth that the machine is right, with which λ starts at 1."""


def anytime_share(
    human: ArrayLike, machine: ArrayLike, seen: float, n: int, *, level: float = 0.95
) -> tuple[float, Interval]:
    """The share of one group that people would see in these pictures, and its interval, after each number of labels.

    Args:
        human: 1 where people saw the group, else 0, and NaN where they skipped the picture, in the order in which
            pictures were shown: a random one.
        machine: 1 where the machine saw it, else 0, in the same pictures; what lies between does as well.
        seen: the sum of this over all `n` pictures.
        n: all pictures, those that were shown included.
        level: the probability that all intervals hold together, however many labels there will be.

    Returns:
        The estimate, and the interval after the labels so far (0 to 1 where there are none). Both are of the share
        among the pictures that can be labelled.

    Raises:
        ValueError: numbers out of range, or a wrong level.
    """
    y, f = (np.asarray(values, dtype=np.float64) for values in (human, machine))
    if y.shape != f.shape or y.ndim != 1 or y.size > n or not 0 <= seen <= n or n < 1:
        raise ValueError(f"{y.size} labels, seen {seen:g} of n = {n}: give the machine's counts over all pictures")
    labelled = ~np.isnan(y)
    if not (((y >= 0) & (y <= 1))[labelled].all() and ((f >= 0) & (f <= 1)).all()):
        raise ValueError("labels outside 0 … 1: give 1 where the group was seen, else 0, and NaN for a skipped picture")
    check_level(level)
    if not labelled.any():
        return seen / n, (0.0, 1.0)
    kept, trust = _shares(y, f, seen, n, 1 - level)
    told = np.where(labelled, y, 0.0) - trust * f
    middle = min(1.0, max(0.0, (trust * seen / n + float(told.mean())) / float(labelled.mean())))
    step = 1 / (_GRID - 1)
    if kept is None:  # what is left lies between two shares of the grid
        step, kept = max(step, 1 / n), (middle, middle)
    low, high = max(0.0, kept[0] - step), min(1.0, kept[1] + step)
    return min(high, max(low, middle)), (low, high)


class _Weight:
    """λ, by the labels so far: the slope of the line from f to y through their means."""

    def __init__(self) -> None:
        self._n, self._y, self._f = 0, 0.0, 0.0
        self._both = self._square = _TRUST / 4  # 1/4 is the largest variance of what is 0 or 1

    @property
    def value(self) -> float:
        """λ, in 0 … 1."""
        return min(1.0, max(0.0, self._both / self._square))

    def add(self, y: float, f: float) -> None:
        """One label more (Welford 1962, Technometrics 4)."""
        self._n += 1
        before = f - self._f
        self._y += (y - self._y) / self._n
        self._f += before / self._n
        self._both += before * (y - self._y)
        self._square += before * (f - self._f)


def _shares(y: Array, f: Array, seen: float, n: int, alpha: float) -> tuple[Interval | None, float]:
    """The ends of the shares that no bet has ruled out so far, None if there are none on the grid; and the last λ."""
    shares, limit = np.linspace(0, 1, _GRID), math.log(1 / alpha)
    up, down = np.zeros(_GRID), np.zeros(_GRID)
    weight, mean, square = _Weight(), 0.0, 0.25  # a first guess of the variance, worth one label
    people, machine = np.zeros(_GRID), 0.0
    labelled, total = 0, 0.0
    for i, (own, read) in enumerate(zip(y.tolist(), f.tolist(), strict=True), start=1):
        slope, rest = weight.value, n - i + 1
        people_left = (n * shares - people) / rest
        left = np.clip(people_left, 0, 1) - slope * min(1.0, max(0.0, (seen - machine) / rest))
        skipped = math.isnan(own)
        said: Array | float = shares if skipped else own
        value = said - slope * read
        bet = math.sqrt(2 * math.log(2 / alpha) / (square * math.log(1 + i)))  # square is s² · i
        # The next value is at least −λ and at most 1: bets that could lose more than `_MOST` are made smaller.
        up += np.log1p(np.minimum(bet, _MOST / (slope + left + 1e-12)) * (value - left))
        down += np.log1p(-np.minimum(bet, _MOST / (1 - left + 1e-12)) * (value - left))
        kept = (people_left >= -1e-9) & (people_left <= 1 + 1e-9) & (np.logaddexp(up, down) - math.log(2) < limit)
        people, machine = people + said, machine + read
        if not kept.all():  # whatever comes, they stay ruled out: no more bets are made on them
            shares, up, down, people = shares[kept], up[kept], down[kept], people[kept]
        if skipped:
            own = (total + 0.5) / (labelled + 1)  # the share so far
        else:
            labelled, total = labelled + 1, total + own
        weight.add(own, read)
        once = own - slope * read
        before, mean = mean, mean + (once - mean) / i
        square += (once - mean) * (once - before) if i > 1 else once**2
    return (float(shares[0]), float(shares[-1])) if shares.size else None, weight.value
