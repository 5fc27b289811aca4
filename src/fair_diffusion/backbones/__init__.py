"""Backbones: one adapter for each family of diffusion models, and the denoising loop that drives all of them."""

from fair_diffusion.backbones.backbone import Backbone, Conditioning
from fair_diffusion.backbones.families import FAMILIES, adapt, family_of
from fair_diffusion.backbones.guide import Extra, Guide, Steering, SteeringRun
from fair_diffusion.backbones.loop import Batch, OnStep, StepInfo, advance, batches, begin, denoise
from fair_diffusion.backbones.pixel import Pixel
from fair_diffusion.backbones.stable_diffusion import StableDiffusion

__all__ = [
    "FAMILIES",
    "Backbone",
    "Batch",
    "Conditioning",
    "Extra",
    "Guide",
    "OnStep",
    "Pixel",
    "StableDiffusion",
    "Steering",
    "SteeringRun",
    "StepInfo",
    "adapt",
    "advance",
    "batches",
    "begin",
    "denoise",
    "family_of",
]
