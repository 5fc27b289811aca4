"""Backbones: one adapter per family of diffusion models, and the one denoising loop that drives them all."""

from fair_diffusion.backbones.backbone import Backbone, Conditioning
from fair_diffusion.backbones.loop import Denoised, StepInfo, denoise
from fair_diffusion.backbones.stable_diffusion import StableDiffusion

__all__ = ["Backbone", "Conditioning", "Denoised", "StableDiffusion", "StepInfo", "denoise"]
