"""Small random models, built from configurations: nothing is loaded from anywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from hypothesis import settings
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

TOKENS = 16

# No test is timed: a busy machine proves nothing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


settings.register_profile("steady", deadline=None)  # how fast a machine is says nothing about the code
settings.load_profile("steady")


def pytest_configure(config: pytest.Config) -> None:
    """Let pass the one warning that diffusers' sigma schedulers cause: they hand tensors to NumPy 2."""
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    )


def _tokenizer(folder: Any) -> CLIPTokenizer:
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)] + [",", "."]
    merges = ["m a", "ma n</w>", "w o", "wo man</w>"]
    tokens = [
        *letters,
        *(letter + "</w>" for letter in letters),
        *(merge.replace(" ", "") for merge in merges),
    ]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    return CLIPTokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), model_max_length=TOKENS)


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A random StableDiffusionPipeline: 8×8 latents, 16×16 pixels, seed 0. Shared: change no part of it."""
    tokenizer = _tokenizer(tmp_path_factory.mktemp("tokenizer"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=37,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=TOKENS,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        unet = UNet2DConditionModel(
            sample_size=8,
            in_channels=4,
            out_channels=4,
            block_out_channels=(16, 32),
            layers_per_block=1,
            cross_attention_dim=32,
            attention_head_dim=8,
            norm_num_groups=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )
        vae = AutoencoderKL(
            block_out_channels=(16, 32),
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
            latent_channels=4,
            norm_num_groups=8,
            sample_size=16,
        )
        # random text moves a random network little; a stronger cross-attention makes prompts differ visibly
        for name, parameter in unet.named_parameters():
            if "attn2.to_v" in name or "attn2.to_out.0.weight" in name:
                parameter.data.mul_(4)
    pipeline = StableDiffusionPipeline(
        vae=vae.eval(),
        text_encoder=text_encoder.eval(),
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
