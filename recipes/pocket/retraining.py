"""Retraining: go on training the pocket UNet with balanced sampling of its pairs.

Where the captions of a concept leave gender or skin tone open, its pairs are drawn so that both are even: a pair of a
rare group comes again and again. Nothing is thrown away, and no artist draws anything new.

    python -m recipes.pocket.retraining [--steps 1500]      → work/pocket/retraining.safetensors, resumable

The file is a weight edit: `fair-diffusion compare --methods retraining=FILE`, or `edits.edited` in Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from numpy.typing import NDArray

from fair_diffusion.models.pocket.folder import WEIGHTS
from recipes.pocket.balance import Table, counts, tables
from recipes.pocket.data import WORK, load
from recipes.pocket.unet import pair_up, prepare, train, write_edit

NAME, RATE = "retraining", 1e-4
"""A sixth of the rate from scratch: the weights are near where they should be."""


def even(have: NDArray[np.int64], rounds: int = 200) -> NDArray[np.float64]:
    """Shares, (genders, tones), with even margins over what `have` shows: iterative proportional fitting."""
    shares: NDArray[np.float64] = (have > 0).astype(np.float64)
    for _ in range(rounds):
        for axis in (0, 1):
            margin = shares.sum(axis=axis, keepdims=True)
            shares = shares / np.where(margin > 0, margin * np.count_nonzero(margin), 1)
    return shares


def resample(pairs: Sequence[Table], seed: int = 0) -> torch.Tensor:
    """As many pairs as there are, drawn again so that each table is even."""
    rng, drawn = np.random.default_rng(seed), list[int]()
    for table in pairs:
        have = counts(table)
        cells = [cell for row in table for cell in row]
        for k in rng.choice(len(cells), size=int(have.sum()), p=even(have).ravel()):
            drawn.append(int(rng.choice(cells[k])))
    return torch.tensor(drawn)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    given = parser.parse_args()
    drawings = load(WORK)[1]
    captions, drawn = pair_up(drawings)
    trained, cost = train(
        prepare(WORK, 0),
        UNet2DConditionModel.from_pretrained(WEIGHTS / "unet").float(),
        WORK / f"{NAME}-state.safetensors",
        steps=given.steps,
        rate=RATE,
        chosen=resample(tables(captions, drawn, drawings)),
    )
    write_edit(trained, cost, WORK / f"{NAME}.safetensors")
