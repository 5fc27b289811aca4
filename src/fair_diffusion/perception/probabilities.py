"""Probabilities and features from any perceiver, as far as it has them, for steering and comparisons.

Some perceivers give a probability for every group. Others only decide, each by a threshold of its own. For these, the
group that the perceiver names gets p = DECIDED + (1 − DECIDED)·confidence. So it counts as sure, and readings with more
confidence rank first. The rest, up to 1, is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fair_diffusion.files.picture_files import Pictures
from fair_diffusion.perception.perceiver import TOGETHER, Perceiver

DECIDED = 0.75
"""Above every threshold at which control takes a group for sure."""


@runtime_checkable
class Graded(Protocol):
    """A perceiver with a probability for every group."""

    def every_probability(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        """Probabilities (n, groups + unknown) for every attribute."""


@runtime_checkable
class Embedding(Protocol):
    """A perceiver with features of pictures. Similar pictures have similar features."""

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Features (n, width)."""


def probabilities(perceiver: Perceiver, images: Sequence[Image.Image]) -> dict[str, Tensor]:
    """Probabilities (n, groups + unknown) for every attribute that `perceiver` reads."""
    if isinstance(perceiver, Graded):
        return perceiver.every_probability(images)
    found = {}
    for name, readings in perceiver.read(images).items():
        groups = perceiver.groups[name]
        table = torch.zeros(len(readings), len(groups) + 1)
        for row, reading in zip(table, readings, strict=True):
            if reading.label is not None:
                row[list(groups).index(reading.label)] = DECIDED + (1 - DECIDED) * reading.confidence
        table[:, -1] = 1 - table.sum(dim=1)
        found[name] = table
    return found


def features(perceiver: Perceiver, images: Sequence[Image.Image]) -> NDArray[np.float32] | None:
    """Features (n, width) of pictures; None if `perceiver` has no features."""
    if not isinstance(perceiver, Embedding):
        return None
    if isinstance(images, Pictures):
        parts = [list(images[i : i + TOGETHER]) for i in range(0, len(images), TOGETHER)]
        return np.concatenate([perceiver.embed(part).float().cpu().numpy() for part in parts])
    embedded: NDArray[np.float32] = perceiver.embed(images).float().cpu().numpy()
    return embedded
