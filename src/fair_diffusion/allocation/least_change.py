"""The assignment of least change: it meets the quotas and leaves as many images as possible unchanged.

minimise  Σ_i e_i·[a_i ≠ natural_i]    (images to change; e_i: how hard image i is to change)
then      −Σ_i log p_i(a_i)            (of all such assignments, the most probable)
such that every cell k is assigned exactly quota_k times

natural_i is the cell that image i shows without any change, and p_i(k) the probability that it is cell k. An image that
cannot be read has no natural cell and small, equal probabilities, so it fills a cell that lacks images. This is a
linear assignment (Crouse 2016, IEEE TAES 52(4), as scipy implements it) with one column per place of the quotas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_FLOOR = 1e-6


def least_change(
    natural: Sequence[int | None],
    probabilities: ArrayLike,
    quotas: Sequence[int],
    *,
    effort: ArrayLike | None = None,
    floor: float = _FLOOR,
) -> list[int]:
    """Return the cell that each image should show; cell k occurs exactly `quotas[k]` times.

    Args:
        natural: the cell that each image shows by itself, None if it cannot be read.
        probabilities: (images, cells), in 0…1; a row may sum to less than 1, and the rest is unknown.
        quotas: images per cell, summing to the number of images.
        effort: the cost of changing each image, (images,), above 0; 1 for all if not given.
        floor: above 0; smaller probabilities are raised to it.

    Raises:
        ValueError: the shapes do not fit, or a probability lies outside 0…1.
    """
    import numpy as np  # both here, since `explain` need not wait for them
    from scipy.optimize import linear_sum_assignment

    p = np.asarray(probabilities, dtype=np.float64)
    if p.shape != (sum(quotas), len(quotas)) or len(natural) != len(p):
        raise ValueError(
            f"probabilities of shape {p.shape} for {len(natural)} images do not fit quotas {list(quotas)}; "
            "give (images, cells)"
        )
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities lie outside 0…1; check the reader that gave them")
    weight = np.ones(len(p)) if effort is None else np.asarray(effort, dtype=np.float64)
    # One more changed image outweighs the log probabilities of all images together.
    change = -np.log(floor) * (len(p) + 1) * np.broadcast_to(weight[:, None], p.shape).copy()
    for i, cell in enumerate(natural):
        if cell is not None:
            change[i, cell] = 0
    cost = change - np.log(np.maximum(p, floor))
    places = np.repeat(np.arange(len(quotas)), quotas)
    _, chosen = linear_sum_assignment(cost[:, places])
    return [int(cell) for cell in places[chosen]]
