"""Confidence sequences: intervals that hold at all numbers of images jointly, so that an audit may stop at any look.

A 95 % interval is wrong for one *look* in twenty. An audit that looks at Wilson's interval after every batch, and stops
when it excludes the target, is wrong one time in three (`benchmarks/coverage.md`; stopping for the width alone does no
measured harm, but no theorem guarantees it). A confidence sequence is wrong for one *audit* in twenty, however often
the audit looks and for whatever reason it stops. For a share p, with s of n images showing the group:

    M_n(p) = B(rp + s, r(1−p) + n − s) / B(rp, r(1−p)) / pˢ (1−p)ⁿ⁻ˢ        (B is the beta function)

If p is the true share, M_n is a martingale that starts at 1: a mixture of likelihood ratios (Robbins 1970, Annals of
Mathematical Statistics 41), here over the beta distribution with mean p. It ever reaches 1/α with probability at most α
(Ville 1939). The shares at which it is below 1/α therefore form an interval that holds for all n jointly (Howard,
Ramdas, McAuliffe and Sekhon 2021, arXiv 1810.08240). r decides near which n the interval is tight. It must be fixed
before the first look, so it follows from the half width at which the audit stops. For two groups at one half, such an
audit takes 2.8 times the images of a fixed design.
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
    """Intervals that hold for all groups and all numbers of images jointly, with probability `level` or more.

    Args:
        counts: images per group so far.
        n: images looked at so far; by default the sum of `counts`. Give it if some images show none of the groups.
        half_width: the half width at which the audit stops, as a share; the same at every look.
        level: joint confidence, strictly between 0 and 1. Bonferroni's correction is made over all groups (see
            `intervals.simultaneous`).
    """
    total = sum(counts) if n is None else n
    check_counts(counts, total, level)
    _check(half_width)
    alpha = (1 - level) / len(counts)
    low, high = anytime_bounds(counts, total, alpha, half_width)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def enough(counts: Sequence[int], n: int, half_width: float, level: float = 0.95) -> bool:
    """Whether the audit may stop: every interval of `anytime` is at most ± `half_width` wide.

    Args:
        counts: images per group so far.
        n: images looked at so far, 0 or more.
        half_width: as a share (0.05 is five points); the same at every look.
        level: joint confidence of the groups, strictly between 0 and 1.
    """
    _check(half_width)
    if n == 0:
        return False
    return all(high - low <= 2 * half_width for low, high in anytime(counts, n=n, half_width=half_width, level=level))


def anytime_bounds(counts: ArrayLike, n: ArrayLike, alpha: ArrayLike, half_width: ArrayLike) -> tuple[Array, Array]:
    """Lower and upper ends of many confidence sequences at once; all arguments broadcast against each other.

    Args:
        counts: images that show the group, 0 to `n`; not checked.
        n: images looked at, 1 or more; not checked.
        alpha: 1 − level of each interval by itself; not checked.
        half_width: the half width at which the audit stops, as a share; not checked.

    Returns:
        Two arrays of the broadcast shape.
    """
    s, total, alpha, width = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (counts, n, alpha, half_width))
    )
    w = -lambertw(-(alpha**2) / np.e, k=-1).real
    # At a share of one half, the interval of a normal mixture at n is tightest for r = n / (w − 1). Its half width is
    # then ½ √(w / n), which is the wanted one at n = w / (4 · half_width²).
    r = w / (4 * width**2) / (w - 1)
    share = s / total

    def outside(p: Array) -> NDArray[np.bool_]:
        return np.asarray(_log_martingale(p, s, total, r) >= -np.log(alpha))

    # M is at most 1 at the observed share. Bisection finds where it crosses 1/α on either side.
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


def _log_martingale(p: Array, s: Array, n: Array, r: Array) -> Array:
    """log M_n(p) for p strictly between 0 and 1."""
    p = np.clip(p, 1e-300, 1 - 2**-53)
    mixture = betaln(r * p + s, r * (1 - p) + n - s) - betaln(r * p, r * (1 - p))
    return np.asarray(mixture - xlogy(s, p) - xlog1py(n - s, -p))


def _check(half_width: float) -> None:
    if not 0 < half_width < 0.5:
        raise ValueError(f"half_width is {half_width}: give a share between 0 and 0.5, such as 0.05")
