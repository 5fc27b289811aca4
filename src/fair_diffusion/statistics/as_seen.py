"""From what a reader read to what people would see, with the reader's rates of error.

    P(i | j) = θ[i, j] π[i] / Σ_k θ[k, j] π[k]          Bayes: people see group i, if the reader's word is j
    p(i) = r(i) if r(j) ≤ P(j | j), else P(i | j)       r: the reader's probabilities, j: the most probable group

θ[i, j] is the probability that the reader's word is j where people see i, and π the shares that people would see of
such images. θ counts words, and so holds all errors of readings that were not sure. The rule of Jeffrey (1965, "The
logic of decision", chapter 11), Σ_j r(j) P(i | j), would count them twice: a right reader that is sure to 0.72, as it
should be, would count as less sure than that. So the reader is taken at its word where it is no surer than labels
allow, and labels speak where it is.

Nobody knows π. It is the one that explains the readings so far best, by the EM algorithm for shares behind a
classifier (Saerens, Latinne and Decaestecker 2002, Neural Computation 14), with a few imagined images π₀:

    π[i] ← (π₀[i] + Σ_x p_x(i)) / (Σ π₀ + n)

The readings that π explains are words, too. If the reader does not err (θ is the identity), p is r, bit for bit.
Exports `explained` and `translated`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fair_diffusion.statistics.intervals import Array

_MOST_STEPS, _CLOSE = 500, 1e-9


def explained(readings: ArrayLike, rates: ArrayLike, imagined: ArrayLike) -> Array:
    """The shares π that people would see of some images.

    Args:
        readings: how many images got each word, shape (readings,).
        rates: θ, shape (groups, readings); there are as many groups as readings, and "unknown" is the last of both.
        imagined: π₀, imagined images by group, above 0, shape (groups,).
    """
    read, theta, prior = (np.asarray(values, dtype=np.float64) for values in (readings, rates, imagined))
    shares = prior / prior.sum()
    for _ in range(_MOST_STEPS):
        found = prior + read @ _posterior(theta, shares)
        found /= found.sum()
        close = np.abs(found - shares).max() < _CLOSE
        shares = found
        if close:
            break
    return np.asarray(shares)


def translated(readings: ArrayLike, rates: ArrayLike, shares: ArrayLike) -> Array:
    """The probabilities of what people would see, shape (images, groups).

    Args:
        readings: the reader's probabilities, shape (images, readings).
        rates: θ, as in `explained`.
        shares: π, as in `explained`.
    """
    r, theta, pi = (np.asarray(values, dtype=np.float64) for values in (readings, rates, shares))
    word = r.argmax(axis=1)
    seen = _posterior(theta, pi)[word]
    rows = np.arange(len(r))
    return np.where((r[rows, word] <= seen[rows, word])[:, None], r, seen)


def _posterior(theta: Array, shares: Array) -> Array:
    """P(i | j), shape (readings, groups). A reading that no group explains is taken at its word."""
    joint = (theta * shares[:, None]).T
    whole = joint.sum(axis=1, keepdims=True)
    return np.asarray(np.where(whole > 0, joint / np.where(whole > 0, whole, 1), np.eye(len(theta))))
