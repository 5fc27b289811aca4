"""Backbones: one adapter per family of diffusion models, and the one denoising loop that drives them all."""

from fair_diffusion.backbones.backbone import Backbone, Conditioning
from fair_diffusion.backbones.loop import Batch, Guide, OnStep, StepInfo, advance, batches, begin, denoise
from fair_diffusion.backbones.stable_diffusion import StableDiffusion

__all__ = [
    "Backbone",
    "Batch",
    "Conditioning",
    "Guide",
    "OnStep",
    "StableDiffusion",
    "StepInfo",
    "advance",
    "batches",
    "begin",
    "denoise",
]
