"""Data filtering: drop training pairs until genders and skin tones are balanced, and train the UNet again.

Where the captions of a concept leave gender or skin tone open, as many pairs are kept as can be with both balanced; a
concept without any woman keeps none of these. The rest of the training is the pocket model's own.

    python -m recipes.pocket.filtering [--steps 2500]      → work/pocket/filtering.safetensors, resumable

The file is a weight edit: `fair-diffusion compare --methods filtering=FILE`, or `edits.edited` in Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from recipes.pocket.balance import Table, counts, tables
from recipes.pocket.data import WORK, load
from recipes.pocket.unet import model, pair_up, prepare, train, write_edit

NAME = "filtering"


def balanced(have: NDArray[np.int64]) -> NDArray[np.int64]:
    """The most of `have`, (genders, tones), that has as many of each gender, and as many of each skin tone."""
    rows, columns = have.shape
    genders = np.kron(np.eye(rows), np.ones((1, columns)))
    tones = np.kron(np.ones((1, rows)), np.eye(columns))
    gaps = np.concatenate([genders - genders[0], tones - tones[0]])
    found = milp(
        -np.ones(have.size),
        integrality=np.ones(have.size),
        bounds=Bounds(0, have.ravel()),
        constraints=LinearConstraint(gaps, 0, 0),
    )
    most: NDArray[np.int64] = np.rint(found.x).astype(np.int64).reshape(have.shape)
    return most


def keep(pairs: Sequence[Table], seed: int = 0) -> torch.Tensor:
    """The pairs that are left, chosen at random within each cell."""
    rng, left = np.random.default_rng(seed), list[int]()
    for table in pairs:
        for row, take in zip(table, balanced(counts(table)), strict=True):
            for cell, n in zip(row, take, strict=True):
                left += rng.permutation(cell)[:n].tolist() if n else []
    return torch.tensor(sorted(left))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2500)
    given = parser.parse_args()
    drawings = load(WORK)[1]
    captions, drawn = pair_up(drawings)
    left = keep(tables(captions, drawn, drawings))
    print(f"{len(left)} of {len(drawn)} pairs are left", flush=True)
    trained, cost = train(prepare(WORK, 0), model(), WORK / f"{NAME}-state.safetensors", steps=given.steps, chosen=left)
    write_edit(trained, cost, WORK / f"{NAME}.safetensors")
