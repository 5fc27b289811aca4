"""Stable Diffusion 1.x and 2.x, and all models with their parts: a text encoder, and a UNet over VAE latents.

Rombach et al. 2022, arXiv 2112.10752. Any text encoder that returns hidden states works: the pipeline takes its first
output. Some UNets were distilled to take the guidance scale as an input (LCM: Luo et al. 2023, arXiv 2310.04378). They
receive it, and are evaluated once per step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fair_diffusion.backbones.adapter import Adapter, text_length
from fair_diffusion.backbones.backbone import Conditioning


class StableDiffusion(Adapter):
    """Adapter of a loaded `StableDiffusionPipeline` or `LatentConsistencyModelPipeline`."""

    def __init__(self, pipeline: Any) -> None:
        super().__init__(pipeline, pipeline.unet)
        self.distilled = pipeline.unet.config.time_cond_proj_dim is not None

    def _longest(self) -> tuple[Any, int]:
        return text_length(self.pipeline.tokenizer)

    def _encode(self, prompts: list[str]) -> Conditioning:
        return Conditioning(self.pipeline.encode_prompt(prompts, self.device, 1, False)[0])

    def _evaluate(self, latents: Tensor, t: Tensor, cond: Conditioning, guidance: float) -> Tensor:
        output: Tensor = self.network(
            latents,
            t,
            encoder_hidden_states=cond.embeddings,
            timestep_cond=guidance_input(self, latents, guidance),
            return_dict=False,
        )[0]
        return output


def guidance_input(adapter: Adapter, latents: Tensor, guidance: float) -> Tensor | None:
    """The embedded guidance scale of each row for a distilled UNet; None for other networks."""
    if not adapter.distilled:
        return None
    scales = torch.tensor(guidance - 1).repeat(len(latents))
    width = adapter.network.config.time_cond_proj_dim
    embedded: Tensor = adapter.pipeline.get_guidance_scale_embedding(scales, embedding_dim=width)
    return embedded.to(latents)
