"""FLUX.1 dev and schnell: a transformer over 2×2 patches of latents, trained by flow matching. CLIP and T5 read text.

Black Forest Labs 2024, github.com/black-forest-labs/flux. Both models are distilled: dev takes the guidance scale as an
input, schnell takes none, and neither is evaluated on an empty prompt. Steering measures an edit's direction
ψ_c = ε_c − ε_∅ from the empty prompt nevertheless. So ε_∅ is evaluated for the images and steps that steering acts on,
and nowhere else. A negative prompt has no meaning here.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fair_diffusion.backbones.adapter import Adapter
from fair_diffusion.backbones.backbone import Conditioning
from fair_diffusion.backbones.sampler import dynamic_shift


class Flux(Adapter):
    """Adapter of a loaded `FluxPipeline`. Latents are (n, channels, height, width) everywhere outside the network."""

    distilled = True

    def __init__(self, pipeline: Any) -> None:
        super().__init__(pipeline, pipeline.transformer)
        self.tokens = 512 if pipeline.transformer.config.guidance_embeds else 256

    def _trained_size(self) -> tuple[int, int]:
        size = 2 * (self.pipeline.default_sample_size // 2)
        return size, size

    def _channels(self) -> int:
        return int(self.network.config.in_channels) // 4

    def _grain(self) -> int:
        return 2  # a token is a patch of 2×2 latents, which the pipeline packs

    def _longest(self) -> tuple[Any, int]:
        return self.pipeline.tokenizer_2, self.tokens

    def _encode(self, prompts: list[str]) -> Conditioning:
        tokens, pooled, _ = self.pipeline.encode_prompt(prompts, device=self.device, max_sequence_length=self.tokens)
        return Conditioning(tokens, {"pooled": pooled})

    def _schedule(self, steps: int) -> dict[str, Any]:
        _, height, width = self.latent_shape
        schedule: dict[str, Any] = {"num_inference_steps": steps}
        if not self.sampler.scheduler.config.get("use_flow_sigmas"):
            schedule = {"sigmas": np.linspace(1.0, 1 / steps, steps)}
        if "mu" in inspect.signature(self.sampler.scheduler.set_timesteps).parameters:
            schedule["mu"] = dynamic_shift(self.sampler.scheduler, (height // 2) * (width // 2), top=1.15)
        return schedule

    def _evaluate(self, latents: Tensor, t: Tensor, cond: Conditioning, guidance: float) -> Tensor:
        n, _, height, width = latents.shape
        embeds = self.network.config.guidance_embeds
        output: Tensor = self.network(
            hidden_states=_pack(latents),
            timestep=t.expand(n).to(latents.dtype) / 1000,
            guidance=torch.full([n], guidance, device=latents.device) if embeds else None,
            pooled_projections=cond.added["pooled"],
            encoder_hidden_states=cond.embeddings,
            txt_ids=torch.zeros(cond.embeddings.shape[1], 3).to(latents),
            img_ids=_places(height // 2, width // 2).to(latents),
            return_dict=False,
        )[0]
        return _unpack(output, height, width)


def _pack(latents: Tensor) -> Tensor:
    """Turn latents (n, channels, height, width) into one token per 2×2 patch: (n, height/2 · width/2, channels · 4)."""
    n, channels, height, width = latents.shape
    patches = latents.reshape(n, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(n, -1, channels * 4)


def _unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """Undo `_pack`."""
    n, _, numbers = tokens.shape
    patches = tokens.reshape(n, height // 2, width // 2, numbers // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(n, numbers // 4, height, width)


def _places(height: int, width: int) -> Tensor:
    """The position of each patch, (height · width, 3): 0, row and column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).reshape(-1, 3)
