"""The fairness loss on latents: gradient descent on the starting noise, through the sampler.

z ← shell( z − min(η·‖z‖, ℓ/‖g‖)·g/‖g‖ )        g = n·∂L/∂z of one image; `fairness_loss`: L, the mean of ℓ

The sampler is DDIM over a few of the run's times (Song et al. 2021, arXiv 2010.02502); with one time it gives the
predicted clean image. Noise stays on its shell: it keeps the norm that it was drawn with, √d up to a few percent.

ℓ/‖g‖ is Polyak's step for a loss whose minimum is 0 (Polyak 1987, Introduction to Optimization; there for convex
functions): the distance at which ℓ would be 0 if it were linear. So a step is long when an image is far from its group,
and short when it is near. η bounds the step in units of the noise's norm: about the angle by which noise turns at most.
The published rate of 0.01, with a gradient of norm 1, would move noise of norm 32 by 0.03 % of its norm, and the
ten published iterations are too few for rare groups: docs/explanation/latents.md. The defaults are 50 iterations and η
= 0.2. An image ends earlier when it is settled, or when `patience` iterations have brought no better loss. Its loss may
rise in between: when images went back to their best iterate each time, fewer of them settled.

Memory does not grow with n, except for a few latents per image. L couples images only through their probabilities p, so
a first pass without gradient gives p and ∂L/∂p. A second pass goes back through one chunk of images at a time and one
stage of the sampler at a time, from the latents that the first pass kept (gradient checkpointing, without a third run
of the sampler).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from PIL import Image
from torch import Tensor

from fair_diffusion.backbones import Backbone, Batch, Guide, OnStep, StepInfo
from fair_diffusion.steering.fairness_loss import FairnessLoss

Stage = Callable[[Tensor], Tensor]
"""A differentiable stage between noise and probabilities; every row is one image."""
Read = Callable[[Tensor, float], Tensor]
"""Probabilities of images, one row each, read in clean latents that were predicted at a time."""
LossT = TypeVar("LossT", bound=FairnessLoss)


@dataclass(frozen=True, kw_only=True)
class LatentDescent:
    """The settings of descent on latents.

    Attributes:
        iterations: the most iterations.
        patience: descent ends for an image after so many iterations without a better loss.
        rate: η.
        steps: steps of the short sampler.
        chunk: images at a time. It bounds memory and changes results by rounding only.
    """

    iterations: int = 50
    patience: int = 10
    rate: float = 0.2
    steps: int = 3
    chunk: int = 8

    def __post_init__(self) -> None:
        for name in ("iterations", "patience", "steps", "chunk"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; use 1 or more")
        if not self.rate > 0:
            raise ValueError(f"rate is {self.rate}; use more than 0")


@dataclass(frozen=True)
class Start:
    """The start of sampling, with the noise to descend on.

    Attributes:
        backbone: the model, in the run.
        times: the times of the run.
        noise: noise of variance 1, (n, channels, height, width).
        seeds: the seeds of the noise and of what the sampler adds later; of the latter only, if latents were given.
        step: sampling begins at times[step].
        clean: latents of pictures that are diffused to that time; None if sampling begins at pure noise.
    """

    backbone: Backbone
    times: Tensor
    noise: Tensor
    seeds: Sequence[int]
    step: int = 0
    clean: Tensor | None = None

    def latents(self, noise: Tensor, images: Sequence[int]) -> Tensor:
        """The latents of these images at times[step], from their noise."""
        if self.clean is None:
            return noise * self.backbone.noise_scale
        return _noised(self.backbone, self.clean[list(images)], noise, self.times[self.step])

    def short(self, steps: int) -> list[Tensor]:
        """At most `steps` of the times that are left: the first one, and others at even distances."""
        left = len(self.times) - self.step
        return [self.times[place] for place in dict.fromkeys(self.step + k * left // steps for k in range(steps))]

    def batch(self, images: Sequence[int], noise: Tensor) -> Batch:
        """These images as a batch for the usual loop; `noise` holds the noise of all images."""
        rows = list(images)
        spent = torch.zeros(len(rows), dtype=torch.long)
        return Batch(self.backbone.take(rows), images, self.times, self.latents(noise[rows], rows), spent, self.step)


@dataclass(frozen=True)
class Descent(Generic[LossT]):
    """The result of descent: the best iterate of each image.

    Attributes:
        noise: the noise of the best iterates, (n, channels, height, width).
        probabilities: their probabilities, (n, columns of the last stage), float64 on the CPU.
        loss: the loss.
        losses: the mean of ℓ over all images at each iteration; images that have ended count with their last iterate.
        passes: each image's passes through the sampler, (n,): one forward pass per iterate, and two per gradient
            (forward again, and backward, which costs about the same with respect to the inputs alone).
    """

    noise: Tensor
    probabilities: Tensor
    loss: LossT
    losses: list[float]
    passes: Tensor


def from_seeds(backbone: Backbone, seeds: Sequence[int], *, steps: int) -> Start:
    """Begin at the noise of each seed."""
    own = backbone.fork()
    times = own.timesteps(steps)
    return Start(own, times, own.noise(seeds), seeds)


def from_latents(backbone: Backbone, latents: Tensor, seeds: Sequence[int] | None = None, *, steps: int) -> Start:
    """Begin at given latents.

    Args:
        backbone: the model.
        latents: the latents at the first time of a run, (n, channels, height, width).
        seeds: the seeds of what the sampler adds later; 0, 1, … if None.
        steps: the steps of the run.

    Raises:
        ValueError: the latents have a wrong shape, or there is another number of seeds.
    """
    seeds = range(len(latents)) if seeds is None else seeds
    if len(latents) != len(seeds):
        raise ValueError(f"latents of {len(latents)} images for {len(seeds)} seeds; give one seed per image")
    own = backbone.fork()
    times = own.timesteps(steps)
    usual = own.noise(seeds)
    if latents.shape != usual.shape:
        raise ValueError(f"latents of shape {tuple(latents.shape)}; give (n, {', '.join(map(str, usual.shape[1:]))})")
    return Start(own, times, latents.detach().to(usual) / own.noise_scale, seeds)


def from_images(
    backbone: Backbone, images: Sequence[Image.Image], seeds: Sequence[int], *, steps: int, level: float = 600.0
) -> Start:
    """Begin at pictures, which are encoded and diffused forward with each seed's noise.

    Args:
        backbone: the model.
        images: the pictures.
        seeds: one seed per picture.
        steps: the steps of the run.
        level: the run begins at its first time that is not above this one, in 0…1000. The higher, the less of the
            picture is left.

    Raises:
        ValueError: there is another number of seeds, or no time of the run is that low.
    """
    if len(images) != len(seeds):
        raise ValueError(f"{len(images)} images for {len(seeds)} seeds; give one seed per image")
    own = backbone.fork()
    times = own.timesteps(steps)
    under = (times <= level).nonzero()
    if not len(under):
        raise ValueError(f"level is {level:g}; a run of {steps} steps ends at {float(times[-1]):g}: use more than that")
    # samplers of second order visit a time twice, and begin a step at the second visit
    step = int((times == times[under[0, 0]]).nonzero()[-1, 0])
    noise = own.noise(seeds)
    with torch.no_grad():
        clean = own.encode_images(images)
    return Start(own, times, noise, seeds, step, clean)


def stages(
    start: Start, guide: Guide, images: Sequence[int], read: Read, *, steps: int, on_step: OnStep | None = None
) -> list[Stage]:
    """The stages of images from noise to the probabilities by `read`: DDIM over at most `steps` times of the run."""
    times = start.short(steps)

    def move(latents: Tensor, k: int) -> Tensor:
        backbone, t = start.backbone.fork(), times[k]  # a new fork each time, because samplers have a state
        output, _ = guide.predict(backbone, latents, t, k)
        clean = backbone.clean(latents, output, t)
        if on_step is not None:
            on_step(StepInfo(images, k, len(times), float(t), latents.detach(), lambda: clean.detach()))
        if k + 1 == len(times):
            return clean
        zero, one = torch.zeros_like(clean), torch.ones_like(clean)
        noise = (latents - _noised(backbone, clean, zero, t)) / _noised(backbone, zero, one, t)
        return _noised(backbone, clean, noise, times[k + 1])

    moves: list[Stage] = [lambda latents, k=k: move(latents, k) for k in range(len(times))]  # type: ignore[misc]
    return [lambda noise: start.latents(noise, images), *moves, lambda clean: read(clean, float(times[-1]))]


def _noised(backbone: Backbone, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """Clean latents with noise at time t, in the sampler's scale."""
    return backbone.to_sampler_scale(backbone.noised(clean, noise, t), t)


def descend(
    noise: Tensor,
    way: Callable[[Sequence[int]], Sequence[Stage]],
    choose: Callable[[Tensor], LossT],
    settings: LatentDescent,
) -> Descent[LossT]:
    """Descend on noise.

    The noise of images that are settled at the start is returned unchanged, bit for bit.

    Args:
        noise: the noise, (n, channels, height, width).
        way: the stages from noise to probabilities, for some of the images.
        choose: the loss, once the probabilities of all images are known.
        settings: the settings.
    """
    z, radius = noise.clone(), norms(noise)
    trails = _look(way, z, range(len(z)), settings.chunk)
    p = torch.cat([_seen(trail) for _, trail in trails])
    passes = torch.ones(len(z), dtype=torch.long)
    loss, losses = choose(p), list[float]()
    best, best_p = z.clone(), p.clone()  # the start, in case no loss is a number
    lowest, best_at = torch.full_like(p[:, 0], torch.inf), torch.zeros_like(passes)
    for iteration in range(settings.iterations + 1):
        (each, weights), settled = _with_gradient(loss, p), loss.settled(p)
        losses.append(each.mean().item())
        better = settled | (each < lowest)
        best[better], best_p[better], lowest[better], best_at[better] = z[better], p[better], each[better], iteration
        moving = ~settled & (iteration < best_at + settings.patience) & each.isfinite()
        if iteration == settings.iterations or not moving.any():
            break
        for images, trail in trails:
            rows = [row for row, image in enumerate(images) if moving[image]]
            if rows:
                some = [images[row] for row in rows]
                g = pull_back(way(some), [state[rows] for state in trail], weights[some])
                z[some] = shell_step(z[some], g, radius[some], each[some], rate=settings.rate)
        trails = _look(way, z, moving.nonzero()[:, 0].tolist(), settings.chunk)
        for images, trail in trails:
            p[images] = _seen(trail)
        passes[moving] += 3
    return Descent(best, best_p, loss, losses, passes)


def _look(
    way: Callable[[Sequence[int]], Sequence[Stage]], z: Tensor, images: Sequence[int], chunk: int
) -> list[tuple[list[int], list[Tensor]]]:
    """The first pass of these images: chunks, each with the tensors that go into and out of its stages."""
    chunks = [list(images[k : k + chunk]) for k in range(0, len(images), chunk)]
    return [(part, forward(way(part), z[part])) for part in chunks]


def _seen(trail: Sequence[Tensor]) -> Tensor:
    return trail[-1].cpu().double()


def _with_gradient(loss: FairnessLoss, p: Tensor) -> tuple[Tensor, Tensor]:
    """ℓ of each image, (n,), and n·∂L/∂p, (n, columns of p)."""
    leaf = p.clone().requires_grad_()
    with torch.enable_grad():
        each = loss(leaf)
        (gradient,) = torch.autograd.grad(each.sum(), leaf)
    return each.detach(), gradient


@torch.no_grad()
def forward(way: Sequence[Stage], z: Tensor) -> list[Tensor]:
    """The input of each stage, and the output of the last one."""
    trail = [z]
    for stage in way:
        trail.append(stage(trail[-1]))
    return trail


def pull_back(way: Sequence[Stage], trail: Sequence[Tensor], weights: Tensor) -> Tensor:
    """The gradient of Σ weights · (output of the last stage) with respect to the input of the first stage.

    Args:
        way: the stages.
        trail: their inputs and the last output, as `forward` returns them.
        weights: a weight for each entry of the last output.
    """
    g = weights.to(trail[-1])
    for stage, into in zip(reversed(way), reversed(trail[:-1]), strict=True):
        leaf = into.detach().requires_grad_()
        with torch.enable_grad():
            (g,) = torch.autograd.grad(stage(leaf), leaf, g)
    return g


def shell_step(z: Tensor, g: Tensor, radius: Tensor, loss: Tensor, *, rate: float) -> Tensor:
    """One step of each image against its gradient, back to its shell.

    Args:
        z: the noise, (n, channels, height, width).
        g: the gradients, of the same shape.
        radius: the norm that each image's noise keeps, (n,).
        loss: ℓ of each image, (n,).
        rate: η.
    """
    shape = (-1, *[1] * (z.ndim - 1))
    g = g.float()
    slope = norms(g).clamp_min(1e-18)  # squares of smaller numbers are 0 in float32
    far = torch.minimum(rate * radius, loss.to(radius) / slope)
    moved = z - far.view(shape) * (g / slope.view(shape))
    return (moved * (radius / norms(moved)).view(shape)).to(z)


def norms(z: Tensor) -> Tensor:
    """The norm of each image's latents, (n,)."""
    lengths: Tensor = torch.linalg.vector_norm(z.flatten(1), dim=1)
    return lengths
