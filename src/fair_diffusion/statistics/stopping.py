"""Intervals that hold at every number of images at once, so that an audit may look after each batch and stop.

A 95 % interval is wrong once in twenty *looks*: who looks at Wilson's after every batch, and stops at one that excludes
the target, is wrong in one audit of three (`benchmarks/coverage.md`; stopping for the width alone does it no harm, as
measured, but nothing promises that). A confidence sequence is wrong once in twenty *audits*, however often it is looked
at and whyever the audit stops. For a share p, with s of n images showing the group:

    M_n(p) = B(rp + s, r(1−p) + n − s) / B(rp, r(1−p)) / pˢ (1−p)ⁿ⁻ˢ        (B is the beta function)

is, if p is the truth, a fair game that starts at 1 (Robbins 1970, Annals of Mathematical Statistics 41: a mixture of
likelihood ratios, here over the beta distribution with mean p). It ever reaches 1/α with probability α at most (Ville
1939), so the shares where it is below 1/α are an interval that holds for all n together (Howard, Ramdas, McAuliffe and
Sekhon 2021, arXiv 1810.08240). r says near which n the interval is to be tight; it must be chosen before looking, so it
follows from the half width that the audit stops at. The price, for two groups at one half: 2.8 times the images of a
fixed design.
Exports `anytime`, `anytime_bounds` and `enough`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, lambertw, xlog1py, xlogy

from fair_diffusion.statistics.intervals import Array, Interval, check_counts

_HALVINGS = 40


def anytime(
    counts: Sequence[int], *, n: int | None = None, half_width: float = 0.05, level: float = 0.95
) -> list[Interval]:
    """Intervals for all groups that hold together, at all numbers of images together, with probability `level`.

    Args:
        counts: images per group so far.
        n: images looked at so far; the sum of `counts` unless some showed none of the groups.
        half_width: the one that the audit stops at; the same at every look.
        level: joint confidence, strictly between 0 and 1. Bonferroni's correction is made over the groups, two or more,
            whatever was seen (see `intervals.simultaneous`).
    """
    total = sum(counts) if n is None else n
    check_counts(counts, total, level)
    _check(half_width)
    alpha = (1 - level) / len(counts)
    low, high = anytime_bounds(counts, total, alpha, half_width)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def enough(counts: Sequence[int], n: int, half_width: float, level: float = 0.95) -> bool:
    """Whether every interval of `anytime` is at most ± `half_width` wide: then the audit of these groups may stop.

    Args:
        counts: images per group so far.
        n: images looked at so far, 0 or more.
        half_width: in share (0.05 is five points); the same at every look.
        level: joint confidence of the groups.
    """
    _check(half_width)
    if n == 0:
        return False
    return all(high - low <= 2 * half_width for low, high in anytime(counts, n=n, half_width=half_width, level=level))


def anytime_bounds(counts: ArrayLike, n: ArrayLike, alpha: ArrayLike, half_width: ArrayLike) -> tuple[Array, Array]:
    """Lower and upper ends of many such intervals at once; all arguments broadcast against each other.

    `alpha` is 1 − level of each interval on its own. The values are not checked.
    """
    s, total, alpha, width = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (counts, n, alpha, half_width))
    )
    w = -lambertw(-(alpha**2) / np.e, k=-1).real
    # The interval of a normal mixture at one half is tightest, ½ √(w / n) wide, for r = n / (w − 1).
    r = w / (4 * width**2) / (w - 1)
    share = s / total

    def outside(p: Array) -> NDArray[np.bool_]:
        return np.asarray(_log_game(p, s, total, r) >= -np.log(alpha))

    # M is at most 1 at the observed share, and bisection finds where it crosses 1/α on either side.
    low, high = np.zeros_like(share), np.ones_like(share)
    inner_low, inner_high = share.copy(), share.copy()
    for _ in range(_HALVINGS):
        middle = (low + inner_low) / 2
        out = outside(middle)
        low, inner_low = np.where(out, middle, low), np.where(out, inner_low, middle)
        middle = (high + inner_high) / 2
        out = outside(middle)
        high, inner_high = np.where(out, middle, high), np.where(out, inner_high, middle)
    return low, high


def _log_game(p: Array, s: Array, n: Array, r: Array) -> Array:
    """log M_n(p) for p strictly between 0 and 1."""
    p = np.clip(p, 1e-300, 1 - 2**-53)
    mixture = betaln(r * p + s, r * (1 - p) + n - s) - betaln(r * p, r * (1 - p))
    return np.asarray(mixture - xlogy(s, p) - xlog1py(n - s, -p))


def _check(half_width: float) -> None:
    if not 0 < half_width < 0.5:
        raise ValueError(f"half_width is {half_width}: give a share between 0 and 0.5, such as 0.05")
