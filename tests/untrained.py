"""What the tests of the methods share: a pipeline with untrained readers, its weights, and what it draws plain."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from fair_diffusion.backbones import Backbone, denoise
from fair_diffusion.perception import judge, pocket
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import built_in

HEADS = {name: built_in()[name].group_names for name in ("gender", "skin_tone")}


def pipe_of(pipeline: Any, **settings: Any) -> FairPipeline:
    """A pipeline whose readers have random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        readers = {"perceiver": pocket.build(HEADS).eval(), "judge": judge.build(HEADS).eval()}
        return FairPipeline(pipeline, name="tiny", **(readers | settings))


def weights(pipeline: Any) -> str:
    """A hash of every parameter and buffer of every network, by name."""
    whole = hashlib.sha256()
    for part, network in pipeline.components.items():
        if isinstance(network, torch.nn.Module):
            for name, tensor in network.state_dict().items():
                whole.update(f"{part}.{name}".encode() + tensor.cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()


def plain_latents(backbone: Backbone, prompt: str = "a man", seeds: tuple[int, ...] = (4, 5), steps: int = 3) -> Tensor:
    """Latents of a few plain images."""
    (batch,) = denoise(
        backbone,
        prompts_cond=backbone.encode([prompt] * len(seeds)),
        empty_cond=backbone.empty(),
        seeds=seeds,
        steps=steps,
        guidance=3.0,
    )
    return batch.latents
