"""Shares corrected for the errors of whoever read the images.

    q = Pᵀ π        q: what is read (K groups, and unknown), π: what is there, P[i, j] = P(read as j | shows i)

P comes from a confusion matrix: images whose group is known, and what was read in them. With two groups and no unknown,
solving for π is Rogan and Gladen's estimator (1978, American Journal of Epidemiology 107), (q₁ + specificity − 1) /
(sensitivity + specificity − 1). For K groups it is least squares over the distributions π ≥ 0, Σπ = 1, so no corrected
share leaves 0 to 1. "Unknown" is one more reading that every group may cause, with a rate of its own: the corrected
shares are of **all** images, those that could not be read included.

The correction believes that the reader errs on these images as it did on those of the confusion matrix.
Exports `correct` with its lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fair_diffusion.audit.study import Confusion
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.intervals import Array

# Below it the readings hardly depend on what is shown. Two groups read right 55 times of 100 have 0.1.
_SMALLEST_SINGULAR_VALUE = 0.1
_RESAMPLES = 2_000


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """One group of a tally after correction.

    Attributes:
        group: the group.
        count: images read as it.
        share: count over all images, as read.
        corrected: share of all images that show it, by the confusion matrix.
        low: lower end of the interval of `corrected`, which holds for this group alone.
        high: its upper end.
    """

    group: str
    count: int
    share: float
    corrected: float
    low: float
    high: float


def correct(tally: Tally, confusion: Confusion, *, level: float = 0.95, seed: int = 0) -> list[Corrected]:
    """The shares of one tally, corrected for the reader's errors.

    Intervals are percentiles over 2,000 pairs of resamples: of the tally's readings, and of each row of the confusion
    matrix, so they know that both are samples. The resamples are Bayesian (Dirichlet, half an image added to each
    cell): an error that the matrix never saw may still happen, and plain resampling would rule it out.

    Args:
        tally: what was read.
        confusion: how the same reader errs, for the same groups; `counts[i][j]` of group i were read as j, the last j
            is unknown.
        level: confidence of each interval.
        seed: draws the resamples.

    Raises:
        ValueError: groups that differ, a group without labelled images, no images, or readings that hardly depend on
            the group, so that nothing can be told from them.
    """
    matrix = _matrix(tally, confusion)
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: give a number between 0 and 1, such as 0.95")
    readings = np.array([*(tally.counts[group] for group in confusion.groups), tally.unknown], dtype=np.float64)
    if readings.sum() < 1:
        raise ValueError(f"{tally.concept!r} has no images: there is nothing to correct")
    rates = matrix / matrix.sum(axis=1, keepdims=True)
    smallest = float(np.linalg.svd(rates, compute_uv=False)[-1])
    if smallest < _SMALLEST_SINGULAR_VALUE:
        raise ValueError(
            f"the readings of {confusion.attribute} hardly depend on the group (the smallest singular value is "
            f"{smallest:.3f}, at least {_SMALLEST_SINGULAR_VALUE} is needed): use a better reader, or merge groups "
            "that it confuses"
        )
    estimate = _solve(rates[None], readings[None] / readings.sum())[0]
    low, high = np.quantile(_resampled(matrix, readings, seed), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return [
        Corrected(
            group=group,
            count=int(readings[k]),
            share=float(readings[k] / readings.sum()),
            corrected=float(estimate[k]),
            low=float(min(low[k], estimate[k])),
            high=float(max(high[k], estimate[k])),
        )
        for k, group in enumerate(confusion.groups)
    ]


def _resampled(matrix: Array, readings: Array, seed: int) -> Array:
    """Corrected shares of the resamples, shape (resamples, groups)."""
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet(readings + 0.5, _RESAMPLES)
    rates = np.stack([generator.dirichlet(row + 0.5, _RESAMPLES) for row in matrix], axis=1)
    return _solve(rates, shares)


def _solve(rates: Array, shares: Array) -> Array:
    """The distributions π with the least ‖ratesᵀ π − shares‖₂, for many pairs of rates and shares at once.

    `rates` has shape (pairs, groups, groups + 1), `shares` (pairs, groups + 1), the result (pairs, groups).
    """
    from scipy.optimize import nnls

    pairs, groups, _ = rates.shape
    # With Σπ = 1 alone it is a linear system, Lagrange's multiplier being the last unknown.
    system = np.zeros((pairs, groups + 1, groups + 1))
    system[:, :groups, :groups] = rates @ rates.transpose(0, 2, 1)
    system[:, :groups, groups] = system[:, groups, :groups] = 1
    right = np.concatenate([(rates @ shares[:, :, None])[:, :, 0], np.ones((pairs, 1))], axis=1)
    found: Array = np.linalg.solve(system, right[:, :, None])[:, :groups, 0]
    heavy = 1e4
    for k in np.flatnonzero((found < 0).any(axis=1)):
        # Here π ≥ 0 binds. A heavy last equation asks for Σπ = 1; what rounding leaves is divided out.
        bound = nnls(np.vstack([rates[k].T, np.full(groups, heavy)]), np.append(shares[k], heavy))[0]
        found[k] = bound / bound.sum()
    return found


def _matrix(tally: Tally, confusion: Confusion) -> Array:
    groups = list(confusion.groups)
    if tally.attribute != confusion.attribute or set(groups) != set(tally.counts):
        raise ValueError(
            f"the confusion matrix is of {confusion.attribute} {groups}, the tally of {tally.attribute} "
            f"{list(tally.counts)}: correct with a matrix of the same groups"
        )
    matrix = np.array(confusion.counts, dtype=np.float64)
    if matrix.shape != (len(groups), len(groups) + 1) or (matrix < 0).any():
        raise ValueError(
            f"the confusion matrix of {confusion.attribute} has shape {matrix.shape}: give {len(groups)} rows of "
            f"{len(groups) + 1} counts, the last for unknown"
        )
    for group, row in zip(groups, matrix, strict=True):
        if not row.sum():
            raise ValueError(f"the confusion matrix has no image of {group!r}: label some, or leave the group out")
    return matrix
