"""What every family of diffusion models looks like to the denoising loop and to the steering methods.

Everything is per image: row *i* of latents, conditioning and outputs belongs to image *i* and to no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class Conditioning:
    """What the network is told about each image: one row per image.

    embeddings: text embeddings, (n, tokens, dim).
    """

    embeddings: Tensor

    def __len__(self) -> int:
        return self.embeddings.shape[0]

    def __getitem__(self, indices: Tensor | Sequence[int] | slice) -> Conditioning:
        """Take rows: a slice, a list of ints, or an integer tensor (rows may repeat)."""
        if isinstance(indices, (slice, Tensor)):
            return Conditioning(self.embeddings[indices])
        return Conditioning(self.embeddings[torch.as_tensor(indices, dtype=torch.long)])

    @staticmethod
    def cat(parts: Sequence[Conditioning]) -> Conditioning:
        """Join rows, in order."""
        return Conditioning(torch.cat([part.embeddings for part in parts]))


class Backbone(Protocol):
    """One family of diffusion models.

    Samplers remember earlier steps, so a backbone has a state: `timesteps` begins a run with a fresh one,
    then comes `initial_latents`, then `predict` and `step` at each time. `fork` gives an independent state
    over the same networks.
    """

    @property
    def evaluations(self) -> int:
        """Network evaluations so far, in image rows, all forks together."""

    def fork(self) -> Self:
        """Return the same networks with a copy of the sampler's state, mid-run or not."""

    def take(self, places: Sequence[int]) -> Self:
        """Return a fork whose sampler knows only the images at these places of the batch, mid-run."""

    def join(self, parts: Sequence[Self]) -> Self:
        """Return a fork whose sampler knows the images of all parts, in order; all are at the same point of a run."""

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        """Encode prompts, one row each."""

    def unseen(self, prompt: str) -> str:
        """The end of a prompt that is too long for the text encoder; empty if it reads all."""

    def timesteps(self, steps: int) -> Tensor:
        """Begin a run and return its times, noise to image; some samplers make more than `steps`."""

    def initial_latents(self, seeds: Sequence[int]) -> Tensor:
        """Draw the starting noise of each image from its own seed: (n, channels, height, width)."""

    def predict(self, latents: Tensor, t: Tensor, cond: Conditioning) -> Tensor:
        """Evaluate the network on each row at time t: its raw output, shaped as the latents."""

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
