"""A stream of images, each prefix of which meets the target: the chairman assignment.

There are K cells with shares τ_k > 0. They hold c_k images each, t − 1 together, and image t is to be assigned. Among
the cells with τ_k·t − c_k ≥ δ, where δ = 1 / (2K − 2), the image goes to the cell whose deficit would reach 1 − δ
first, at the time (c_k + 1 − δ) / τ_k. Then |τ_k·t − c_k| ≤ 1 − δ < 1 for every cell after every image. R. Tijdeman,
"The chairman assignment problem", Discrete Mathematics 32 (1980) 323–330.

The obvious rule, the cell with the largest deficit, does not keep every cell within one image: with the shares 1, 1, 1,
1, 7, 7 of 18, a cell ends 19/18 away (tested).

The rule is earliest deadline first, so it also corrects counts that another rule produced. A surplus image cannot be
taken back. But once t ≥ c_k / τ_k for every cell, all cells are within 1 − δ again, and stay there (tested from any
counts). All fractions are exact: rounding would lose ties, and in time the guarantee.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

_TIE_STREAM = 3


def deficits(shares: Sequence[Fraction], counts: Sequence[int]) -> list[Fraction]:
    """Return how many images each cell lacks, τ_k·t − c_k, where t counts the images in cells with a share.

    Images in a cell without a share do not count in t, since no other cell could make up for them. That cell lacks
    −c_k.
    """
    total = sum(count for share, count in zip(shares, counts, strict=True) if share)
    return [share * total - count for share, count in zip(shares, counts, strict=True)]


def next_cells(
    shares: Sequence[Fraction], counts: Sequence[int], n: int, seed: int = 0, wished: Sequence[int] = ()
) -> list[int]:
    """Return the cells of the next `n` images.

    A request for n images gives the same cells as n requests for one image, if each image then counts for its cell.

    Args:
        shares: target share of each cell, 0 or more, summing to exactly 1.
        counts: images that each cell has already, 0 or more.
        n: number of images, 0 or more.
        seed: draws among cells with the same deadline, each time anew and each with the same chance. Without it, every
            stream would begin with the same group.
        wished: cells that the images would show by themselves, one for each, in any order. Among cells with the same
            deadline these go first; the guarantee is the same, since any of them may be taken.

    Returns:
        `n` cell indices, in the order of the stream. A cell without a share never occurs.

    Raises:
        ValueError: shares are negative or do not sum to exactly 1, a count, `n` or `seed` is below 0, or the numbers of
            counts and shares differ.
    """
    _check(shares, counts, n, seed)
    held = [k for k, share in enumerate(shares) if share]
    slack = Fraction(1, max(2 * len(held) - 2, 1))
    had, left = list(counts), Counter(wished)
    total = sum(had[k] for k in held)
    chosen: list[int] = []
    for t in range(total + 1, total + n + 1):
        due = {k: (had[k] + 1 - slack) / shares[k] for k in held if shares[k] * t - had[k] >= slack}
        first = min(due.values())
        tied = [k for k, time in due.items() if time == first]
        cell = _draw([k for k in tied if left[k] > 0] or tied, seed, t)
        left[cell] -= 1
        had[cell] += 1
        chosen.append(cell)
    return chosen


def _draw(tied: Sequence[int], seed: int, t: int) -> int:
    """Draw one of the `tied` cells, each with the same chance, by a separate lot for every place t of the stream."""
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
