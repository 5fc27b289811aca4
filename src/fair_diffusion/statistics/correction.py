"""Shares corrected for the errors of the reader that labelled the images.

    q = Pᵀ π        q: shares of the K + 1 readings (the last: unknown); π: true shares of the K groups
                    P[i, j] = probability that an image of group i is read as j

P is estimated from a confusion matrix: counts of images with a known group, by what the reader saw in them. With two
groups and no unknown reading, the solution π is Rogan and Gladen's estimator (1978, American Journal of Epidemiology
107), (q₁ + specificity − 1) / (sensitivity + specificity − 1). For K groups it is the least-squares solution among the
distributions (π ≥ 0, Σπ = 1), so that every corrected share lies in 0 to 1. "Unknown" is one more reading with a rate
for each group: the corrected shares are shares of **all** images, unread ones included.

The correction assumes that the reader errs on these images as it did on those of the confusion matrix. Readings that no
distribution explains, such as fewer women than the errors with men alone give, contradict that and are not corrected.
Near such readings, percentiles of resamples that are all moved into 0 to 1 would shrink to a point; there the ends
are those of the resamples that needed no moving (Gelfand, Smith and Lee 1992, JASA 87, on constrained parameters).
Exports `correct` and its result `CorrectedShares`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fair_diffusion.statistics.intervals import Array, check_level

# Below this value the readings hardly depend on the group. A reader that is right for 55 of 100 images has 0.1.
_SMALLEST_SINGULAR_VALUE = 0.1
_RESAMPLES = 2_000
_SURPRISE = 0.01
"""Readings that resamples explain more rarely than this contradict the confusion matrix."""


class CorrectedShares(NamedTuple):
    """Corrected shares of the K groups; each array has shape (K,).

    Attributes:
        estimate: share of all images that show the group.
        low: lower end of its interval, which holds for this group alone.
        high: upper end of its interval.
    """

    estimate: Array
    low: Array
    high: Array


def correct(readings: ArrayLike, confusion: ArrayLike, *, level: float = 0.95, seed: int = 0) -> CorrectedShares:
    """Correct the shares of K groups for the reader's errors.

    The intervals are percentiles over 2,000 pairs of resamples, one of the readings and one of each row of the
    confusion matrix, so they include the uncertainty of both. The resamples are Bayesian (Dirichlet, with half an image
    added to each count): the plain bootstrap would exclude every error that the matrix happens not to contain.

    Args:
        readings: images by what was read, shape (K + 1,); the last count is of unknown readings.
        confusion: labelled images by their group and what was read, shape (K, K + 1), from the same reader.
        level: confidence of each interval, strictly between 0 and 1.
        seed: seed of the resamples.

    Raises:
        ValueError: arrays of other shapes, no images, a group without labelled images, readings that hardly depend on
            the group, so that the shares cannot be estimated, or readings that contradict the matrix.
    """
    read, matrix = np.asarray(readings, dtype=np.float64), np.array(confusion, dtype=np.float64)
    groups = read.size - 1
    if matrix.shape != (groups, groups + 1) or (matrix < 0).any():
        raise ValueError(
            f"the confusion matrix has shape {matrix.shape}: give {groups} rows of {groups + 1} counts, the last for "
            "unknown"
        )
    check_level(level)
    if read.sum() < 1:
        raise ValueError("the readings are of no images: there is nothing to correct")
    totals = matrix.sum(axis=1, keepdims=True)
    if not totals.all():
        raise ValueError(f"row {int(np.argmin(totals))} of the confusion matrix is empty: label images of each group")
    rates = matrix / totals
    smallest = float(np.linalg.svd(rates, compute_uv=False)[-1])
    if smallest < _SMALLEST_SINGULAR_VALUE:
        raise ValueError(
            f"the readings hardly depend on the group (the smallest singular value is {smallest:.3f}, at least "
            f"{_SMALLEST_SINGULAR_VALUE} is needed): use a better reader, or merge groups that it confuses"
        )
    estimate = _solve(rates[None], read[None] / read.sum())[0]
    bounded, free = _resampled(matrix, read, seed)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(bounded, tails, axis=0)
    possible = (free >= 0) & (free <= 1)
    for k, kept in enumerate(possible.T):
        if kept.mean() < _SURPRISE / groups:
            raise ValueError(
                "the readings contradict the confusion matrix: no shares explain them, so the reader errs here "
                "otherwise than on the labelled images"
            )
        own = np.quantile(free[kept, k], tails)
        low[k], high[k] = min(low[k], own[0]), max(high[k], own[1])
    return CorrectedShares(estimate, np.minimum(low, estimate), np.maximum(high, estimate))


def _resampled(matrix: Array, readings: Array, seed: int) -> tuple[Array, Array]:
    """Corrected shares of the resamples within 0 to 1, and without that constraint, shape (resamples, groups)."""
    rates, inverse = _resampled_rates(tuple(map(tuple, matrix.tolist())), seed)
    shares = np.random.default_rng((seed, 1)).dirichlet(readings + 0.5, _RESAMPLES)
    free = _unconstrained(rates, shares, inverse)
    return _bounded(free, rates, shares), free


@lru_cache(maxsize=16)
def _resampled_rates(matrix: tuple[tuple[float, ...], ...], seed: int) -> tuple[Array, Array]:
    """Resampled rates and the inverses of their systems: an audit corrects hundreds of tallies with one matrix."""
    generator = np.random.default_rng((seed, 0))
    rates = np.stack([generator.dirichlet(np.array(row) + 0.5, _RESAMPLES) for row in matrix], axis=1)
    return rates, _inverse(rates)


def _solve(rates: Array, shares: Array) -> Array:
    """The distributions π that minimize ‖ratesᵀ π − shares‖₂, for many pairs of rates and shares at once.

    Args:
        rates: rates of the readings by group, shape (pairs, groups, groups + 1).
        shares: shares of the readings, shape (pairs, groups + 1).

    Returns:
        The distributions, shape (pairs, groups).
    """
    return _bounded(_unconstrained(rates, shares), rates, shares)


def _unconstrained(rates: Array, shares: Array, inverse: Array | None = None) -> Array:
    """As `_solve`, but with the constraint Σπ = 1 alone: shares below 0 and above 1 are possible."""
    pairs, groups, _ = rates.shape
    right = np.concatenate([(rates @ shares[:, :, None])[:, :, 0], np.ones((pairs, 1))], axis=1)
    solved: Array = ((_inverse(rates) if inverse is None else inverse) @ right[:, :, None])[:, :groups, 0]
    return solved


def _inverse(rates: Array) -> Array:
    """The inverse of the linear system of each pair, whose last unknown is the Lagrange multiplier of Σπ = 1."""
    pairs, groups, _ = rates.shape
    system = np.zeros((pairs, groups + 1, groups + 1))
    system[:, :groups, :groups] = rates @ rates.transpose(0, 2, 1)
    system[:, :groups, groups] = system[:, groups, :groups] = 1
    inverse: Array = np.linalg.inv(system)
    return inverse


def _bounded(free: Array, rates: Array, shares: Array) -> Array:
    """The solutions of `_unconstrained` with the constraint π ≥ 0 too.

    Shares below 0 are set to 0 and the others solved anew until none is left: all pairs with the same zeros at once.
    Where that is not optimal (a gradient at a zero that points upwards), non-negative least squares decides."""
    if free.shape[1] == 2:  # one unknown, whose squares are convex: the nearest of 0 and 1 is best
        return np.asarray(np.clip(free, 0, 1), dtype=np.float64)
    solved, zero = free.copy(), free < 0
    while (negative := np.flatnonzero((solved < 0).any(axis=1))).size:
        zero |= solved < 0
        for pattern in np.unique(zero[negative], axis=0):
            own, kept = negative[(zero[negative] == pattern).all(axis=1)], np.flatnonzero(~pattern)
            solved[own] = 0
            one = np.ones((len(own), 1))
            solved[np.ix_(own, kept)] = _unconstrained(rates[own][:, kept], shares[own]) if len(kept) > 1 else one
    gradient = ((solved[:, None, :] @ rates)[:, 0] - shares)[:, None, :] @ rates.transpose(0, 2, 1)
    slope = gradient[:, 0]
    least = np.where(zero, np.inf, slope).min(axis=1, keepdims=True)
    for k in np.flatnonzero((zero & (slope < least - 1e-9)).any(axis=1)):
        solved[k] = _nearest(rates[k], shares[k])
    return solved


def _nearest(rates: Array, shares: Array) -> Array:
    """The distribution π that minimizes ‖ratesᵀ π − shares‖₂, for one pair."""
    from scipy.optimize import nnls

    # A last equation of large weight asks for Σπ = 1; division removes the rest.
    heavy = 1e4
    bound: Array = nnls(np.vstack([rates.T, np.full(rates.shape[0], heavy)]), np.append(shares, heavy))[0]
    return np.asarray(bound / bound.sum(), dtype=np.float64)
