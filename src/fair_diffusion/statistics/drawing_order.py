"""The order in which pictures are shown to raters, and what the labels so far then say of all pictures.

Each picture i has a weight p_i, the probability that one draw gives it, and one random number u_i for good. Pictures
are shown by rising priority u_i / p_i. After n of them, with τ the priority of the next one,

    π_i = min(1, p_i τ)        the probability that i is among them, given τ

and Σ y_i / π_i estimates a total without bias (priority sampling: Duffield, Lund and Thorup 2007, Journal of the ACM
54). So raters may stop at any time, and equal weights are a uniform draw.

A rater who leaves in the middle holds some pictures, and others go on behind them. What was seen are then several runs,
each between two pictures that were left. A picture comes into a run if its priority lies between the one before it and
the one that would be the first behind it,

    π_i = Σ_r p_i |(a_r, b_r) ∩ (0, 1 / p_i)|        as u_i / p_i is uniform on (0, 1 / p_i)

a_r: the priority of the picture before run r, or 0; b_r: for the pictures of the run that of the first one behind it,
for others that of its last one, which they would push out. One run is priority sampling.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fair_diffusion.statistics.intervals import Array


class Order(NamedTuple):
    """An order of pictures.

    Attributes:
        places: the place of each picture, from 0.
        priorities: u / p of each picture; the order is by these.
        probabilities: p of each picture; they sum to 1.
    """

    places: list[int]
    priorities: Array
    probabilities: Array


def drawing_order(weights: ArrayLike, *, seed: int | None = None) -> Order:
    """Draw an order.

    Args:
        weights: how much each picture is wanted, above 0; equal ones are a uniform draw.
        seed: of the draw; None: unpredictable.

    Raises:
        ValueError: a weight is not above 0, or there is none.
    """
    wanted = np.asarray(weights, dtype=np.float64)
    if wanted.ndim != 1 or not wanted.size or not (np.isfinite(wanted).all() and (wanted > 0).all()):
        raise ValueError("the weights of pictures are no list of numbers above 0; give one for each picture")
    probabilities = wanted / wanted.sum()
    priorities = (1 - np.random.default_rng(seed).random(wanted.size)) / probabilities
    places = np.empty(wanted.size, dtype=np.int64)
    places[np.argsort(priorities, kind="stable")] = np.arange(wanted.size)
    return Order(places.tolist(), priorities, probabilities)


def chance_so_far(probabilities: ArrayLike, priorities: ArrayLike, seen: ArrayLike) -> Array:
    """The probability π with which each picture was seen by now; 0 if none was.

    Args:
        probabilities: p of all pictures that were seen, of those before the last of them, and of the first behind it.
            More pictures change nothing.
        priorities: theirs.
        seen: whether somebody labelled or skipped them.
    """
    p, q, met = np.asarray(probabilities, dtype=np.float64), np.asarray(priorities), np.asarray(seen, dtype=bool)
    order = np.argsort(q, kind="stable")
    ends = np.flatnonzero(np.diff(np.concatenate([[False], met[order], [False]]).astype(int)))
    sorted_q = np.concatenate([[0.0], q[order], [np.inf]])
    found = np.zeros_like(p)
    for first, behind in ends.reshape(-1, 2):
        low, last, high = sorted_q[first], sorted_q[behind], sorted_q[behind + 1]
        upto = np.where((q > low) & (q < high), high, last)
        found += p * np.maximum(0.0, np.minimum(upto, 1 / p) - low)
    return np.minimum(1.0, found)
