"""Learn bottleneck directions: the vector v_g of each group (equation, method and source: `steering.bottleneck`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from fair_diffusion.backbones import Conditioning, denoise
from fair_diffusion.backbones.adapter import MIDDLE, Adapter, middle_of
from fair_diffusion.steering.bottleneck import Directions, Group
from fair_diffusion.steering.cost import Cost

RATE = 0.1
BATCH = 8


def learn(
    backbone: Adapter,
    neutral: Sequence[str],
    grouped: Mapping[Group, Sequence[str]],
    *,
    images: int = 1000,
    epochs: int = 2,
    steps: int = 25,
    guidance: float = 7.5,
    seed: int = 0,
    on_step: Callable[[Group, int, float], None] = lambda group, step, loss: None,
) -> Directions:
    """Learn the vectors of groups from images that the model draws. The model does not change.

    Args:
        backbone: a model with a UNet.
        neutral: prompts that leave the group open: "a photo of a doctor".
        grouped: for each group the same prompts with its word.
        images: images to draw for each group, with the prompts in turn.
        epochs: how often each image is used.
        steps: denoising steps of these images.
        guidance: guidance scale of these images.
        seed: image i of each group is drawn from seed + i.
        on_step: called after each step of learning with the group, the number of the step from 1, and the loss.

    Raises:
        ValueError: the model has no UNet, or an argument is wrong.
    """
    if images < 1 or epochs < 1:
        raise ValueError(f"images is {images} and epochs {epochs}; use 1 or more of each")
    if not grouped or not neutral or any(len(texts) != len(neutral) for texts in grouped.values()):
        counts = [len(texts) for texts in grouped.values()]
        raise ValueError(f"{len(neutral)} neutral prompts, with groups {counts}; give as many for each")
    start, first = time.monotonic(), backbone.evaluations
    shape, told = middle_shape(backbone), backbone.encode(neutral)
    vectors, taken = {}, 0
    for group, texts in grouped.items():
        clean, rows = _draw(backbone, texts, images, steps, guidance, seed)
        generator = torch.Generator().manual_seed(seed)
        vector = torch.zeros(shape, device=backbone.device, requires_grad=True)
        optimizer = torch.optim.Adam([vector], lr=RATE)
        for _ in range(epochs):
            for places in torch.randperm(images, generator=generator).split(BATCH):
                loss = _noise_error(backbone, clean[places], told[rows[places]], vector, generator)
                (vector.grad,) = torch.autograd.grad(loss, vector)
                optimizer.step()
                taken += 1
                on_step(group, taken, float(loss.detach()))
        vectors[group] = vector.detach().cpu()
    return Directions(
        vectors, Cost(steps=taken, evaluations=backbone.evaluations - first, seconds=time.monotonic() - start)
    )


@torch.no_grad()
def middle_shape(backbone: Adapter) -> tuple[int, ...]:
    """Channels, height and width of the output of the middle block.

    Raises:
        ValueError: the model has no middle block.
    """
    shape: list[tuple[int, ...]] = []
    latents = torch.zeros(1, *backbone.latent_shape, device=backbone.device, dtype=backbone.dtype)
    hook = middle_of(backbone.network).register_forward_hook(
        lambda _, __, output: shape.append(tuple(output.shape[1:]))
    )
    try:
        backbone.evaluate(latents, torch.zeros(1, device=backbone.device), backbone.encode([""]))
    finally:
        hook.remove()
    return shape[0]


def _draw(
    backbone: Adapter, texts: Sequence[str], images: int, steps: int, guidance: float, seed: int
) -> tuple[Tensor, Tensor]:
    """Draw images with the prompts in turn: their clean latents, and the number of each one's prompt."""
    rows = [i % len(texts) for i in range(images)]
    drawn = denoise(
        backbone,
        prompts_cond=backbone.encode(texts),
        empty_cond=backbone.empty(),
        rows=rows,
        seeds=range(seed, seed + images),
        steps=steps,
        guidance=guidance,
    )
    return torch.cat([batch.latents for batch in drawn]), torch.tensor(rows)


def _noise_error(
    backbone: Adapter, clean: Tensor, cond: Conditioning, vector: Tensor, generator: torch.Generator
) -> Tensor:
    """Mean squared error of the network's prediction at random times, with the vector added after the middle block."""
    alphas, kind = backbone.pipeline.scheduler.alphas_cumprod, backbone.pipeline.scheduler.config.prediction_type
    t = torch.randint(len(alphas), (len(clean),), generator=generator)
    noise = torch.randn(clean.shape, generator=generator).to(clean)
    signal = alphas[t].to(clean)[:, None, None, None]
    a, b = signal.sqrt(), (1 - signal).sqrt()
    target = {"epsilon": noise, "v_prediction": a * noise - b * clean, "sample": clean}[kind]
    steered = replace(cond, added={**cond.added, MIDDLE: vector.expand(len(clean), *vector.shape)})
    output = backbone.evaluate(a * clean + b * noise, t.to(clean.device), steered)
    return nn.functional.mse_loss(output.float(), target.float())
