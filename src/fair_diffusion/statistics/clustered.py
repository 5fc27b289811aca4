"""Intervals of a share whose images come in clusters: the phrasings of one concept.

Images of one phrasing are alike, so 5 phrasings with 20 images each say less than 100 independent images. The share is
s = Σ x_j / n over J phrasings, and its variance is taken from the spread between them (the ratio estimator; Cochran
1977, Sampling Techniques, chapter 9):

    v = J / (J − 1) · Σ (x_j − s n_j)² / n²,       effective images = s (1 − s) / v
    interval: Wilson's for the effective images, with Student's quantile of J − 1 degrees of freedom instead of z

as Korn and Graubard (1998, Survey Methodology 24) do with an exact interval. It is never narrower than the one for
independent images. Where no image or every image shows the group, no spread can be seen, and the effective images are
all images. Exports `clustered_bounds`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from fair_diffusion.statistics.intervals import Array


def clustered_bounds(counts: ArrayLike, n: ArrayLike, tail: ArrayLike = 0.025) -> tuple[Array, Array]:
    """Lower and upper ends of many intervals of shares over phrasings.

    Args:
        counts: images of each phrasing that show the group, shape (…, phrasings); not checked.
        n: images of each phrasing, 0 or more; those of 0 do not count. At least 2 phrasings have images; not checked.
        tail: probability outside the interval at each end, shape (…): 0.025 for a single 95 % interval, 0.025 / K for
            K groups jointly.

    Returns:
        Two arrays of shape (…).
    """
    x, images = np.broadcast_arrays(np.asarray(counts, dtype=np.float64), np.asarray(n, dtype=np.float64))
    total = images.sum(axis=-1)
    share = x.sum(axis=-1) / total
    phrasings = (images > 0).sum(axis=-1)
    t, z = stdtrit(phrasings - 1, 1 - np.asarray(tail)), ndtri(1 - np.asarray(tail))
    spread = ((x - share[..., None] * images) ** 2).sum(axis=-1) * phrasings / (phrasings - 1) / total**2
    binomial = share * (1 - share)
    # Wilson's interval with t and n · (t / z)² images is about as wide as with z and n images.
    most = total * (t / z) ** 2
    effective = np.where(binomial > 0, np.minimum(binomial / np.maximum(spread, binomial / most + 1e-300), most), total)
    t2n = t * t / effective
    centre = (share + t2n / 2) / (1 + t2n)
    half = t * np.sqrt(binomial / effective + t2n / (4 * effective)) / (1 + t2n)
    low, high = np.maximum(centre - half, 0), np.minimum(centre + half, 1)
    return np.where(share == 0, 0.0, low), np.where(share == 1, 1.0, high)
