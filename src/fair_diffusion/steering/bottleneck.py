"""Bottleneck directions: one vector per group, added to the features h after the middle block of the UNet.

h ← h + s·v_g        at every step, in the rows of the prompt; s: the strength

v_g = argmin over v of  E ‖ target(x₀, ε, t) − network(x_t, t, neutral prompt; h + v) ‖²

x₀ are images that the model itself draws from the prompt with the group's word. The network predicts their noise from
the neutral prompt, and only v may change. So v learns what the neutral prompt leaves open: the group. One constant
vector, (channels, height, width), serves all prompts and times. (Li et al. 2024, arXiv 2311.17216; Adam with rate 0.1,
about 1,000 images. `steering.learn.bottleneck` learns the vectors.)

Each image gets the vectors of its own groups; those of several attributes add up. The network is never changed:
`Adapter` adds the vectors during one call. The file holds a tensor per group, named "attribute/group".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from fair_diffusion.backbones import Conditioning, Guide
from fair_diffusion.backbones.adapter import MIDDLE
from fair_diffusion.files.format_number import NewerFormatError, file_metadata
from fair_diffusion.files.guarded import why
from fair_diffusion.files.schema import DamagedFile
from fair_diffusion.files.tensor_file import read_tensors
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.policy import Target
from fair_diffusion.steering import plain
from fair_diffusion.steering.brief import Aimed
from fair_diffusion.steering.cost import Cost, cost_of

FORMAT = 1
"""Format of the file of directions."""

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
    """Check that a file holds directions of groups.

    Raises:
        ValueError: it does not.
    """
    Directions.load(path)


def check_targets(path: Path, targets: Sequence[Target]) -> None:
    """Check that a file holds directions of all groups that targets ask for.

    Raises:
        ValueError: it does not.
    """
    directions = Directions.load(path)
    for target in targets:
        for attribute, groups in target.asked_groups.items():
            for group in groups:
                directions.vector((attribute, group))


@dataclass(frozen=True)
class Directions:
    """The vectors of groups.

    Attributes:
        vectors: one vector (channels, height, width) per group.
        cost: the cost of learning all of them.
    """

    vectors: Mapping[Group, Tensor]
    cost: Cost

    def steer(
        self, plain: Conditioning, empty: Conditioning, aims: Sequence[tuple[Mapping[str, str], float]]
    ) -> tuple[Conditioning, Conditioning]:
        """Add the vectors to conditionings.

        Args:
            plain: the conditionings of n images.
            empty: the same for the empty prompt.
            aims: for each image its groups by attribute, and the strength.

        Returns:
            The two conditionings: the first with each image's vectors, the second with zeros.

        Raises:
            ValueError: there is no vector for a group; the message names the groups that have one.
        """
        like = next(iter(self.vectors.values()))
        rows = torch.zeros(len(plain), *like.shape)
        for row, (groups, strength) in zip(rows, aims, strict=True):
            for group in groups.items():
                row += strength * self.vector(group).float()
        rows = rows.to(plain.embeddings.device)
        return (
            replace(plain, added={**plain.added, MIDDLE: rows}),
            replace(empty, added={**empty.added, MIDDLE: torch.zeros_like(rows)}),
        )

    def vector(self, group: Group) -> Tensor:
        """The vector of a group.

        Raises:
            ValueError: there is none; the message names the groups that have one.
        """
        if group not in self.vectors:
            known = ", ".join("/".join(each) for each in self.vectors)
            raise ValueError(f"there is no direction for {'/'.join(group)}, only for {known}; learn it")
        return self.vectors[group]

    def save(self, path: Path) -> None:
        """Write a safetensors file (fp16), with the cost beside the vectors; whole or not at all."""
        tensors = {"/".join(group): vector.half().contiguous() for group, vector in self.vectors.items()}
        with whole_file(path) as part:
            part.write_bytes(save(tensors, file_metadata(FORMAT) | self.cost.metadata()))

    @classmethod
    def load(cls, path: Path) -> Directions:
        """The directions in a file that `save` wrote.

        Raises:
            ValueError: the file holds something else, or has a newer format.
        """
        try:
            tensors, _ = read_tensors(path, FORMAT)
            vectors = {(name.split("/")[0], name.split("/")[1]): vector for name, vector in tensors.items()}
            shapes = {vector.shape for vector in vectors.values()}
            if len(shapes) != 1 or len(next(iter(shapes))) != 3:
                raise ValueError(f"shapes {sorted(map(tuple, shapes))}")
            return cls(vectors, cost_of(path))
        except NewerFormatError:
            raise
        except (OSError, IndexError, ValueError) as error:
            message = f"{path} does not hold directions of groups ({why(error)})"
            raise DamagedFile(f"{message}; learn them: steering.learn.bottleneck") from error
