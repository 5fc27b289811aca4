"""What a steering method says to the denoising loop: what else to evaluate, and what to make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from fair_diffusion.backbones.backbone import Conditioning


@dataclass(frozen=True)
class Extra:
    """Network evaluations that steering asks for at one step: conditioning row j on image images[j].

    images: places in the batch, (rows,), on the CPU; an image may be absent or occur several times.
    """

    images: Tensor
    conditioning: Conditioning


class SteeringRun(Protocol):
    """Steering of one batch: holds what changes from step to step."""

    def extra(self, step: int) -> Extra | None:
        """Say what to evaluate at this step beside the empty and the user's prompt; None for nothing."""

    def guide(self, step: int, *, plain: Tensor, uncond: Tensor, extra: Tensor) -> Tensor:
        """Turn predictions into the guided one; called once at each step, in order.

        plain: classifier-free guided, (batch, channels, height, width). uncond: with the empty prompt, same
        shape, valid for the images named in `extra(step)`. extra: one row per row of `extra(step)`, none if
        it was None.
        """


class Steering(Protocol):
    """Steering of one request: knows every image's assignment."""

    def start(self, images: Sequence[int]) -> SteeringRun:
        """Begin a batch that holds these images of the request."""
