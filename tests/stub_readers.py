"""Readers whose answers follow from the bytes of a picture: quick, varied, and the same every time."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fair_diffusion.perception.reader import Reading
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import built_in

GROUPS = {name: tuple(built_in()[name].group_names) for name in ("gender", "skin_tone")}
OCCUPATIONS = ("artist", "nurse")


class StubReader:
    """Reads one group of each attribute, or unknown, from a checksum; `salt` makes two readers differ."""

    def __init__(self, salt: int) -> None:
        self.salt = salt
        self.groups = {**GROUPS, "occupation": OCCUPATIONS}

    def every_probability(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        """One-hot probabilities (n, groups + unknown)."""
        found = {}
        for place, (name, groups) in enumerate(self.groups.items()):
            sums = [zlib.crc32(image.tobytes(), self.salt + place) for image in images]
            found[name] = torch.eye(len(groups) + 1)[[k % (len(groups) + 1) for k in sums]]
        return found

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """The group of each picture, None for the last class."""
        shown = {name: table.argmax(dim=1).tolist() for name, table in self.every_probability(images).items()}
        return {name: [Reading((*self.groups[name], None)[k], 1.0) for k in row] for name, row in shown.items()}

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Pictures as (n, 3·8·8) in −1…1."""
        small = [np.asarray(image.convert("RGB").resize((8, 8))) for image in images]
        return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).flatten(1).float() / 127.5 - 1


def stub_pipeline(tiny_sd: Any) -> FairPipeline:
    """A random model with stub readers: a judge, and a perceiver that reads otherwise."""
    readers: dict[str, Any] = {"judge": StubReader(0), "perceiver": StubReader(9)}
    return FairPipeline(tiny_sd, name="tiny", weights="none", **readers)
