"""A stream of images, one after the other, each prefix of which meets the target: the chairman assignment.

Cells with shares τ_k > 0 (K of them) hold c_k images, t − 1 together, and image t is to be given. Among the cells
that lack enough, τ_k·t − c_k ≥ δ with δ = 1 / (2K − 2), the one gets it that reaches a deficit of 1 − δ first, at the
time (c_k + 1 − δ) / τ_k. Then |τ_k·t − c_k| ≤ 1 − δ < 1 for every cell after every image.
R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32 (1980) 323–330.

The rule that first comes to mind, the cell with the largest deficit, does not keep every cell within one image: with
the shares 1, 1, 1, 1, 7, 7 of 18 a cell ends 19/18 away (tested).

The rule is earliest deadline first, so it also mends counts that did not come from it. An image too many cannot be
taken back, but once t ≥ c_k / τ_k for every cell, all are within 1 − δ again, and stay there (tested from any counts).
Exact fractions throughout: a rounded one would lose ties, and in time the guarantee.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

_TIE_STREAM = 3


def deficits(shares: Sequence[Fraction], counts: Sequence[int]) -> list[Fraction]:
    """Return how many images each cell lacks, τ_k·t − c_k, where t counts the images in cells with a share.

    Images in a cell without a share are no part of t: no other cell could make up for them. That cell lacks −c_k.
    """
    total = sum(count for share, count in zip(shares, counts, strict=True) if share)
    return [share * total - count for share, count in zip(shares, counts, strict=True)]


def next_cells(shares: Sequence[Fraction], counts: Sequence[int], n: int, seed: int = 0) -> list[int]:
    """Return the cells of the next `n` images.

    n images at once and one image n times give the same cells, if each image then counts for its cell.

    Args:
        shares: target share of each cell, 0 or more, summing to exactly 1.
        counts: images that each cell has already, 0 or more.
        n: number of images, 0 or more.
        seed: decides among cells whose turn it equally is, each time anew and each with the same chance: without
            it, every stream would begin with the same group.

    Returns:
        `n` cell indices, in the order of the stream. A cell without a share never occurs.

    Raises:
        ValueError: shares that are negative or do not sum to exactly 1, a count or `n` or `seed` below 0, or not as
            many counts as shares.
    """
    _check(shares, counts, n, seed)
    held = [k for k, share in enumerate(shares) if share]
    slack = Fraction(1, max(2 * len(held) - 2, 1))
    had = list(counts)
    total = sum(had[k] for k in held)
    chosen: list[int] = []
    for t in range(total + 1, total + n + 1):
        due = {k: (had[k] + 1 - slack) / shares[k] for k in held if shares[k] * t - had[k] >= slack}
        first = min(due.values())
        cell = _draw([k for k, time in due.items() if time == first], seed, t)
        had[cell] += 1
        chosen.append(cell)
    return chosen


def _draw(tied: Sequence[int], seed: int, t: int) -> int:
    """One of the `tied` cells, each with the same chance, by a lot of its own for every place t of the stream."""
    if len(tied) == 1:
        return tied[0]
    lot = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_TIE_STREAM, t)))
    return tied[int(lot.integers(len(tied)))]


def _check(shares: Sequence[Fraction], counts: Sequence[int], n: int, seed: int) -> None:
    if len(shares) != len(counts):
        raise ValueError(f"there are {len(shares)} shares and {len(counts)} counts: give one count for each share")
    if any(share < 0 for share in shares) or sum(shares) != 1:
        raise ValueError(f"shares are {', '.join(map(str, shares))}: give fractions of 0 or more that sum to exactly 1")
    named = [*((f"count {cell}", count) for cell, count in enumerate(counts)), ("n", n), ("seed", seed)]
    for name, value in named:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} is {value!r}: give a whole number, 0 or more")
