"""PixArt-Σ: a transformer over VAE latents that predicts ε; a T5 reads text, and its padding is masked.

Chen et al. 2024, arXiv 2403.04692. The network also predicts a variance, which no sampler of the pipeline uses.
"""

from __future__ import annotations

from typing import Any

from diffusers.utils import is_bs4_available, is_ftfy_available
from torch import Tensor

from fair_diffusion.backbones.adapter import Adapter
from fair_diffusion.backbones.backbone import Conditioning

TOKENS = 300
"""The token limit of the T5."""


class PixArtSigma(Adapter):
    """Adapter of a loaded `PixArtSigmaPipeline`."""

    def __init__(self, pipeline: Any) -> None:
        super().__init__(pipeline, pipeline.transformer)

    def _longest(self) -> tuple[Any, int]:
        return self.pipeline.tokenizer, TOKENS

    def _encode(self, prompts: list[str]) -> Conditioning:
        tokens, mask, _, _ = self.pipeline.encode_prompt(
            prompts,
            do_classifier_free_guidance=False,
            device=self.device,
            # the default of the pipeline, which warns at each prompt if these packages are missing
            clean_caption=is_bs4_available() and is_ftfy_available(),
            max_sequence_length=TOKENS,
        )
        return Conditioning(tokens, {"mask": mask})

    def _evaluate(self, latents: Tensor, t: Tensor, cond: Conditioning, guidance: float) -> Tensor:
        output: Tensor = self.network(
            latents,
            encoder_hidden_states=cond.embeddings,
            encoder_attention_mask=cond.added["mask"],
            timestep=t.expand(len(latents)),
            added_cond_kwargs={"resolution": None, "aspect_ratio": None},
            return_dict=False,
        )[0]
        return output[:, : latents.shape[1]]
