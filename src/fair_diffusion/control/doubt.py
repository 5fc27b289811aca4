"""Which images to steer although they read as their group: those that would leave too much to chance.

An image that is left alone shows people its group with a probability p only. Shifted quotas make up for what is
expected of many such images, not for how they fall out, nor for what few labels leave open of p. A steered image is
surer. So the surest images are left alone as long as

    Σ_x (1 − Σ_k p_x(k)²)  ≤  SCATTER² · n / 2

The left side is the variance of the counts of all groups, summed; n / 2 is that of n fair coins. Where a calibration
shows no error, the left side is 0 and no image is in doubt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SCATTER = 0.3
"""How far the images that are left alone may scatter as people see them, against as many coins. `python -m
benchmarks.feedback_world` shows what it comes to."""


def in_doubt(alone: Sequence[int], probabilities: NDArray[np.float64]) -> list[int]:
    """The images that are to be steered, though they would be left alone.

    Args:
        alone: the images that would be left alone, by their place.
        probabilities: of what people would see in each image, shape (images, groups). What is missing to 1 is unknown.
    """
    p = np.column_stack([probabilities, np.clip(1 - probabilities.sum(axis=1), 0, 1)])
    variance = 1 - (p**2).sum(axis=1)
    surest = sorted(alone, key=lambda i: float(variance[i]))
    room = SCATTER**2 * len(p) / 2
    return sorted(np.asarray(surest, dtype=int)[np.cumsum(variance[surest]) > room].tolist())
