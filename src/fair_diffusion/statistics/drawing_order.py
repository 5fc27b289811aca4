"""The order in which pictures are shown to raters, and what the labels so far then say of all pictures.

Each picture i has a weight p_i, the probability that one draw gives it, and one random number u_i for good. Pictures
are shown by rising priority u_i / p_i. After n of them, with τ the priority of the next one,

    π_i = min(1, p_i τ)        the probability that i is among them, given τ

and Σ y_i / π_i estimates a total without bias (priority sampling: Duffield, Lund and Thorup 2007, Journal of the ACM
54). So raters may stop at any time, and equal weights are a uniform draw.
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


def chance_so_far(probabilities: ArrayLike, after: float | None) -> Array:
    """The probability π of each labelled picture.

    Args:
        probabilities: p of the labelled pictures.
        after: τ, the smallest priority of those that are not labelled; None if all are.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    return np.ones_like(p) if after is None else np.minimum(1.0, p * after)
