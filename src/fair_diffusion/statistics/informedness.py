"""How far a reader is better than chance: informedness (Youden 1950, Cancer 3; Powers 2011 for several groups).

    J = (Σ_i r_i − 1) / (K − 1)        r_i: of the images of group i that were read, the part that was read as i

J is 1 for a reader that never errs, and 0 for one whose readings do not depend on the group, whatever groups it
favours (below 0 if it favours groups that are not there). With two groups it is sensitivity + specificity − 1, which
Rogan and Gladen's correction divides by: near 0 nothing can be corrected. The interval adds the squared distances to
the ends of Wilson's interval of each r_i (Newcombe 1998, Statistics in Medicine 17; Zou and Donner 2008, Statistics
in Medicine 27, for sums). Exports `informedness`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fair_diffusion.statistics.intervals import Interval, check_level, score_bounds


def informedness(counts: ArrayLike, *, level: float = 0.95) -> tuple[float, Interval]:
    """J and its interval.

    Args:
        counts: images by group and by what was read, shape (K, K) or with more columns, of readings that are right for
            no group here. Images without a reading are left out. Weighted labels give fractions
            (`effective_counts`).
        level: confidence of the interval.

    Raises:
        ValueError: another shape, less than two groups, or a group of which no image was read.
    """
    n = np.asarray(counts, dtype=np.float64)
    if n.ndim != 2 or n.shape[1] < n.shape[0] or n.shape[0] < 2 or not n.sum(axis=1).all():
        raise ValueError(f"counts of shape {n.shape}: give readings of two groups or more, some of each group")
    check_level(level)
    right, read, others = np.diag(n), n.sum(axis=1), len(n) - 1
    rates, (low, high) = right / read, score_bounds(right, read, level)
    found = (float(rates.sum()) - 1) / others
    below, above = (math.sqrt(float(((rates - ends) ** 2).sum())) / others for ends in (low, high))
    return found, (found - below, min(1.0, found + above))
