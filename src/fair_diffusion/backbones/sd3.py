"""Stable Diffusion 3 and 3.5: a transformer over VAE latents, trained by flow matching. Two CLIPs and a T5 read text.

Esser et al. 2024, arXiv 2403.03206. If the T5 is missing, its tokens are zeros, as in the pipeline.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fair_diffusion.backbones.adapter import Adapter, text_length
from fair_diffusion.backbones.backbone import Conditioning
from fair_diffusion.backbones.sampler import dynamic_shift

TOKENS = 256
"""The token limit of the T5."""


class StableDiffusion3(Adapter):
    """Adapter of a loaded `StableDiffusion3Pipeline`."""

    def __init__(self, pipeline: Any) -> None:
        super().__init__(pipeline, pipeline.transformer)

    def _longest(self) -> tuple[Any, int]:
        if self.pipeline.text_encoder_3 is None:
            return text_length(self.pipeline.tokenizer)
        return self.pipeline.tokenizer_3, TOKENS

    def _encode(self, prompts: list[str]) -> Conditioning:
        tokens, _, pooled, _ = self.pipeline.encode_prompt(
            prompts,
            None,
            None,
            device=self.device,
            do_classifier_free_guidance=False,
            max_sequence_length=TOKENS,
        )
        return Conditioning(tokens, {"pooled": pooled})

    def _schedule(self, steps: int) -> dict[str, Any]:
        if not self.sampler.scheduler.config.get("use_dynamic_shifting"):
            return super()._schedule(steps)
        _, height, width = self.latent_shape
        patch = self.network.config.patch_size
        mu = dynamic_shift(self.sampler.scheduler, (height // patch) * (width // patch), top=1.16)
        return {**super()._schedule(steps), "mu": mu}

    def _evaluate(self, latents: Tensor, t: Tensor, cond: Conditioning, guidance: float) -> Tensor:
        output: Tensor = self.network(
            hidden_states=latents,
            timestep=t.expand(len(latents)),
            encoder_hidden_states=cond.embeddings,
            pooled_projections=cond.added["pooled"],
            return_dict=False,
        )[0]
        return output
