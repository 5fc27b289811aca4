"""Confidence intervals for measured shares, and the verdict on a target that they allow.

The counts of the images at hand are exact, except for the errors of their reader. The intervals describe the process
that made the images: the share that it would produce in the long run, if these images were independent draws from it.
Images assigned by quota vary less than such draws, so for them the intervals are wider than necessary.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtri

Array = NDArray[np.float64]
Interval = tuple[float, float]
Verdict = Literal["meets", "misses", "cannot tell"]
EXACT_ERROR = 1.4
"""Times the error of the exact interval that a Wilson interval holds at least: at 95 %, it holds 93 % or more."""


def wilson(count: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for a binomial share (E. B. Wilson 1927, JASA 22), widened where it holds too seldom.

    Wilson's own holds `level` on average over shares, but far less near shares of 0 and 1: with 50 images, at a share
    of 1 %, 91 times of 100, and with 20 images, at 0.8 %, 85 times (Brown, Cai and DasGupta 2001, Statistical Science
    16). Each end is therefore at least as far out as that of an exact interval (Clopper and Pearson) with 1.4 times the
    error, so that a 95 % interval holds 93 times of 100 or more at every share. Where about 45 images or more would
    show the group and as many would not, this changes nothing. `benchmarks/coverage.md` has the coverage.

    Args:
        count: images that show the group, 0 to `n`.
        n: images looked at, 1 or more.
        level: confidence, strictly between 0.3 and 1.
    """
    check_counts([count], n, level)
    low, high = wilson_bounds(count, n, level)
    return float(low), float(high)


def with_unread(count: int, unread: int, n: int, level: float = 0.95) -> Interval:
    """The interval of a share where some images could not be read: they may show any group, and both ends allow for it.

    Args:
        count: images that show the group.
        unread: images that could not be read. None of them shows the group at the lower end, all do at the upper.
        n: all images, unread ones included, 1 or more.
        level: confidence, strictly between 0.3 and 1.
    """
    return wilson(count, n, level)[0], wilson(count + unread, n, level)[1]


def wilson_bounds(counts: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[Array, Array]:
    """Lower and upper ends of many widened Wilson intervals at once.

    Args:
        counts: images that show the group, 0 to `n`; not checked.
        n: images looked at, 1 or more; not checked. It broadcasts against `counts`.
        level: confidence of each interval, strictly between 0 and 1.

    Returns:
        Two arrays of the broadcast shape.
    """
    low, high = score_bounds(counts, n, level)
    least, most = clopper_pearson_bounds(counts, n, EXACT_ERROR * (1 - level) / 2)
    return np.minimum(low, least), np.maximum(high, most)


def score_bounds(counts: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[Array, Array]:
    """Lower and upper ends of many of Wilson's own intervals at once, as `wilson_bounds` takes them and gives them."""
    counts, n = np.asarray(counts, dtype=np.float64), np.asarray(n, dtype=np.float64)
    z = float(ndtri((1 + level) / 2))
    share, z2n = counts / n, z * z / n
    centre = (share + z2n / 2) / (1 + z2n)
    half = z * np.sqrt(share * (1 - share) / n + z2n / (4 * n)) / (1 + z2n)
    low = np.where(counts == 0, 0.0, np.maximum(0.0, centre - half))
    high = np.where(counts == n, 1.0, np.minimum(1.0, centre + half))
    return low, high


def simultaneous(counts: Sequence[int], *, n: int | None = None, level: float = 0.95) -> list[Interval]:
    """Intervals for several shares that hold jointly with probability `level` or more.

    These are exact binomial intervals (Clopper and Pearson 1934, Biometrika 26) with Bonferroni's correction over the
    groups. The correction is made for two groups too. Without unread images the two intervals mirror each other and
    need none, but whether an image is unread is chance, and a correction must not depend on the data.

    Args:
        counts: images per group.
        n: images looked at; by default the sum of `counts`. Give it if some images show none of the groups.
        level: joint confidence, strictly between 0 and 1.
    """
    total = sum(counts) if n is None else n
    check_counts(counts, total, level)
    tail = (1 - level) / 2 / len(counts)
    lows, highs = clopper_pearson_bounds(counts, total, tail)
    return list(zip(lows.tolist(), highs.tolist(), strict=True))


def clopper_pearson_bounds(counts: ArrayLike, n: ArrayLike, tail: ArrayLike) -> tuple[Array, Array]:
    """Lower and upper ends of many exact binomial intervals at once; all arguments broadcast against each other.

    Args:
        counts: images that show the group, 0 to `n`; not checked.
        n: images looked at, 1 or more; not checked.
        tail: probability outside the interval at each end: 0.025 for a single 95 % interval, 0.025 / K for K groups
            jointly.

    Returns:
        Two arrays of the broadcast shape.
    """
    counts, n, tail = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in (counts, n, tail)))
    # At counts of 0 and n a parameter of the beta distribution would be 0. It is replaced; the result is not used.
    low = np.where(counts == 0, 0.0, betaincinv(np.maximum(counts, 1), n - counts + 1, tail))
    high = np.where(counts == n, 1.0, betaincinv(counts + 1, np.maximum(n - counts, 1), 1 - tail))
    return low, high


def verdict(low: float, high: float, target: float, tolerance: float) -> Verdict:
    """Compare an interval with the band `target` ± `tolerance`.

    The verdict is "meets" if the whole interval lies in the band, "misses" if it lies outside the band, and "cannot
    tell" if the images are too few for either. A verdict is about the process (see above). A run of few images that
    delivers its quota exactly is therefore still "cannot tell"; its counts and quotas show that these images are as
    asked. With a tolerance of 0.05, "meets" at a target of one half takes at least 1,000 images
    to be likely: `fair-diffusion plan` says how many.

    Args:
        low: lower end of the interval.
        high: upper end of the interval.
        target: share asked for.
        tolerance: half the width of the band, as a share (0.05 is five points), 0 or more.

    Raises:
        ValueError: ends in the wrong order, or a negative tolerance.
    """
    if not low <= high:
        raise ValueError(f"the interval is ({low}, {high}): its lower end must come first")
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}: give 0 or more")
    if target - tolerance <= low and high <= target + tolerance:
        return "meets"
    if high < target - tolerance or low > target + tolerance:
        return "misses"
    return "cannot tell"


def check_counts(counts: Sequence[int], n: int, level: float) -> None:
    """Check what an interval is taken of; a `ValueError` names the wrong value and its mend."""
    if len(counts) == 0:
        raise ValueError("counts is empty: give at least one count")
    if n < 1:
        raise ValueError(f"n is {n}: an interval needs at least 1 image")
    if min(counts) < 0 or sum(counts) > n:
        raise ValueError(f"counts {list(counts)} do not fit {n} images: each must be 0 or more, in sum at most n")
    check_level(level)


def check_level(level: float) -> None:
    """Raise `ValueError` if a confidence level is not strictly between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: give a number between 0 and 1, such as 0.95")
