"""The interface of a family of diffusion models, as the denoising loop and the steering methods see it.

Everything has one row per image: row i of latents, conditioning and outputs belongs to image i alone.
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
    """What the network is told about each image, one row per image.

    Attributes:
        embeddings: text embeddings, (n, tokens, dim).
        added: further inputs of the network by name, (n, ...) each: pooled embeddings, sizes, the mask of the padding.
    """

    embeddings: Tensor
    added: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.embeddings.shape[0]

    def __getitem__(self, indices: Tensor | Sequence[int] | slice) -> Conditioning:
        """Select rows by a slice, a list of ints or an integer tensor. A row may be selected more than once."""
        rows = indices if isinstance(indices, (slice, Tensor)) else torch.as_tensor(indices, dtype=torch.long)
        return _each(lambda part: part[rows], self)

    @staticmethod
    def cat(parts: Sequence[Conditioning]) -> Conditioning:
        """Concatenate the rows of all parts, in order."""
        return _each(lambda *tensors: torch.cat(tensors), *parts)

    def towards(self, other: Conditioning, strength: Tensor) -> Conditioning:
        """Interpolate from each row to the same row of `other`.

        Args:
            other: the conditioning at strength 1, with as many rows as this one.
            strength: (n,). At 0 a row is exactly this one's, at 1 exactly the other's; values above 1 extrapolate. A
                mask cannot be interpolated: it is the other's unless the strength is 0.
        """

        def mixed(mine: Tensor, others: Tensor) -> Tensor:
            s = strength.to(mine.device).view(-1, *[1] * (mine.ndim - 1))
            if mine.is_floating_point():
                return torch.lerp(mine, others, s.to(mine.dtype))
            return torch.where(s == 0, mine, others)

        return _each(mixed, self, other)


def _each(change: Callable[..., Tensor], *conds: Conditioning) -> Conditioning:
    """Apply `change` to each part of all `conds` together: to the embeddings, and to every entry of `added`."""
    added = {name: change(*(cond.added[name] for cond in conds)) for name in conds[0].added}
    return Conditioning(change(*(cond.embeddings for cond in conds)), added)


class Backbone(Protocol):
    """One family of diffusion models.

    A backbone has a state, because samplers remember earlier steps. `timesteps` begins a run with a fresh sampler. Then
    come `initial_latents` and, at each time, `predict` and `step`. A run may also begin mid-way with a given image:
    `noised` or `unstep` adds noise to it, and `enter` begins the run there (see `steering.inversion`). `fork` gives an
    independent state over the same networks.
    """

    @property
    def evaluations(self) -> int:
        """Network evaluations so far: image rows through the network, summed over all forks."""

    @property
    def distilled(self) -> bool:
        """Whether the network was distilled to draw guided images in one evaluation.

        Such a network needs no empty prompt.
        """

    @property
    def reads_text(self) -> bool:
        """Whether the model follows a prompt. If not, `encode` takes no text and `empty` is the only conditioning."""

    def frozen(self) -> AbstractContextManager[None]:
        """Turn off the gradients of all weights inside the context. Gradients still flow to the networks' inputs."""

    def fork(self) -> Self:
        """Return the same networks with a copy of the sampler's state, before a run or during one."""

    def sized(self, width: int, height: int) -> Self:
        """Return the same networks for pictures of another size, in pixels.

        Raises:
            ValueError: the network cannot draw this size.
        """

    def take(self, places: Sequence[int]) -> Self:
        """Return a fork, mid-run, whose sampler keeps only the images at these places of the batch."""

    def join(self, parts: Sequence[Self]) -> Self:
        """Return a fork whose sampler holds the images of all parts, in order.

        All parts must be at the same step of a run.
        """

    def encode(self, prompts: Sequence[str], *, gradient: bool = False) -> Conditioning:
        """Encode prompts, one row each.

        Args:
            prompts: one prompt per row.
            gradient: whether gradients flow into the text encoders.

        Raises:
            ValueError: the model draws without text.
        """

    def empty(self) -> Conditioning:
        """The family's conditioning for no prompt, one row.

        Guidance leads away from it, and edits are measured from it.
        """

    def truncated_text(self, prompt: str) -> str:
        """The end of the prompt that the text encoder's token limit cuts off. Empty if the whole prompt is read."""

    def timesteps(self, steps: int) -> Tensor:
        """Begin a run and return its times, from noise to image. Some samplers make more than `steps` times."""

    def visits(self, steps: int) -> int:
        """How many times such a run has, without beginning one."""

    @property
    def noise_scale(self) -> float:
        """The factor by which noise of variance 1 is scaled at the first time of the run."""

    def initial_latents(self, seeds: Sequence[int]) -> Tensor:
        """Draw the starting noise of each image from its own seed: (n, channels, height, width)."""

    def start_step(self, depth: float) -> int:
        """The step at which a run begins so that a share `depth`, in 0…1, of its steps remains."""

    def noise(self, seeds: Sequence[int]) -> Tensor:
        """Draw noise of variance 1 for each image from its own seed: (n, channels, height, width)."""

    def noised(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Mix clean latents with noise at the level of time t. The result is in the network's scale."""

    def unstep(self, latents: Tensor, t: Tensor, lower: Tensor | None, cond: Conditioning) -> Tensor:
        """One inversion step: from the less noisy time `lower` to the noisier time t.

        It costs one evaluation per row, without guidance.

        Args:
            latents: in the network's scale, as `noised` gives them.
            t: the time of the run that comes before `lower`.
            lower: the time of the latents; None for the end of the run.
            cond: one row per image.

        Raises:
            ValueError: the network's output does not determine the noise.
        """

    def enter(self, latents: Tensor, step: int) -> Tensor:
        """Begin the run at this step.

        Latents in the network's scale are returned in the sampler's scale, for `step`.
        """

    def to_sampler_scale(self, latents: Tensor, t: Tensor) -> Tensor:
        """Convert from the network's scale to the sampler's, which `clean` expects."""

    def predict(self, latents: Tensor, t: Tensor, cond: Conditioning, *, guidance: float = 1.0) -> Tensor:
        """Evaluate the network on each row at time t. The raw output has the shape of the latents.

        Args:
            latents: in the sampler's scale, (n, channels, height, width).
            t: a time of the run.
            cond: one row per row of the latents.
            guidance: the scale, for distilled networks that take it as an input; other networks ignore it.
        """

    def clean(self, latents: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Predict the clean latents x0 from the latents at time t and the (guided) output there."""

    def step(self, latents: Tensor, output: Tensor, t: Tensor) -> Tensor:
        """Move the latents from time t to the next time of the run."""

    def decode(self, latents: Tensor) -> Tensor:
        """Decode clean latents into pixels in [0, 1]: (n, 3, height, width)."""

    def images(self, latents: Tensor) -> list[Image.Image]:
        """Decode clean latents into pictures, without gradient."""

    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Encode pictures into clean latents."""
