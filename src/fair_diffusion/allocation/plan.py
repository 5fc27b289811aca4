"""The plan of a request: for each target, how many images each cell gets and which image shows which cell."""

from collections.abc import Sequence

from fair_diffusion.allocation.assignment import assign
from fair_diffusion.allocation.quotas import quotas
from fair_diffusion.policy.target import Cell, Target
from fair_diffusion.seeds import SEEDS


def plan(targets: Sequence[Target], n: int, seed: int, of: str = "", place: int = 0) -> list[list[int]]:
    """Return the quotas of each target: images per cell in the order of its `shares`, summing to `n`.

    `seed`, `of` and `place` decide who wins among equal remainders, as in `quotas`. Each target has a lot of its own.
    """
    return [quotas(list(target.shares.values()), n, _lot(seed, k), of, place) for k, target in enumerate(targets)]


def assign_randomly(targets: Sequence[Target], planned: Sequence[Sequence[int]], seed: int) -> list[list[Cell]]:
    """Return, for each target, the cell that each image shows. `planned` holds the quotas from `plan`."""
    return [
        [list(target.shares)[cell] for cell in assign(counts, _lot(seed, k))]
        for k, (target, counts) in enumerate(zip(targets, planned, strict=True))
    ]


def _lot(seed: int, k: int) -> int:
    """A seed for target k alone. With seed + k, target 1 of one request would draw as target 0 of the next request."""
    return seed + k * SEEDS
