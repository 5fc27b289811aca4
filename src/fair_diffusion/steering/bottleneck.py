"""A vector per group, added after the middle block of the UNet: h ← h + s·v_g, at every step, with the prompt only.

v_g = argmin over v of  E ‖ target(x₀, ε, t) − network(x_t, t, neutral prompt; h + v) ‖²

x₀ are images that the model itself draws from the prompt with the group's word; the network, told the neutral prompt,
must explain them, and all it may change is v. So v learns what the neutral prompt leaves open: the group. One constant
vector, (channels, height, width), serves every prompt and time. (Li et al. 2024, arXiv 2311.17216; Adam with rate 0.1,
about 1,000 images.)

Each image gets the vectors of its own groups; several attributes add up. The network is never changed: `Adapter`
adds the vectors for one call. The file holds a tensor per group, named "attribute/group".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from fair_diffusion.backbones import Conditioning, Guide
from fair_diffusion.backbones.adapter import MIDDLE
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.steering import plain
from fair_diffusion.steering.brief import Aimed
from fair_diffusion.steering.cost import Cost, cost_of

Group = tuple[str, str]
"""Attribute and group."""


def guide(images: Sequence[Aimed]) -> Guide:
    """Guide each steered image with the vectors of its groups in the middle of the network."""
    unsteered = plain.guide(images)
    if not any(aim.strength for _, aim in images):
        return unsteered
    directions = images[0].brief.loaded(Directions.load)
    cond, empty = directions.steer(unsteered.cond, unsteered.empty, [(aim.assigned, aim.strength) for _, aim in images])
    return replace(unsteered, cond=cond, empty=empty)


def check_file(path: Path) -> None:
    """`ValueError` with the mend if the file does not hold directions of groups."""
    Directions.load(path)


@dataclass(frozen=True)
class Directions:
    """The vectors of groups, (channels, height, width) each, and what learning them all took."""

    vectors: Mapping[Group, Tensor]
    cost: Cost

    def steer(
        self, plain: Conditioning, empty: Conditioning, aims: Sequence[tuple[Mapping[str, str], float]]
    ) -> tuple[Conditioning, Conditioning]:
        """The conditionings with each image's vectors: groups by attribute and strength of each, (n,); empty gets none.

        `ValueError` naming the groups that there are if one is missing."""
        like = next(iter(self.vectors.values()))
        rows = torch.zeros(len(plain), *like.shape)
        for row, (groups, strength) in zip(rows, aims, strict=True):
            for group in groups.items():
                if group not in self.vectors:
                    known = ", ".join("/".join(each) for each in self.vectors)
                    raise ValueError(f"there is no direction for {'/'.join(group)}, only for {known}; learn it")
                row += strength * self.vectors[group].float()
        rows = rows.to(plain.embeddings.device)
        return (
            replace(plain, added={**plain.added, MIDDLE: rows}),
            replace(empty, added={**empty.added, MIDDLE: torch.zeros_like(rows)}),
        )

    def save(self, path: Path) -> None:
        """Write a safetensors file (fp16), with the cost beside the vectors; whole or not at all."""
        tensors = {"/".join(group): vector.half().contiguous() for group, vector in self.vectors.items()}
        with whole_file(path) as part:
            save_file(tensors, part, self.cost.metadata())

    @classmethod
    def load(cls, path: Path) -> Directions:
        """What `save` wrote. `ValueError` with the mend if it is something else."""
        try:
            vectors = {(name.split("/")[0], name.split("/")[1]): vector for name, vector in load_file(path).items()}
            shapes = {vector.shape for vector in vectors.values()}
            if len(shapes) != 1 or len(next(iter(shapes))) != 3:
                raise ValueError(f"shapes {sorted(map(tuple, shapes))}")
            if not all(torch.isfinite(vector).all() for vector in vectors.values()):
                raise ValueError("numbers that are not finite")
            return cls(vectors, cost_of(path))
        except (OSError, SafetensorError, IndexError, ValueError) as error:
            message = f"{path} does not hold directions of groups ({error})"
            raise ValueError(f"{message}; learn them: steering.learn.bottleneck") from error
