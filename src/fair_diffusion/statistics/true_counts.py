"""How many of these very images show each group, when the reader that counted them errs.

`statistics.correction` estimates the shares of a process. Here the images are at hand and fixed: only the reader's
errors make their counts uncertain. Two assumptions bound what is possible:

independent      The reader errs on these images as in the confusion matrix. Of the R_j images that were read as j,
                 N_ij ~ Multinomial(R_j; π_i P_ij / Σ_k π_k P_kj) show group i. P are the rates of the matrix and π the
                 shares of the groups, both with their uncertainty: data augmentation (Tanner and Wong 1987, Journal of
                 the American Statistical Association 82), with Jeffreys' priors.
shared           Another reader chose the images and makes the very same errors. Whatever it read wrongly, in any image
                 that it looked at, may be among these images, and this reader cannot see it. So
                 R_i − F_i ≤ N_i ≤ R_i + M_i, with F_i false readings of i, and M_i images of i that were read as
                 something else. Both are upper quantiles of beta-binomial counts over the images looked at, with
                 Jeffreys' prior for the rates.

Exports `true_counts`, `shared_counts`, `unread_p`, `disagreement_p` and `explained_disagreement`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fair_diffusion.statistics.intervals import Array, check_level

Counts = list[tuple[int, int]]
"""Fewest and most images, for each group."""
_JEFFREYS = 0.5
_CHAINS, _SWEEPS = 1_000, 12
"""Chains of the data augmentation, and how often each draws anew. They start at the readings, which are near."""


def true_counts(readings: ArrayLike, confusion: ArrayLike, *, level: float = 0.95, seed: int = 0) -> Counts:
    """The interval of how many images show each group, if the reader errs as in the confusion matrix.

    Args:
        readings: images by what was read, shape (K + 1,); the last count is of unknown readings.
        confusion: labelled images by their group and what was read, shape (K, K + 1), from the same reader.
        level: probability that an interval holds, for its group alone; strictly between 0 and 1.
        seed: seed of the draws.

    Returns:
        For each group the fewest and the most images.

    Raises:
        ValueError: arrays of other shapes, no images, or a group without labelled images.
    """
    read, matrix = _checked(readings, confusion, level)
    generator = np.random.default_rng(seed)
    rates = np.stack([generator.dirichlet(row + _JEFFREYS, _CHAINS) for row in matrix], axis=1)
    shares = np.tile((read[:-1] + _JEFFREYS) / (read[:-1] + _JEFFREYS).sum(), (_CHAINS, 1))
    shown = np.zeros(shares.shape)
    for _ in range(_SWEEPS):
        joint = shares[:, :, None] * rates  # [chain, group, reading]
        truth = joint / joint.sum(axis=1, keepdims=True)
        shown = np.zeros(shares.shape)
        for j in np.flatnonzero(read):
            shown += generator.multinomial(int(read[j]), truth[:, :, j])
        gammas = generator.standard_gamma(shown + _JEFFREYS)
        shares = gammas / gammas.sum(axis=1, keepdims=True)
    low, high = np.quantile(shown, [(1 - level) / 2, (1 + level) / 2], axis=0, method="closest_observation")
    return list(zip(low.astype(int).tolist(), high.astype(int).tolist(), strict=True))


def shared_counts(readings: ArrayLike, confusion: ArrayLike, *, looked_at: int, level: float = 0.95) -> Counts:
    """The interval of how many images show each group, if the reader that chose them makes the very same errors.

    Args:
        readings: as for `true_counts`.
        confusion: as for `true_counts`.
        looked_at: images among which the other reader chose, those that it refused included; at least as many as were
            read. The more it refused, the more wrong readings may have been kept.
        level: as for `true_counts`.

    Returns:
        For each group the fewest and the most images.

    Raises:
        ValueError: as for `true_counts`, or fewer images looked at than read.
    """
    read, matrix = _checked(readings, confusion, level)
    n = int(read.sum())
    if looked_at < n:
        raise ValueError(f"looked_at is {looked_at}, and {n} images were read: count every image that was looked at")
    ends = []
    for k, count in enumerate(read[:-1].astype(int).tolist()):
        others = np.delete(matrix, k, axis=0)
        false = _most(others[:, k].sum(), others.sum(), looked_at, level)
        lost = _most(matrix[k].sum() - matrix[k, k], matrix[k].sum(), looked_at, level)
        ends.append((max(0, count - false), min(n, count + lost)))
    return ends


def disagreement_p(differ: int, n: int, shares: Sequence[float], one: ArrayLike, other: ArrayLike) -> float:
    """The probability that two readers disagree on so many images, if each errs no more than its matrix says.

    Readers disagree only where one of them errs: on an image of group i with probability e_i + e'_i at most, the sum of
    their error rates, however their errors depend on each other. The rates are drawn from their posteriors with
    Jeffreys' prior; the probability is the mean over the draws.

    Args:
        differ: images that the readers read differently; unknown is a reading of its own.
        n: images that both looked at.
        shares: shares of the K groups among these images; they sum to 1.
        one: confusion matrix of a reader, shape (K, K + 1).
        other: that of the other reader, of the same groups.
    """
    from scipy.stats import binom

    generator = np.random.default_rng(0)
    rate = np.zeros(_CHAINS)
    for matrix in (np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)):
        for k, row in enumerate(matrix):
            rate += shares[k] * generator.beta(row.sum() - row[k] + _JEFFREYS, row[k] + _JEFFREYS, _CHAINS)
    return float(binom.sf(differ - 1, n, np.minimum(rate, 1)).mean())


def unread_p(unread: int, n: int, confusion: ArrayLike) -> float:
    """The probability that a reader cannot read so many images, if it fails no more often than on the labelled ones.

    The rate is that of the group that it fails to read most often, with Jeffreys' prior.

    Args:
        unread: images that it could not read.
        n: all images.
        confusion: its confusion matrix, shape (K, K + 1); the last column is of unknown readings.
    """
    from scipy.stats import betabinom

    if not unread:
        return 1.0
    matrix = np.asarray(confusion, dtype=np.float64)
    failed, read = matrix[:, -1] + _JEFFREYS, matrix[:, :-1].sum(axis=1) + _JEFFREYS
    return float(betabinom.sf(unread - 1, n, failed, read).max())


def explained_disagreement(shares: Sequence[float], one: ArrayLike, other: ArrayLike) -> float:
    """The largest share of images on which two readers disagree by the errors in their matrices: Σ_i π_i (e_i + e'_i).

    Args:
        shares: shares of the K groups; they sum to 1.
        one: confusion matrix of a reader, shape (K, K + 1).
        other: that of the other reader, of the same groups.
    """
    errors = np.zeros(len(shares))
    for matrix in (np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)):
        errors += 1 - np.diagonal(matrix) / matrix.sum(axis=1)
    return float(np.dot(shares, errors))


def _checked(readings: ArrayLike, confusion: ArrayLike, level: float) -> tuple[Array, Array]:
    """Readings and matrix as arrays of fitting shapes."""
    read, matrix = np.asarray(readings, dtype=np.float64), np.asarray(confusion, dtype=np.float64)
    if matrix.shape != (read.size - 1, read.size) or (matrix < 0).any() or not matrix.sum(axis=1).all():
        raise ValueError(
            f"the confusion matrix has shape {matrix.shape}: give {read.size - 1} rows of {read.size} counts, the last "
            "for unknown, and label images of each group"
        )
    check_level(level)
    if read.sum() < 1:
        raise ValueError("the readings are of no images: there is nothing to count")
    return read, matrix


def _most(wrong: float, of: float, n: int, level: float) -> int:
    """The largest number of wrong readings among n images, when `wrong` of `of` labelled images were read wrongly."""
    from scipy.stats import betabinom

    cumulated = np.cumsum(betabinom.pmf(np.arange(n + 1), n, wrong + _JEFFREYS, of - wrong + _JEFFREYS))
    return int(np.searchsorted(cumulated, (1 + level) / 2))
