"""Random assignment: the quotas of a request are distributed over its images in a seeded random order."""

from collections.abc import Sequence

_ORDER_STREAM = 2


def assign(quotas: Sequence[int], seed: int) -> list[int]:
    """Return the cell that each of the `sum(quotas)` images shows.

    Every order of the cells is equally likely, so an image's place in the request tells nothing about its cell. The
    draw is independent of the draw that breaks ties in `quotas`, even with the same seed.

    Args:
        quotas: images per cell, each 0 or more.
        seed: the same seed and quotas give the same order.

    Returns:
        Cell indices, one per image; cell k occurs exactly `quotas[k]` times.

    Raises:
        ValueError: a quota or the seed is not a whole number, 0 or more.
    """
    named = [*((f"quota {cell}", quota) for cell, quota in enumerate(quotas)), ("seed", seed)]
    for name, value in named:
        if isinstance(value, bool) or not hasattr(value, "__index__") or value < 0:
            raise ValueError(f"{name} is {value!r}: give a whole number, 0 or more")
    import numpy as np  # here, since `explain` assigns nothing and need not wait for it

    stream = np.random.SeedSequence(int(seed), spawn_key=(_ORDER_STREAM,))
    cells = np.repeat(np.arange(len(quotas)), np.asarray(quotas, dtype=np.int64))
    return [int(cell) for cell in np.random.default_rng(stream).permutation(cells)]
