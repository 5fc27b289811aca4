"""Backbones: one adapter per family of diffusion models, and the one denoising loop that drives them all."""

from fair_diffusion.backbones.backbone import Backbone, Conditioning
from fair_diffusion.backbones.families import FAMILIES, adapt, family_of
from fair_diffusion.backbones.flux import Flux
from fair_diffusion.backbones.guide import Extra, Guide, Steering, SteeringRun
from fair_diffusion.backbones.loop import Batch, OnStep, StepInfo, advance, batches, begin, denoise
from fair_diffusion.backbones.pixart import PixArtSigma
from fair_diffusion.backbones.pixel import Pixel
from fair_diffusion.backbones.sd3 import StableDiffusion3
from fair_diffusion.backbones.sdxl import StableDiffusionXL
from fair_diffusion.backbones.stable_diffusion import StableDiffusion

__all__ = [
    "FAMILIES",
    "Backbone",
    "Batch",
    "Conditioning",
    "Extra",
    "Flux",
    "Guide",
    "OnStep",
    "PixArtSigma",
    "Pixel",
    "StableDiffusion",
    "StableDiffusion3",
    "StableDiffusionXL",
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
