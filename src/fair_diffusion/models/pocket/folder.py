"""The pocket model as an ordinary Stable Diffusion pipeline.

The weights of UNet and VAE (fp16) lie beside this file. The text encoder, all-MiniLM-L6-v2, comes from its own package.
Text conditioning is that of StableDiffusionPipeline: padded to `MAX_LENGTH` tokens, without an attention mask.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import AutoTokenizer, BertModel

from fair_diffusion.files.new_folder import new_folder
from fair_diffusion.models.quiet import quiet
from fair_diffusion.policy import minilm

with quiet():  # diffusers asks for torchvision's image processors, and Pillow's take their place
    from diffusers import StableDiffusionPipeline

WEIGHTS = Path(__file__).with_name("weights")
UNET = WEIGHTS / "unet" / "diffusion_pytorch_model.safetensors"
OCCUPATIONS = Path(__file__).with_name("occupations.txt")
"""The occupations that the model can draw, one per line.

Each line is a drawing of its own; doctors are drawn as nurses.
"""
DRAWN_AS = {
    "doctor": "health-worker",
    "nurse": "health-worker",
    "software developer": "technologist",
    "welder": "factory-worker",
}
"""Occupations whose drawings have another name, under which the readers know them (`recipes/pocket/mix.yaml`)."""
MAX_LENGTH = 24
GUIDANCE = 2.0


def tokenizer() -> Any:
    """The tokenizer of MiniLM, padded and cut to `MAX_LENGTH`."""
    return AutoTokenizer.from_pretrained(minilm.folder(), model_max_length=MAX_LENGTH)


def text_encoder() -> Any:
    """The encoder of MiniLM, whose hash `fair_diffusion.policy.minilm.folder` checks.

    Token states are (n, tokens, 384).
    """
    with quiet():  # transformers warns about the pooling layer, which is left out on purpose
        return BertModel.from_pretrained(minilm.folder(), add_pooling_layer=False).eval()


def load(weights: Path = WEIGHTS) -> Any:
    """The pocket model as a `diffusers.StableDiffusionPipeline` in float32, without a safety checker.

    Args:
        weights: a folder with `unet/`, `vae/` and `scheduler/` as diffusers writes them.

    Raises:
        FileNotFoundError: one of the three is missing.
    """
    missing = [part for part in ("unet", "vae", "scheduler") if not (weights / part).is_dir()]
    if missing:
        raise FileNotFoundError(
            f"the pocket model lacks {', '.join(missing)}; make them with python -m recipes.pocket.unet, "
            "then python -m recipes.pocket.pack"
        )
    return StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(weights / "vae", torch_dtype=torch.float32),
        text_encoder=text_encoder(),
        tokenizer=tokenizer(),
        unet=UNet2DConditionModel.from_pretrained(weights / "unet", torch_dtype=torch.float32),
        scheduler=DDIMScheduler.from_pretrained(weights / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def export(folder: Path) -> None:
    """Write the model to `folder`, for `StableDiffusionPipeline.from_pretrained(folder)`, completely or not at all.

    Raises:
        ValueError: `folder` is not new, or cannot be written.
    """
    with new_folder(folder) as part:
        load().save_pretrained(part, safe_serialization=True)
