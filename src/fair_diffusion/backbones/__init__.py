"""Backbones: one adapter for each family of diffusion models, and the denoising loop that drives all of them."""

from fair_diffusion.backbones.backbone import Backbone, Conditioning
from fair_diffusion.backbones.families import FAMILIES, adapt, family_of
from fair_diffusion.backbones.loop import Batch, Guide, OnStep, StepInfo, advance, batches, begin, denoise
from fair_diffusion.backbones.pixel import Pixel
from fair_diffusion.backbones.stable_diffusion import StableDiffusion

__all__ = [
    "FAMILIES",
    "Backbone",
    "Batch",
    "Conditioning",
    "Guide",
    "OnStep",
    "Pixel",
    "StableDiffusion",
    "StepInfo",
    "adapt",
    "advance",
    "batches",
    "begin",
    "denoise",
    "family_of",
]
