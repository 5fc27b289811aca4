"""What pictures show and how each rater errs, from overlapping labels (Dawid and Skene 1979, Applied Statistics 28).

Rater r says group k of a picture that shows group c with probability e_rck, and pictures show group c with probability
p_c. EM alternates between both:

    P(c | picture) ∝ p_c Π_r e_rck        e_rck ∝ Σ_pictures P(c | picture) [r says k]        p_c = mean P(c | picture)

It starts from each picture's share of labels. There is no prior, so it is the estimate of greatest likelihood that this
start leads to; of pictures with one label each it says nothing new.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fair_diffusion.statistics.intervals import Array

NONE = -1
"""Stands for a picture that a rater did not label."""
_FLOOR = 1e-10


class RaterErrors(NamedTuple):
    """What overlapping labels say.

    Attributes:
        shown: the probability that each picture shows each group, shape (pictures, groups).
        errors: how each rater labels what is shown, shape (raters, groups shown, groups said); rows sum to 1.
        shares: how often pictures show each group, shape (groups,).
    """

    shown: Array
    errors: Array
    shares: Array

    @property
    def accuracy(self) -> Array:
        """How often each rater says what is shown, over pictures as they are, shape (raters,)."""
        return np.asarray(np.einsum("c,rcc->r", self.shares, self.errors))


def dawid_skene(labels: ArrayLike, groups: int, *, steps: int = 200, tolerance: float = 1e-7) -> RaterErrors:
    """Estimate what pictures show and how raters err.

    Args:
        labels: the place of the group that each rater said, `NONE` where one said nothing, shape (pictures, raters).
        groups: how many there are.
        steps: of EM, at most.
        tolerance: it ends when no probability of a picture changes by more.

    Raises:
        ValueError: a label is no group, or a picture has no label.
    """
    said = np.asarray(labels, dtype=np.int64)
    if said.ndim != 2 or said.size == 0:
        raise ValueError(f"labels have the shape {said.shape}; give one row for each picture, one column for a rater")
    if said.min() < NONE or said.max() >= groups:
        raise ValueError(f"labels go from {said.min()} to {said.max()}; give {NONE} to {groups - 1}")
    votes = (said[:, :, None] == np.arange(groups)).astype(np.float64)
    counted = votes.sum(axis=1)
    if not counted.any(axis=1).all():
        raise ValueError("a picture has no label; leave it out")
    shown = counted / counted.sum(axis=1, keepdims=True)
    for _ in range(steps):
        errors, shares = _raters(shown, votes)
        told = np.einsum("nrk,rck->nc", votes, np.log(errors)) + np.log(shares)
        told = np.exp(told - told.max(axis=1, keepdims=True))
        before, shown = shown, told / told.sum(axis=1, keepdims=True)
        if float(np.abs(shown - before).max()) < tolerance:
            break
    return RaterErrors(shown, *_raters(shown, votes))


def _raters(shown: Array, votes: Array) -> tuple[Array, Array]:
    """How raters err and what pictures show, given the probabilities of each picture."""
    counts = np.einsum("nc,nrk->rck", shown, votes) + _FLOOR
    shares = shown.mean(axis=0) + _FLOOR
    return counts / counts.sum(axis=2, keepdims=True), shares / shares.sum()
