"""Quotas for the perceiver, so that the expected proportions as people see them meet the quotas that were asked for.

Image x shows people cell k with probability p_x(k), and is steered to another cell if that is not the one that it is
assigned. With the quotas Q that were asked for, and a_x the assignment of least change under the quotas q:

    E(k) = Σ_{x left alone} p_x(k) + #{x changed to k}        what people would see
    q ← q + Q − E                                             rounded to whole numbers that sum to n

until E is as near to Q as it gets. Where the readings are certain, E is Q at once and nothing is shifted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Counts = list[int]
_ROUNDS = 8


def shifted(
    quotas: Sequence[int],
    natural: Sequence[int | None],
    probabilities: ArrayLike,
    assign: Callable[[Sequence[int]], Sequence[int]],
) -> tuple[Counts, list[int]]:
    """The quotas to assign by, and the assignment.

    Args:
        quotas: images per cell that people should see; they sum to the number of images.
        natural: the cell that each image shows without change; None if nobody can tell.
        probabilities: of what people would see, shape (images, cells).
        assign: the cells of the images under some quotas, such as `least_change` gives them.
    """
    asked, p = np.asarray(quotas, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    used, wanted = list(quotas), asked
    best: tuple[float, Counts, list[int]] | None = None
    tried = set[tuple[int, ...]]()
    while tuple(used) not in tried and len(tried) < _ROUNDS:
        tried.add(tuple(used))
        assigned = list(assign(used))
        seen = _seen(assigned, natural, p)
        off = float(np.abs(seen + (asked.sum() - seen.sum()) * asked / max(asked.sum(), 1) - asked).sum())
        if best is None or off < best[0] - 1e-9:
            best = off, used, assigned
        wanted = wanted + asked - seen
        used = _whole(wanted, sum(quotas))
    assert best is not None
    return best[1], best[2]


def _seen(assigned: Sequence[int], natural: Sequence[int | None], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """E: what people would see of the images that are left alone, and of those that are changed."""
    changed = [k for k, own in zip(assigned, natural, strict=True) if k != own]
    alone = [i for i, (k, own) in enumerate(zip(assigned, natural, strict=True)) if k == own]
    return np.asarray(p[alone].sum(axis=0) + np.bincount(changed, minlength=p.shape[1]))


def _whole(wanted: NDArray[np.float64], n: int) -> Counts:
    """Whole numbers of 0 or more that sum to n, near `wanted`: largest remainders."""
    ideal = np.maximum(wanted, 0)
    ideal = ideal * (n / ideal.sum()) if ideal.sum() else np.full(len(ideal), n / len(ideal))
    counts = np.floor(ideal + 1e-9)
    left = int(n - counts.sum())
    for k in np.argsort(counts - ideal, kind="stable")[:left]:
        counts[k] += 1
    return [int(count) for count in counts]
