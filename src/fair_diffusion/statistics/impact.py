"""Impact ratios: how often a group is shown, over how often the group is shown that is shown most.

    R_g = p_g / max_h p_h = min_h p_g / p_h          p: shares of K groups in one multinomial sample

Of the images that show g or h, the number that show g is binomial with probability p_g / (p_g + p_h), whatever the
other groups do. So Jeffreys' interval of that probability (Brown, Cai and DasGupta 2001, Statistical Science 16) gives
one of the ratio p_g / p_h, as for two Poisson rates (Przyborowski and Wilenski 1940, Biometrika 31). It is nearly a
mid-p interval. Which group is shown most is not known, so the ends are taken over all others:

    low    the smallest of the low ends of p_g / p_h. That of the true maximum is among them: no correction is needed.
    high   the smallest of the high ends, each with the error of that end divided by K − 1 (Bonferroni).

Both are those of the rival that most images show: the more show it, the smaller are the ends.

An image that could not be read may show any group: the low end gives all of them to h, the high end all of them to g.
A group that is surely shown most has a ratio of 1 and needs no interval. Exports `impact_ratios`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv

from fair_diffusion.statistics.intervals import Array, check_level

_JEFFREYS = 0.5


def impact_ratios(counts: ArrayLike, unread: ArrayLike = 0, *, level: float = 0.95) -> tuple[Array, Array, Array]:
    """Impact ratios of all groups of many samples, with the ends of their intervals.

    Args:
        counts: images by group, shape (…, groups); at least 2 groups, and an image that shows one; not checked.
        unread: images that could not be read, shape (…).
        level: confidence of each interval, strictly between 0 and 1.

    Returns:
        Ratios, lower ends and upper ends, each of shape (…, groups).
    """
    check_level(level)
    shown = np.asarray(counts, dtype=np.float64)
    open_ = np.broadcast_to(np.asarray(unread, dtype=np.float64), shown.shape[:-1])[..., None]
    groups = shown.shape[-1]
    tail = (1 - level) / 2
    first, second = np.sort(shown, axis=-1)[..., -1:], np.sort(shown, axis=-1)[..., -2:-1]
    only = (shown == first).sum(axis=-1, keepdims=True) == 1
    rival = np.where((shown == first) & only, second, first)
    low = _odds(betaincinv(shown + _JEFFREYS, rival + open_ + _JEFFREYS, tail))
    high = _odds(betaincinv(shown + open_ + _JEFFREYS, rival + _JEFFREYS, 1 - tail / (groups - 1)))
    # Of no image of the group the ratio may be 0, and of no image of a rival it has no upper bound.
    low = np.minimum(np.where(shown > 0, low, 0), 1)
    high = np.minimum(np.where(rival > 0, high, np.inf), 1)
    return shown / shown.max(axis=-1, keepdims=True), low, high


def _odds(probability: ArrayLike) -> Array:
    """p / (1 − p); infinite at 1."""
    p = np.asarray(probability, dtype=np.float64)
    return np.divide(p, 1 - p, out=np.full_like(p, np.inf), where=p < 1)
