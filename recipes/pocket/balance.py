"""What the captions of the training pairs leave open, and which drawings then came: tables of gender × skin tone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from recipes.pocket.captions import Caption
from recipes.pocket.data import TONES, Drawing

Table = list[list[list[int]]]
"""Pairs by [gender][skin tone]; one row or column where the caption names it."""


def tables(captions: Sequence[Caption], drawn: Tensor, drawings: Sequence[Drawing]) -> list[Table]:
    """One table for the pairs of each concept whose captions name the same gender and skin tone, or none."""
    found: dict[tuple[str | None, str | None, str | None], Table] = {}
    for pair, (caption, index) in enumerate(zip(captions, drawn.tolist(), strict=True)):
        genders = [caption.gender] if caption.gender else ["woman", "man"]
        tones = [caption.tone] if caption.tone else list(TONES)
        empty: Table = [[[] for _ in tones] for _ in genders]
        table = found.setdefault((caption.concept, caption.gender, caption.tone), empty)
        shown = drawings[index]
        table[genders.index(shown.gender)][tones.index(shown.tone)].append(pair)
    return list(found.values())


def counts(table: Table) -> NDArray[np.int64]:
    """The pairs in each cell."""
    return np.array([[len(pairs) for pairs in row] for row in table])
