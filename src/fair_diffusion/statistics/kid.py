"""Image quality: kernel inception distance between two sets of image features, with its standard error.

The kernel inception distance (Bińkowski et al. 2018, arXiv 1801.01401) is the unbiased estimate of the squared maximum
mean discrepancy under the kernel k(x, y) = (x·y/d + 1)³, with d features per image. Unlike the Fréchet distance it is
unbiased for any number of images, so runs of different sizes can be compared. It can be slightly negative.

It is a U-statistic of two samples. Its variance has a first part, from each image by itself, and a second one, from
each pair; where the sets do not differ, only the second is left. The jackknife over images sees the second part twice
(Efron and Stein 1981, Annals of Statistics 9), so it is taken off once:

    Var = Var_jackknife − V₂,    but at least V₂
    V₂ = 2 v(a, a) / (m (m−1)) + 2 v(b, b) / (n (n−1)) + 4 v(a, b) / (m n)

v is the variance of the kernel that is left when the means of its rows and columns are taken off; v(a, a) is the
unbiased estimate of Székely and Rizzo (2014, Annals of Statistics 42). The spread of random halves, which is often
printed, is 1.3 to 3 times the standard error. Exports `kid` and its result `Kid`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST_FOR_ERROR = 50
"""Images that each set needs for a standard error."""
_ROWS = 1_000
"""Rows of the kernel that are held at once."""

Array = NDArray[np.float64]


class Kid(NamedTuple):
    """Kernel distance and its standard error; the error is None if a set has fewer than 50 images."""

    value: float
    error: float | None


class _Sums(NamedTuple):
    """Sums over a kernel matrix: of each row, of each column, and of all squares."""

    rows: Array
    columns: Array
    squares: float

    @property
    def total(self) -> float:
        return float(self.rows.sum())


def kid(features_a: ArrayLike, features_b: ArrayLike) -> Kid:
    """Kernel distance between two sets of features.

    The standard error takes all images as independent draws; images of the same seeds in both sets are not.

    Args:
        features_a: features of one set, shape (images, d), at least 2 images.
        features_b: features of the other set from the same network, shape (images, d), at least 2 images.

    Raises:
        ValueError: features of different width or not finite, or too few images.
    """
    a, b = np.asarray(features_a, dtype=np.float64), np.asarray(features_b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"features have shapes {a.shape} and {b.shape}: give (images, d) twice, with the same d")
    m, n = len(a), len(b)
    if min(m, n) < 2:
        raise ValueError(f"there are {m} and {n} images: a kernel distance needs at least 2 of each set")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("features hold values that are not finite: check the network that made them")
    within_a, within_b, across = _sums(a, a, within=True), _sums(b, b, within=True), _sums(a, b)
    same_a, same_b = within_a.total / (m * (m - 1)), within_b.total / (n * (n - 1))
    value = same_a + same_b - 2 * across.total / (m * n)
    if min(m, n) < FEWEST_FOR_ERROR:
        return Kid(value, None)
    without_a = _without(within_a, across.rows, across.total, n) + same_b
    without_b = _without(within_b, across.columns, across.total, m) + same_a
    jackknife = (m - 1) * without_a.var() + (n - 1) * without_b.var()
    pairs = 2 * _of_pairs(within_a) / (m * (m - 1)) + 2 * _of_pairs(within_b) / (n * (n - 1))
    pairs += 4 * _of_pairs_across(across) / (m * n)
    return Kid(value, float(np.sqrt(max(jackknife - pairs, pairs))))


def _without(within: _Sums, across: Array, total_across: float, others: int) -> Array:
    """The distance without each image of a set, but for the part of the other set alone, shape (images,)."""
    images = len(across)
    same = (within.total - 2 * within.rows) / ((images - 1) * (images - 2))
    return np.asarray(same - 2 * (total_across - across) / ((images - 1) * others), dtype=np.float64)


def _of_pairs(within: _Sums) -> float:
    """The variance of the kernel within a set that neither image of a pair explains by itself."""
    k = len(within.rows)
    explained = 2 * float((within.rows**2).sum()) / (k - 2) - within.total**2 / ((k - 1) * (k - 2))
    return max(0.0, within.squares - explained) / (k * (k - 3))


def _of_pairs_across(across: _Sums) -> float:
    """The same across two sets."""
    m, n = len(across.rows), len(across.columns)
    explained = float((across.rows**2).sum()) / n + float((across.columns**2).sum()) / m - across.total**2 / (m * n)
    return max(0.0, across.squares - explained) / ((m - 1) * (n - 1))


def _sums(x: Array, y: Array, *, within: bool = False) -> _Sums:
    """Sums over the kernel of each row of `x` with each of `y`; `within` a set an image is not compared with itself."""
    rows, columns, squares = np.empty(len(x)), np.zeros(len(y)), 0.0
    for start in range(0, len(x), _ROWS):
        kernel = (x[start : start + _ROWS] @ y.T / x.shape[1] + 1) ** 3
        if within:
            places = np.arange(len(kernel))
            kernel[places, start + places] = 0
        rows[start : start + _ROWS] = kernel.sum(axis=1)
        columns += kernel.sum(axis=0)
        squares += float((kernel**2).sum())
    return _Sums(rows, columns, squares)
