"""Distances between pictures and their plain twins: in pixels, and in the features of a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image


def pixel_differences(images: Sequence[Image.Image], twins: Sequence[Image.Image]) -> NDArray[np.float64]:
    """Absolute differences of each pair of pictures over pixels and channels.

    Args:
        images: the pictures.
        twins: their twins, as many and of the same sizes.

    Returns:
        The mean and the largest difference of each pair, 0 to 1, shape (pairs, 2).
    """
    pairs = [
        np.abs(np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)) / 255
        for a, b in zip(images, twins, strict=True)
    ]
    return np.array([(pair.mean(), pair.max()) for pair in pairs]).reshape(-1, 2)


def cosine_distances(features: ArrayLike, twins: ArrayLike) -> NDArray[np.float64]:
    """1 − cosine between the features of each pair.

    Args:
        features: shape (pairs, d).
        twins: features of the twins, shape (pairs, d).

    Returns:
        The distances, 0 to 2, shape (pairs,).
    """
    a, b = np.asarray(features, dtype=np.float64), np.asarray(twins, dtype=np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray(1 - (a * b).sum(axis=1) / norms, dtype=np.float64)
