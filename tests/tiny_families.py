"""Small random pipelines of every family, built from the real configurations: nothing is loaded from anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import torch
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

TOKENS = 16
SIZE = 8
TEXT_FAMILIES = ["sd", "sdxl", "sd3", "flux-dev", "flux-schnell", "pixart"]


def clip_tokenizer(folder: Path) -> CLIPTokenizer:
    """A CLIP tokenizer of letters and a few words, whose files go to `folder`."""
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


def t5_tokenizer() -> T5Tokenizer:
    """A T5 tokenizer of letters."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(chr(c), -3.0) for c in range(ord("a"), ord("z") + 1)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=TOKENS)


def t5(width: int) -> T5EncoderModel:
    """A random T5 encoder of one layer for `t5_tokenizer`."""
    return T5EncoderModel(
        T5Config(
            vocab_size=32, d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2, relative_attention_num_buckets=8
        )
    )


def clip(tokenizer: CLIPTokenizer, kind: Any = CLIPTextModelWithProjection) -> Any:
    """A random CLIP of two layers, 32 wide; its words are far apart, so that prompts differ."""
    model = kind(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=37,
            num_hidden_layers=2,
            num_attention_heads=4,
            projection_dim=32,
            max_position_embeddings=TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.get_input_embeddings().weight.data.mul_(20)
    return model


def vae(**settings: Any) -> diffusers.AutoencoderKL:
    """A random image encoder: 16×16 pixels, 4 channels of 8×8 latents."""
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=4,
        norm_num_groups=8,
        sample_size=16,
        **settings,
    )


def unet(**settings: Any) -> diffusers.UNet2DConditionModel:
    """A random UNet of two levels."""
    return diffusers.UNet2DConditionModel(
        sample_size=SIZE,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        attention_head_dim=8,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        **settings,
    )


def shallow_unet(**settings: Any) -> diffusers.UNet2DConditionModel:
    """A random UNet of one level, without a middle."""
    return diffusers.UNet2DConditionModel(
        sample_size=SIZE,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16,),
        layers_per_block=1,
        attention_head_dim=8,
        norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D",),
        mid_block_type=None,
        up_block_types=("UpBlock2D",),
        **settings,
    )


def heeding(network: diffusers.UNet2DConditionModel) -> diffusers.UNet2DConditionModel:
    """Random text moves a random network little; a stronger cross-attention makes prompts differ visibly."""
    for name, parameter in network.named_parameters():
        if "attn2.to_v" in name or "attn2.to_out.0.weight" in name:
            parameter.data.mul_(4)
    return network


def ddim(**settings: Any) -> diffusers.DDIMScheduler:
    """The sampler of Stable Diffusion."""
    return diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        **settings,
    )


def _sdxl(tokenizer: CLIPTokenizer) -> Any:
    return diffusers.StableDiffusionXLPipeline(
        vae=vae(scaling_factor=0.13),
        text_encoder=clip(tokenizer, CLIPTextModel),
        text_encoder_2=clip(tokenizer),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet(
            cross_attention_dim=64,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 32,
            transformer_layers_per_block=1,
            use_linear_projection=True,
        ),
        scheduler=ddim(),
        add_watermarker=False,
    )


def _sd3(tokenizer: CLIPTokenizer) -> Any:
    return diffusers.StableDiffusion3Pipeline(
        transformer=diffusers.SD3Transformer2DModel(
            sample_size=SIZE,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=64,
            caption_projection_dim=32,
            pooled_projection_dim=64,
            pos_embed_max_size=8,
            dual_attention_layers=(0,),
            qk_norm="rms_norm",
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(scaling_factor=1.5, shift_factor=0.06),
        text_encoder=clip(tokenizer),
        tokenizer=tokenizer,
        text_encoder_2=clip(tokenizer),
        tokenizer_2=tokenizer,
        text_encoder_3=t5(64),
        tokenizer_3=t5_tokenizer(),
    )


def _flux(tokenizer: CLIPTokenizer, *, dev: bool) -> Any:
    pipeline = diffusers.FluxPipeline(
        transformer=diffusers.FluxTransformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=dev,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0 if dev else 1.0, use_dynamic_shifting=dev),
        vae=vae(scaling_factor=0.36, shift_factor=0.11),
        text_encoder=clip(tokenizer, CLIPTextModel),
        tokenizer=tokenizer,
        text_encoder_2=t5(32),
        tokenizer_2=t5_tokenizer(),
    )
    pipeline.default_sample_size = SIZE
    return pipeline


def _pixart(tokenizer: CLIPTokenizer) -> Any:
    return diffusers.PixArtSigmaPipeline(
        transformer=diffusers.PixArtTransformer2DModel(
            sample_size=SIZE,
            patch_size=2,
            in_channels=4,
            out_channels=8,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=4,
            cross_attention_dim=32,
            caption_channels=32,
        ),
        scheduler=diffusers.DPMSolverMultistepScheduler(),
        vae=vae(scaling_factor=0.13),
        text_encoder=t5(32),
        tokenizer=t5_tokenizer(),
    )


def _lcm(tokenizer: CLIPTokenizer) -> Any:
    return diffusers.LatentConsistencyModelPipeline(
        vae=vae(),
        text_encoder=clip(tokenizer, CLIPTextModel),
        tokenizer=tokenizer,
        unet=unet(cross_attention_dim=32, time_cond_proj_dim=16),
        scheduler=diffusers.LCMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _pixel(tokenizer: CLIPTokenizer) -> Any:
    return diffusers.DDPMPipeline(
        unet=diffusers.UNet2DModel(
            sample_size=SIZE,
            in_channels=3,
            out_channels=3,
            layers_per_block=1,
            block_out_channels=(16, 32),
            norm_num_groups=8,
            attention_head_dim=8,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        ),
        scheduler=diffusers.DDPMScheduler(),
    )


_BUILDERS: dict[str, Any] = {
    "sdxl": _sdxl,
    "sd3": _sd3,
    "flux-dev": lambda tokenizer: _flux(tokenizer, dev=True),
    "flux-schnell": lambda tokenizer: _flux(tokenizer, dev=False),
    "pixart": _pixart,
    "lcm": _lcm,
    "pixel": _pixel,
}
# A random network hardly hears its text: what carries it is made louder, so that prompts differ visibly.
_TEXT_PATHS = (
    "attn2.to_v",
    "attn2.to_out.0.weight",
    "add_v_proj.weight",
    "context_embedder.weight",
    "attn.to_out.0.weight",
)


def build(family: str, folder: Path) -> Any:
    """A random pipeline of the family, seed 0, quiet and ready to draw. `folder` takes the tokenizer's files."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipeline = _BUILDERS[family](clip_tokenizer(folder))
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    network = getattr(pipeline, "transformer", None) or pipeline.unet
    for name, parameter in network.named_parameters():
        if any(path in name for path in _TEXT_PATHS):
            parameter.mul_(4)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
