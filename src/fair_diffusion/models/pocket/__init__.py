"""The embedded text-to-image model: a small latent diffusion model of drawn people. Exports `load` and `export`."""

from fair_diffusion.models.pocket.folder import DRAWN_AS, GUIDANCE, OCCUPATIONS, UNET, export, load

__all__ = ["DRAWN_AS", "GUIDANCE", "OCCUPATIONS", "UNET", "export", "load"]
