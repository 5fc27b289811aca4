"""Image quality: kernel inception distance between two sets of image features.

The kernel inception distance (Bińkowski et al. 2018, arXiv 1801.01401) is the unbiased estimate of the squared maximum
mean discrepancy under the kernel k(x, y) = (x·y/d + 1)³, with d features per image. Unlike the Fréchet distance it is
unbiased for any number of images, so runs of different sizes can be compared. It can be slightly negative.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Kid(NamedTuple):
    """Kernel distance: mean over random subsets, and standard deviation of the subsets (not a standard error)."""

    mean: float
    std: float


def kid(
    features_a: ArrayLike,
    features_b: ArrayLike,
    *,
    subsets: int = 100,
    subset_size: int | None = None,
    seed: int = 0,
) -> Kid:
    """Kernel distance between two sets of features.

    Args:
        features_a: features of one set, shape (images, d).
        features_b: features of the other set from the same network, shape (images, d).
        subsets: number of random subsets, drawn without replacement from each set.
        subset_size: images per subset, 2 or more. Default: half of the smaller set, at most 1000. If it is the size of
            both sets, all subsets are equal and `std` is 0.
        seed: seed of the subsets.

    Raises:
        ValueError: features of different width or not finite, or subsets that are too few or too large.
    """
    a, b = np.asarray(features_a, dtype=np.float64), np.asarray(features_b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"features have shapes {a.shape} and {b.shape}: give (images, d) twice, with the same d")
    smaller = min(len(a), len(b))
    size = min(1000, max(2, smaller // 2)) if subset_size is None else subset_size
    if not 2 <= size <= smaller:
        raise ValueError(f"subset_size is {size}: with {len(a)} and {len(b)} images, give 2 to {smaller}")
    if subsets < 1:
        raise ValueError(f"subsets is {subsets}: give 1 or more")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("features hold values that are not finite: check the network that made them")
    generator = np.random.default_rng(seed)
    estimates = [
        squared_mmd(a[generator.choice(len(a), size, replace=False)], b[generator.choice(len(b), size, replace=False)])
        for _ in range(subsets)
    ]
    return Kid(float(np.mean(estimates)), float(np.std(estimates)))


def squared_mmd(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy between two samples, each of shape (images, d)."""
    m, n = len(a), len(b)
    within_a, within_b = _kernel(a, a), _kernel(b, b)
    same_a = (within_a.sum() - np.trace(within_a)) / (m * (m - 1))
    same_b = (within_b.sum() - np.trace(within_b)) / (n * (n - 1))
    return float(same_a + same_b - 2 * _kernel(a, b).mean())


def _kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3, dtype=np.float64)
