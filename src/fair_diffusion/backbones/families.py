"""The families of models: which adapter fits a pipeline, by the name of its class or of a base class.

A new family is one file with its adapter, one row of `FAMILIES`, and one card in `models/cards.yaml`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fair_diffusion.backbones.adapter import Adapter
from fair_diffusion.backbones.flux import Flux
from fair_diffusion.backbones.pixart import PixArtSigma
from fair_diffusion.backbones.pixel import Pixel
from fair_diffusion.backbones.sd3 import StableDiffusion3
from fair_diffusion.backbones.sdxl import StableDiffusionXL
from fair_diffusion.backbones.stable_diffusion import StableDiffusion

FAMILIES: dict[str, Callable[[Any], Adapter]] = {
    "StableDiffusionPipeline": StableDiffusion,
    "LatentConsistencyModelPipeline": StableDiffusion,
    "StableDiffusionXLPipeline": StableDiffusionXL,
    "StableDiffusion3Pipeline": StableDiffusion3,
    "FluxPipeline": Flux,
    "PixArtSigmaPipeline": PixArtSigma,
    "DDPMPipeline": Pixel,
    "DDIMPipeline": Pixel,
}


def adapt(pipeline: Any) -> Adapter:
    """The adapter of a loaded diffusers pipeline.

    Raises:
        ValueError: no adapter fits its class.
    """
    return family_of(pipeline)(pipeline)


def family_of(pipeline: Any) -> Callable[[Any], Adapter]:
    """The class that adapts a loaded diffusers pipeline.

    Raises:
        ValueError: no adapter fits the class of the pipeline.
    """
    for kind in type(pipeline).__mro__:
        if kind.__name__ in FAMILIES:
            return FAMILIES[kind.__name__]
    raise ValueError(f"{type(pipeline).__name__} is not supported; load the model as one of {', '.join(FAMILIES)}")
