"""Pixel models that draw without text, as guided-diffusion does: a `UNet2DModel` whose latents are the pixels.

Ho et al. 2020, arXiv 2006.11239. Pixels are in [−1, 1]. Methods that steer by prompts raise an error here; methods that
steer by the perceiver's readings work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from diffusers import DDIMPipeline, DDIMScheduler
from diffusers.image_processor import VaeImageProcessor
from PIL import Image
from torch import Tensor

from fair_diffusion.backbones.adapter import Adapter
from fair_diffusion.backbones.backbone import Conditioning

TIMES = 1000
BETAS = (1e-4, 0.02)
"""First and last β of `with_schedule`, log-spaced between them."""


def with_schedule(unet: Any) -> Any:
    """Make a `DDIMPipeline` of a network without a schedule: `TIMES` times, with β log-spaced over `BETAS`."""
    betas = np.geomspace(*BETAS, TIMES).tolist()
    return DDIMPipeline(unet, DDIMScheduler(num_train_timesteps=TIMES, trained_betas=betas))


class Pixel(Adapter):
    """Adapter of a loaded `DDPMPipeline` or `DDIMPipeline`."""

    distilled = True  # without text there is no empty prompt to guide away from
    reads_text = False

    def __init__(self, pipeline: Any) -> None:
        super().__init__(pipeline, pipeline.unet)
        config = pipeline.unet.config
        if config.in_channels != 3:
            raise ValueError(f"this model draws {config.in_channels} channels; use a model that draws 3 (RGB)")
        if config.out_channels != 3 and "learned" in str(pipeline.scheduler.config.get("variance_type")):
            raise ValueError(
                f"the scheduler uses the learned variance ({pipeline.scheduler.config.variance_type}), which steering "
                "does not change; use a scheduler without it: DDIMScheduler.from_config(pipeline.scheduler.config)"
            )

    def encode(self, prompts: Sequence[str], *, gradient: bool = False) -> Conditioning:
        """Conditioning without text for prompts that are all empty.

        Raises:
            ValueError: a prompt is not empty.
        """
        if any(prompts):
            self._no_text()
        return self.empty()[[0] * len(prompts)]

    def empty(self) -> Conditioning:
        """The only conditioning of this network: one row without tokens."""
        return Conditioning(torch.zeros(1, 0, 0, device=self.device, dtype=self.dtype))

    def truncated_text(self, prompt: str) -> str:
        """The whole prompt, since the network reads no text."""
        return prompt

    def decode(self, latents: Tensor) -> Tensor:
        """Convert pixels from [−1, 1] to [0, 1]: (n, 3, height, width), float32."""
        return (latents.float() / 2 + 0.5).clamp(0, 1)

    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Convert pictures, resized to the model's size, to pixels in [−1, 1]."""
        _, height, width = self.latent_shape
        rgb = [image.convert("RGB") for image in images]
        pixels: Tensor = VaeImageProcessor(vae_scale_factor=1).preprocess(rgb, height=height, width=width)
        return pixels.to(self.device, self.dtype)

    def _grain(self) -> int:
        return int(
            2 ** (len(self.network.config.block_out_channels) - 1)
        )  # each block but the last one halves the size

    def _evaluate(self, latents: Tensor, t: Tensor, cond: Conditioning, guidance: float) -> Tensor:
        output: Tensor = self.network(latents, t, return_dict=False)[0]
        return output[:, :3]

    def _encode(self, prompts: list[str]) -> Conditioning:
        self._no_text()

    def _longest(self) -> tuple[Any, int]:
        self._no_text()

    def _no_text(self) -> NoReturn:
        raise ValueError(
            f"{type(self.pipeline).__name__} draws without text, so it follows no prompt; use a text-to-image model, "
            "or a method that needs no text: rejection, latents, distribution, bottleneck, edit or none"
        )
