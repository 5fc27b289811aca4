"""What every family of diffusion models looks like to the denoising loop and to the steering methods.

Everything is per image: row *i* of latents, conditioning and outputs belongs to image *i* and to no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, Self

import torch
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class Conditioning:
    """What the network is told about each image: one row per image.

    embeddings: text embeddings, (n, tokens, dim). added: what a family's network wants beside them, by its name there,
    (n, ...) each: pooled embeddings, sizes, the mask of the tokens that count.
    """

    embeddings: Tensor
    added: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.embeddings.shape[0]

    def __getitem__(self, indices: Tensor | Sequence[int] | slice) -> Conditioning:
        """Take rows: a slice, a list of ints, or an integer tensor (rows may repeat)."""
        rows = indices if isinstance(indices, (slice, Tensor)) else torch.as_tensor(indices, dtype=torch.long)
        return _each(lambda part: part[rows], self)

    @staticmethod
    def cat(parts: Sequence[Conditioning]) -> Conditioning:
        """Join rows, in order."""
        return _each(lambda *tensors: torch.cat(tensors), *parts)

    def towards(self, other: Conditioning, strength: Tensor) -> Conditioning:
        """Go from each row towards the same row of `other`: exactly this one at strength 0, exactly the other at 1.

        strength: (n,), may be above 1. What is no number but a choice (a mask) is the other's unless strength is 0."""

        def mixed(mine: Tensor, others: Tensor) -> Tensor:
            s = strength.to(mine.device).view(-1, *[1] * (mine.ndim - 1))
            if mine.is_floating_point():
                return torch.lerp(mine, others, s.to(mine.dtype))
            return torch.where(s == 0, mine, others)

        return _each(mixed, self, other)


def _each(change: Callable[..., Tensor], *conds: Conditioning) -> Conditioning:
    """Apply `change` to the same part of all `conds`, part by part."""
    added = {name: change(*(cond.added[name] for cond in conds)) for name in conds[0].added}
    return Conditioning(change(*(cond.embeddings for cond in conds)), added)


class Backbone(Protocol):
    """One family of diffusion models.

    Samplers remember earlier steps, so a backbone has a state: `timesteps` begins a run with a fresh one,
    then comes `initial_latents`, then `predict` and `step` at each time. A run may also begin mid-way, with an image
    taken back to there: `noised` or `unstep`, then `enter` (see `steering.inversion`). `fork` gives an independent
    state over the same networks.
    """

    @property
    def evaluations(self) -> int:
        """Network evaluations so far, in image rows, all forks together."""

    @property
    def distilled(self) -> bool:
        """Whether the network was trained to draw guided images in one evaluation, so that it needs no empty prompt."""

    @property
    def reads_text(self) -> bool:
        """Whether what is drawn follows a prompt; without, `encode` takes none and `empty` is all that can be told."""

    def frozen(self) -> AbstractContextManager[None]:
        """While it is open, gradients flow through all networks to what goes in, and to no weight."""

    def fork(self) -> Self:
        """Return the same networks with a copy of the sampler's state, mid-run or not."""

    def take(self, places: Sequence[int]) -> Self:
        """Return a fork whose sampler knows only the images at these places of the batch, mid-run."""

    def join(self, parts: Sequence[Self]) -> Self:
        """Return a fork whose sampler knows the images of all parts, in order; all are at the same point of a run."""

    def encode(self, prompts: Sequence[str], *, gradient: bool = False) -> Conditioning:
        """Encode prompts, one row each. `ValueError` if the model draws without text.

        gradient: whether gradients flow into the text encoders."""

    def empty(self) -> Conditioning:
        """What the family takes for no prompt, one row: guidance leads away from it, edits are measured from it."""

    def truncated_text(self, prompt: str) -> str:
        """The end of a prompt that is too long for the text encoder; empty if it reads all."""

    def timesteps(self, steps: int) -> Tensor:
        """Begin a run and return its times, noise to image; some samplers make more than `steps`."""

    @property
    def noise_scale(self) -> float:
        """What noise of variance 1 is multiplied by at the run's first time."""

    def initial_latents(self, seeds: Sequence[int]) -> Tensor:
        """Draw the starting noise of each image from its own seed: (n, channels, height, width)."""

    def start_step(self, depth: float) -> int:
        """The step where a run can begin with a share `depth` of it, in 0…1, still to come."""

    def noise(self, seeds: Sequence[int]) -> Tensor:
        """Draw each image's noise from its own seed, of variance 1: (n, channels, height, width)."""

    def noised(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Mix clean latents and noise as they are at time t of the run."""

    def unstep(self, latents: Tensor, t: Tensor, lower: Tensor | None, cond: Conditioning) -> Tensor:
        """Move latents as `noised` gives them from the run's time `lower` (None: the end) back to the time t before it.

        One evaluation per row, without guidance. `ValueError` if the network's output does not tell the noise."""

    def enter(self, latents: Tensor, step: int) -> Tensor:
        """Begin the run at this step with latents as `noised` gives them; what comes back is to be stepped."""

    def to_sampler_scale(self, latents: Tensor, t: Tensor) -> Tensor:
        """Latents as `noised` gives them at time t, in the scale in which the sampler holds them: as `clean` takes."""

    def predict(self, latents: Tensor, t: Tensor, cond: Conditioning, *, guidance: float = 1.0) -> Tensor:
        """Evaluate the network on each row at time t: its raw output, shaped as the latents.

        guidance: the scale, for distilled networks that take it as an input; others do not look at it.
        """

    def clean(self, latents: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Predict the clean latents x0 from latents at time t and the (guided) output there."""

    def step(self, latents: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Move the latents from time t to the next one of the run."""

    def decode(self, latents: Tensor) -> Tensor:
        """Turn clean latents into pixels in [0, 1]: (n, 3, height, width)."""

    def images(self, latents: Tensor) -> list[Image.Image]:
        """Turn clean latents into pictures, without gradient."""

    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Turn pictures into clean latents."""
