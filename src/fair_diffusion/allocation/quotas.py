"""Exact image counts from shares: the largest-remainder method (Hamilton, 1792).

With shares τ_k and n images, every cell first gets ⌊n·τ_k⌋. The images that are left go, one each, to the cells with
the largest remainders n·τ_k − ⌊n·τ_k⌋. The counts sum to n, and each differs from n·τ_k by less than 1. See M. Balinski
and H. P. Young, *Fair Representation* (1982).

A cell is a group, or a combination of groups if the target is joint. The method is the same for both.
"""

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction

SUM_TOLERANCE = Fraction(1, 10**9)
_LARGEST_DENOMINATOR = 10**9
_TIE_STREAM = 1


def quotas(shares: Sequence[Fraction | float], n: int, seed: int = 0, of: str = "", place: int = 0) -> list[int]:
    """Return how many of `n` images each cell gets.

    Ties are found with exact fractions. A float stands for the nearest fraction with a denominator up to 10⁹,
    which gives back every fraction with a denominator up to 10⁷ that a person can have meant: 0.1 and 1 − 0.9
    tie, as they would not in floating point. (Hence a float share below 5e-10 counts as zero.)

    Args:
        shares: target share of each cell, non-negative, summing to 1 within 1e-9.
        n: number of images, 0 or more.
        seed: decides who wins among **equal** remainders, each tied cell with the same chance. It has no
            other effect: a cell with a strictly larger remainder always goes first.
        of: a text that decides as well, such as the prompt: with one seed, other prompts have other winners.
        place: the place among requests with the same seed and `of`, from 0. The tied cells win in turn over the
            places: after as many places as there are tied cells, each has won as often as every other.

    Returns:
        One count per cell, in the order of `shares`, summing to `n`. A zero share gets 0.

    Raises:
        ValueError: a share is negative or not finite, the shares do not sum to 1, or `n`, `seed` or `place` is not
            a whole number, 0 or more.
    """
    for name, value in (("n", n), ("seed", seed), ("place", place)):
        if isinstance(value, bool) or not hasattr(value, "__index__") or value < 0:
            raise ValueError(f"{name} is {value!r}: give a whole number, 0 or more")
    ideal = [share * int(n) for share in _exact(shares)]
    counts = [math.floor(count) for count in ideal]
    left = int(n) - sum(counts)
    if not left:
        return counts
    remainders = [share - count for share, count in zip(ideal, counts, strict=True)]
    cut = sorted(remainders, reverse=True)[left - 1]
    sure = [k for k, remainder in enumerate(remainders) if remainder > cut]
    tied = [k for k, remainder in enumerate(remainders) if remainder == cut]
    wins = left - len(sure)
    if wins < len(tied):
        around, turn = divmod(int(place), len(tied))
        lot = _lot(int(seed), of, around, len(counts))
        tied.sort(key=lambda k: lot[k])
        tied = [tied[(turn * wins + i) % len(tied)] for i in range(wins)]
    for k in (*sure, *tied):
        counts[k] += 1
    return counts


def _lot(seed: int, of: str, around: int, cells: int) -> list[int]:
    """The places of the cells in the lot. It is drawn anew each time that all tied cells have had their turn."""
    import numpy as np  # here, since `explain` need not wait for it where nothing ties

    text = np.frombuffer(hashlib.sha256(of.encode()).digest(), dtype=np.uint32) if of else ()
    key = (_TIE_STREAM, *map(int, text), *([around] if around else []))
    return [int(k) for k in np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key)).permutation(cells)]


def _exact(shares: Sequence[Fraction | float]) -> list[Fraction]:
    """Shares as fractions that sum to exactly 1."""
    if len(shares) == 0:
        raise ValueError("shares is empty: give at least one share")
    given, meant = Fraction(), []
    for position, share in enumerate(shares):
        if not math.isfinite(share):
            raise ValueError(f"share {position} is {share}: give a finite number between 0 and 1")
        if share < 0:
            raise ValueError(f"share {position} is {share}: a share cannot be negative, give 0 or more")
        if isinstance(share, Fraction):
            given += share
            meant.append(share)
        else:
            value = Fraction(float(share))
            given += value
            meant.append(value.limit_denominator(_LARGEST_DENOMINATOR))
    if abs(given - 1) > SUM_TOLERANCE:
        raise ValueError(f"shares sum to {float(given):.10g}, not 1: change them so that they add up to 1")
    total = sum(meant, Fraction())
    return [share / total for share in meant]
