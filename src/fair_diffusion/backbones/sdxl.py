"""Stable Diffusion XL, with Turbo and Lightning: two text encoders, and pooled text and sizes beside the tokens.

Podell et al. 2023, arXiv 2307.01952. Some models were trained with zeros for the empty prompt
(`force_zeros_for_empty_prompt`); for these, its tokens and pooled text are zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from fair_diffusion.backbones.adapter import Adapter, text_length
from fair_diffusion.backbones.backbone import Conditioning
from fair_diffusion.backbones.stable_diffusion import guidance_input


class StableDiffusionXL(Adapter):
    """Adapter of a loaded `StableDiffusionXLPipeline`."""

    def __init__(self, pipeline: Any) -> None:
        super().__init__(pipeline, pipeline.unet)
        self.distilled = pipeline.unet.config.time_cond_proj_dim is not None

    def empty(self) -> Conditioning:
        """One row for the empty prompt: zeros if the model was trained with them, else its encoding."""
        blank = self.encode([""])
        if not self.pipeline.config.force_zeros_for_empty_prompt:
            return blank
        pooled = torch.zeros_like(blank.added["text_embeds"])
        return Conditioning(torch.zeros_like(blank.embeddings), {**blank.added, "text_embeds": pooled})

    def timesteps(self, steps: int) -> Tensor:
        """Begin a run. As in the pipeline, it starts at the first step, even if the spacing repeats the first time."""
        times = super().timesteps(steps)
        if hasattr(self.sampler.scheduler, "set_begin_index"):
            self.sampler.scheduler.set_begin_index(0)
        return times

    @contextmanager
    def _image_coder(self) -> Iterator[Any]:
        """The image encoder and decoder; in float32 if it overflows in half precision."""
        vae = self.pipeline.vae
        if vae.dtype != torch.float16 or not vae.config.force_upcast:
            yield vae
            return
        try:
            yield vae.to(torch.float32)
        finally:
            vae.to(torch.float16)

    def _longest(self) -> tuple[Any, int]:
        return text_length(self.pipeline.tokenizer_2)

    def _encode(self, prompts: list[str]) -> Conditioning:
        tokens, _, pooled, _ = self.pipeline.encode_prompt(
            prompts, device=self.device, do_classifier_free_guidance=False
        )
        _, *size = (side * self.pipeline.vae_scale_factor for side in self.latent_shape)
        # original size, crop offset and target size
        sizes = torch.tensor([[*size, 0, 0, *size]], device=tokens.device, dtype=tokens.dtype).repeat(len(prompts), 1)
        return Conditioning(tokens, {"text_embeds": pooled, "time_ids": sizes})

    def _evaluate(self, latents: Tensor, t: Tensor, cond: Conditioning, guidance: float) -> Tensor:
        output: Tensor = self.network(
            latents,
            t,
            encoder_hidden_states=cond.embeddings,
            timestep_cond=guidance_input(self, latents, guidance),
            added_cond_kwargs=dict(cond.added),
            return_dict=False,
        )[0]
        return output

    def _vae_scale(self, like: Tensor) -> tuple[Any, Any]:
        config = self.pipeline.vae.config
        mean, std = config.get("latents_mean"), config.get("latents_std")
        if mean is None or std is None:
            return super()._vae_scale(like)
        std, mean = (torch.as_tensor(values).view(1, -1, 1, 1).to(like) for values in (std, mean))
        return config.scaling_factor / std, mean
