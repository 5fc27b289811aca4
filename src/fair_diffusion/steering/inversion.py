"""Inversion: take a finished image back to noise, so that a run from there can lead to another group.

SDEdit:          x_t = √ᾱ_t·x0 + √(1−ᾱ_t)·ε             with the image's own ε (Meng et al. 2022, arXiv 2108.01073)
DDIM inversion:  x_t = √ᾱ_t·x̂0 + √(1−ᾱ_t)·ε̂             step by step, from the clean image up
                 (x̂0, ε̂) from x_s and the output at t    s: the time after t; no guidance
                 (Song et al. 2021, arXiv 2010.02502; Dhariwal & Nichol 2021, arXiv 2105.05233)

Flow matching is the same with (1−σ_t)·x0 + σ_t·ε; there inversion is the reversed Euler step. SDEdit costs no network
evaluation and keeps what is larger than the noise. Inversion costs one evaluation per step, and a run from its noise
gives nearly the same image again.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fair_diffusion.backbones.backbone import Backbone, Conditioning
from fair_diffusion.backbones.loop import Batch

INVERSIONS = ("inversion", "sdedit")


@torch.no_grad()
def taken_back(
    backbone: Backbone,
    images: Sequence[int],
    clean: Tensor,
    cond: Conditioning,
    *,
    way: str,
    depth: float,
    seeds: Sequence[int],
    steps: int,
) -> Batch:
    """Take images back to noise, as a batch in the middle of a run.

    Args:
        backbone: the model.
        images: the places of the images in their request.
        clean: their clean latents, (n, channels, height, width).
        cond: the prompts of the images, which inversion follows, (n, ...).
        way: one of `INVERSIONS`.
        depth: the share of the run that is still to come, above 0 and up to 1.
        seeds: one seed per image, for the noise of SDEdit and the noise that the sampler adds later.
        steps: the steps of the whole run.

    Raises:
        ValueError: a wrong way or depth, or numbers of rows that do not fit.
    """
    if way not in INVERSIONS:
        raise ValueError(f"unknown way {way!r}; use one of {', '.join(INVERSIONS)}")
    if not 0 < depth <= 1:
        raise ValueError(f"depth is {depth}; use a share of the trajectory, above 0 and up to 1")
    if not len(images) == len(clean) == len(cond) == len(seeds):
        raise ValueError(
            f"{len(clean)} latents, {len(cond)} conditionings and {len(seeds)} seeds for {len(images)} images"
        )
    own = backbone.fork()
    times = own.timesteps(steps)
    step = own.start_step(depth)
    noise, spent = own.noise(seeds), 0
    if way == "sdedit":
        latents = own.noised(clean, noise, times[step])
    else:
        latents, lower = clean, None
        for t in torch.unique(times[step:]):  # from clean to noise; some samplers visit a time twice
            latents, lower, spent = own.unstep(latents, t, lower, cond), t, spent + 1
    return Batch(own, images, times, own.enter(latents, step), torch.full((len(images),), spent), step)
