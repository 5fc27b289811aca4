"""A small Stable Diffusion in one file, with the weights named as in the original code: what sites of models offer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
ENDS = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
}
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def save_original(pipeline: Any, file: Path) -> None:
    """Write a `StableDiffusionPipeline` whose UNet has two levels of one layer each, as in `conftest.tiny_sd`."""
    found = {f"model.diffusion_model.{_unet(k)}": v for k, v in pipeline.unet.state_dict().items()}
    for key, value in pipeline.vae.state_dict().items():
        name = _vae(key)
        is_projection = ".attn_1." in name and name.endswith("weight") and ".norm." not in name
        found[f"first_stage_model.{name}"] = value[:, :, None, None] if is_projection else value
    words = pipeline.text_encoder.state_dict()
    found |= {f"cond_stage_model.transformer.text_model.{k.removeprefix('text_model.')}": v for k, v in words.items()}
    found["betas"] = torch.zeros(1)  # original files hold the schedule too
    save_file({key: value.contiguous().clone() for key, value in found.items()}, file)


def _unet(key: str) -> str:
    for ours, theirs in ENDS.items():
        if key.startswith(f"{ours}."):
            return key.replace(ours, theirs)
    head, kind, k, rest = _parts(key)
    if kind in ("resnets", "attentions"):
        place = {"mid": f"middle_block.{2 * k if kind == 'resnets' else 1}"}
        place["down"] = f"input_blocks.{1 + 2 * head[1]}.{int(kind == 'attentions')}"
        place["up"] = f"output_blocks.{2 * head[1] + k}.{int(kind == 'attentions')}"
        name, _, end = rest.rpartition(".")
        return f"{place[head[0]]}.{RESNET.get(name, name)}.{end}"
    if kind == "downsamplers":
        return f"input_blocks.{2 + 2 * head[1]}.0.op.{rest.removeprefix('conv.')}"
    return f"output_blocks.1.{2 if head[1] == 0 else 1}.conv.{rest.removeprefix('conv.')}"


def _vae(key: str) -> str:
    side, _, inner = key.partition(".")
    if not inner.startswith(("down_blocks", "up_blocks", "mid_block")):
        return key.replace("conv_norm_out", "norm_out")
    head, kind, k, rest = _parts(inner)
    rest = rest.replace("conv_shortcut", "nin_shortcut")
    if head[0] == "mid":
        name, _, end = rest.rpartition(".")
        place = f"block_{k + 1}.{rest}" if kind == "resnets" else f"attn_1.{ATTENTION.get(name, name)}.{end}"
        return f"{side}.mid.{place}"
    level = head[1] if head[0] == "down" else 1 - head[1]
    inside = {"resnets": f"block.{k}.{rest}", "downsamplers": f"downsample.{rest}", "upsamplers": f"upsample.{rest}"}
    return f"{side}.{head[0]}.{level}.{inside[kind]}"


def _parts(key: str) -> tuple[tuple[str, int], str, int, str]:
    """ "down_blocks.1.resnets.0.conv1.weight" → ("down", 1), "resnets", 0, "conv1.weight"."""
    match = re.fullmatch(r"(down|up|mid)_blocks?(?:\.(\d+))?\.(\w+)\.(\d+)\.(.+)", key)
    if match is None:
        raise ValueError(f"no place for {key}")
    return (match[1], int(match[2] or 0)), match[3], int(match[4]), match[5]
