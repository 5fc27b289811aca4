"""Readings of weighted labels, as a table of as many independent labels as tell as much.

Label i weighs w_i = 1 / π_i, and people see group g in it. Of group g the part p is read as g, weighted. Its variance
is that of a ratio, and n independent labels would have p (1 − p) / n, so

    n = p (1 − p) / V,     V = Σ w_i² (x_i − p)² / (Σ w_i)²        x_i: 1 if it was read as g, else 0

Labels that are read alike often weigh alike: of images that control chose, those that read as one group stand for many.
Then a heavy reading that happens not to be among the labels of g is what n would be wrong about. So half a label that
is right is added to p and V, and half a label that is wrong, each as heavy as the heaviest that is read so in the
group, or in any group if none of it is. n is no more than (Σ w)² / Σ w² (Kish 1965, "Survey sampling"), which holds for
weights that have nothing to do with the readings; where they do, it alone lets a tenth of the readers that are at
chance pass for better ones at 2.5 %. Exports `effective_counts`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fair_diffusion.statistics.intervals import Array

_ADDED = 0.5


def effective_counts(people: ArrayLike, read: ArrayLike, weights: ArrayLike, groups: int) -> Array:
    """The table of labels by group and by reading.

    Args:
        people: the group of each label, 0 … groups − 1.
        read: what was read, 0 … readings − 1; reading g is the right one for group g.
        weights: how many images each label stands for, above 0; a common factor does not matter.
        groups: how many there are.

    Returns:
        Shape (groups, readings), in fractions of labels. Of equal weights, it is the labels as they are.

    Raises:
        ValueError: the lists differ in length, or a number is out of range.
    """
    g, j, w = np.asarray(people, dtype=int), np.asarray(read, dtype=int), np.asarray(weights, dtype=np.float64)
    if not g.shape == j.shape == w.shape or g.ndim != 1:
        raise ValueError(f"{g.size} groups, {j.size} readings, {w.size} weights: give one of each for every label")
    if g.size and not (g.min() >= 0 and g.max() < groups and j.min() >= 0 and (np.isfinite(w) & (w > 0)).all()):
        raise ValueError("a group or a weight is out of range: give groups from 0 on, and finite weights above 0")
    found = np.zeros((groups, max(groups, int(j.max(initial=0)) + 1)))
    for k in np.unique(g):
        own = g == k
        shares = np.bincount(j[own], weights=w[own], minlength=found.shape[1]) / w[own].sum()
        heavy = [_heaviest(w, own, read_so) for read_so in (j == k, j != k)]
        found[k] = shares * _effective(w[own], j[own] == k, *heavy)
    return found


def _heaviest(weights: Array, own: NDArray[np.bool_], read_so: NDArray[np.bool_]) -> float:
    """The heaviest label of a group that is read so; if there is none that of any group, and then the heaviest."""
    known = next((which for which in (own & read_so, read_so) if which.any()), np.ones_like(own))
    return float(weights[known].max())


def _effective(w: Array, right: Array, heavy_right: float, heavy_wrong: float) -> float:
    """n for the labels of one group; never more than there are."""
    added = _ADDED * np.array([heavy_right, heavy_wrong])
    total = w.sum() + added.sum()
    p = (w[right].sum() + added[0]) / total
    off = (w**2 * (right - p) ** 2).sum() + _ADDED * (heavy_right**2 * (1 - p) ** 2 + heavy_wrong**2 * p**2)
    return float(min(len(w), w.sum() ** 2 / (w**2).sum(), p * (1 - p) * total**2 / off))
