"""Exact multinomial test: are the counts of several groups what chance alone gives?

    p = P(an outcome of n draws from the target that is at most as likely as the observed one)

For two groups it is the exact two-sided binomial test. Bands around each share, as of the normal approximation, hold
for single groups: with several groups and few images they hold all counts of draws from the target in 47 to 91 of 100
cases where 95 are meant. p is at most 0.05 in at most 5 of 100, whatever the target and the number of images. Up to
50,000 outcomes are all summed; where there are more, p is that of 1,999 drawn ones, which is as valid (Besag and
Clifford 1989, Biometrika 76). Exports `chance_p`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, xlogy

from fair_diffusion.statistics.intervals import Array

_MOST_EXACT, _DRAWS = 50_000, 1_999
_TIE = 1e-7
"""Outcomes whose log probabilities differ by less are equally likely."""


@lru_cache(maxsize=65_536)
def chance_p(counts: tuple[int, ...], target: tuple[float, ...]) -> float:
    """p of the hypothesis that images are independent draws from the target.

    Args:
        counts: images per group.
        target: share asked for of each group; the shares sum to 1.

    Returns:
        p; 0 if an image shows a group whose target is zero, 1 if there are no images.

    Raises:
        ValueError: counts and target of different length, or counts that are negative.
    """
    if len(counts) != len(target) or min(counts, default=0) < 0:
        raise ValueError(f"counts {counts} do not fit the target {target}: give 0 or more images for each group")
    if any(count for count, share in zip(counts, target, strict=True) if not share):
        return 0.0
    playing = [(count, share) for count, share in zip(counts, target, strict=True) if share]
    n = sum(counts)
    if not n or len(playing) == 1:
        return 1.0
    log_likelihoods, cumulated = _outcomes(tuple(share for _, share in playing), n)
    own = float(_log_likelihood([[count for count, _ in playing]], np.array([share for _, share in playing]))[0])
    return min(1.0, float(cumulated[np.searchsorted(log_likelihoods, own + _TIE, side="right")]))


@lru_cache(maxsize=1_024)
def _outcomes(target: tuple[float, ...], n: int) -> tuple[Array, Array]:
    """Log probabilities of outcomes, rising, and the probability of those before each place and of all."""
    shares = np.array(target)
    if math.comb(n + len(target) - 1, len(target) - 1) <= _MOST_EXACT:
        logs = np.sort(_log_likelihood(_all(n, len(target)), shares))
        return logs, np.append(0.0, np.cumsum(np.exp(logs)))
    drawn = np.random.default_rng(0).multinomial(n, shares / shares.sum(), _DRAWS)
    # The observed outcome is one more draw, so that p is never 0.
    return np.sort(_log_likelihood(drawn, shares)), np.arange(1, _DRAWS + 2) / (_DRAWS + 1)


def _all(n: int, groups: int) -> Array:
    """All ways to give n images to so many groups, shape (ways, groups)."""
    ways = np.arange(n + 1)[:, None]
    for _ in range(groups - 2):
        left = n - ways.sum(axis=1)
        ways = np.column_stack(
            [np.repeat(ways, left + 1, axis=0), np.concatenate([np.arange(own + 1) for own in left])]
        )
    return np.column_stack([ways, n - ways.sum(axis=1)]).astype(np.float64)


def _log_likelihood(counts: ArrayLike, shares: Array) -> Array:
    """Logarithm of the multinomial probability of each row of counts."""
    x = np.asarray(counts, dtype=np.float64)
    return np.asarray(gammaln(x.sum(axis=1) + 1) + (xlogy(x, shares) - gammaln(x + 1)).sum(axis=1), dtype=np.float64)
