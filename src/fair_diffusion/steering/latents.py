"""The fairness loss on latents: gradient descent on the starting noise, through the sampler.

z ← shell( z − min(η·‖z‖, ℓ/‖g‖)·g/‖g‖ )        g = n·∂L/∂z of one image; `fairness_loss`: L, the mean of ℓ

The sampler is DDIM over a few of the run's times (Song et al. 2021, arXiv 2010.02502); over one it is the predicted
clean image. Noise stays on its shell: each image's keeps the norm that it was drawn with, √d but for a few percent.

ℓ/‖g‖ is Polyak's step for a loss whose least value is 0 (Polyak 1987, Introduction to Optimization; there of convex
functions): as far as ℓ would take to reach it, were it linear. So a step is long where an image is far from its group,
and short where it is near. η bounds it, in units of the noise's norm: about the angle by which noise may turn at once.
The published rate of 0.01, times a gradient of norm 1, would move noise of norm 32 by 0.03 % of it, and the published
ten iterations are too few where a group is rare (docs/latents.md): the defaults are 50 at most, at η = 0.2. Each image
ends before, once it is settled, or `patience` iterations have brought it nothing better. Its loss may rise on the way:
where images went back to their best each time, fewer of them settled.

Memory does not grow with n, but for a few latents of each image. L couples all images only through their probabilities
p, so a first pass without gradient gives p and ∂L/∂p; a second goes back through each chunk of images alone, one stage
of the sampler at a time, from the latents that the first pass left there (gradient checkpointing, without running the
sampler a third time).
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
"""One differentiable part of the way from noise to probabilities; every row is one image."""
Read = Callable[[Tensor, float], Tensor]
"""Probabilities of images, one row each, from clean latents and the time at which they were predicted."""
LossT = TypeVar("LossT", bound=FairnessLoss)


@dataclass(frozen=True, kw_only=True)
class LatentDescent:
    """Settings. iterations of descent at most, with steps up to the learning rate η; patience: iterations without a
    better one that end it for an image; steps: of the short sampler.

    chunk: images at a time; bounds memory, changes no result but for rounding."""

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
    """Where sampling begins: noise of variance 1 to descend on, (n, channels, height, width), of a backbone in a run.

    times: of the run; sampling begins at times[step]. seeds: of the noise, and of what the sampler adds on the way; if
    latents were given, of the latter alone. clean: latents of pictures that are diffused to there; None if sampling
    begins at noise alone."""

    backbone: Backbone
    times: Tensor
    noise: Tensor
    seeds: Sequence[int]
    step: int = 0
    clean: Tensor | None = None

    def latents(self, noise: Tensor, images: Sequence[int]) -> Tensor:
        """Latents at times[step] for the noise of these images."""
        if self.clean is None:
            return noise * self.backbone.noise_scale
        return _noised(self.backbone, self.clean[list(images)], noise, self.times[self.step])

    def short(self, steps: int) -> list[Tensor]:
        """At most so many of the times that are left, evenly spaced, the first among them."""
        left = len(self.times) - self.step
        return [self.times[place] for place in dict.fromkeys(self.step + k * left // steps for k in range(steps))]

    def batch(self, images: Sequence[int], noise: Tensor) -> Batch:
        """These images, with their rows of the noise of all, ready for the usual loop."""
        rows = list(images)
        spent = torch.zeros(len(rows), dtype=torch.long)
        return Batch(self.backbone.take(rows), images, self.times, self.latents(noise[rows], rows), spent, self.step)


@dataclass(frozen=True)
class Descent(Generic[LossT]):
    """Where descent ended: the best iterate of each image.

    noise: of the best iterates. probabilities: there, (n, columns of the last stage), float64, on the CPU. loss: what
    was descended on. losses: the mean of ℓ over all images at each iteration, where those that have ended count with
    their last iterate. passes: through the sampler by each image, (n,): one forwards for every iterate, two for every
    gradient (forwards again, and backwards, which through the inputs alone costs about the same)."""

    noise: Tensor
    probabilities: Tensor
    loss: LossT
    losses: list[float]
    passes: Tensor


def from_seeds(backbone: Backbone, seeds: Sequence[int], *, steps: int) -> Start:
    """Begin at the noise of each seed: what is drawn is said by the text alone."""
    own = backbone.fork()
    times = own.timesteps(steps)
    return Start(own, times, own.noise(seeds), seeds)


def from_latents(backbone: Backbone, latents: Tensor, seeds: Sequence[int] | None = None, *, steps: int) -> Start:
    """Begin at given latents, which are taken as they are at the first time of a run.

    seeds: of what the sampler adds on the way; 0, 1, … if not given."""
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
    """Begin at pictures, encoded and diffused forward with each seed's noise.

    level: to the run's first time at or under this one, of 0…1000; the higher, the less of the picture is left."""
    if len(images) != len(seeds):
        raise ValueError(f"{len(images)} images for {len(seeds)} seeds; give one seed per image")
    own = backbone.fork()
    times = own.timesteps(steps)
    under = (times <= level).nonzero()
    if not len(under):
        raise ValueError(f"level is {level:g}; a run of {steps} steps ends at {float(times[-1]):g}: use more than that")
    # samplers of second order come to a time twice, and begin a step at the last
    step = int((times == times[under[0, 0]]).nonzero()[-1, 0])
    noise = own.noise(seeds)
    with torch.no_grad():
        clean = own.encode_images(images)
    return Start(own, times, noise, seeds, step, clean)


def stages(
    start: Start, guide: Guide, images: Sequence[int], read: Read, *, steps: int, on_step: OnStep | None = None
) -> list[Stage]:
    """The way of these images from noise to what `read` says of them: DDIM over a few times of the run."""
    times = start.short(steps)

    def move(latents: Tensor, k: int) -> Tensor:
        backbone, t = start.backbone.fork(), times[k]  # a fork each time: samplers remember where they were
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
    """Clean latents with noise, as the sampler holds them at time t."""
    return backbone.to_sampler_scale(backbone.noised(clean, noise, t), t)


def descend(
    noise: Tensor,
    way: Callable[[Sequence[int]], Sequence[Stage]],
    choose: Callable[[Tensor], LossT],
    settings: LatentDescent,
) -> Descent[LossT]:
    """Descend on noise. way: the stages from noise to probabilities of these images. choose: the loss to descend on,
    once the probabilities of all images are known.

    Images that are settled are not touched: their noise comes back as it was, to the bit."""
    z, radius = noise.clone(), norms(noise)
    trails = _look(way, z, range(len(z)), settings.chunk)
    p = torch.cat([_seen(trail) for _, trail in trails])
    passes = torch.ones(len(z), dtype=torch.long)
    loss, losses = choose(p), list[float]()
    best, best_p = z.clone(), p.clone()  # the start itself, should no loss be a number
    lowest, found = torch.full_like(p[:, 0], torch.inf), torch.zeros_like(passes)
    for iteration in range(settings.iterations + 1):
        (each, weights), settled = _with_gradient(loss, p), loss.settled(p)
        losses.append(each.mean().item())
        better = settled | (each < lowest)
        best[better], best_p[better], lowest[better], found[better] = z[better], p[better], each[better], iteration
        moving = ~settled & (iteration < found + settings.patience) & each.isfinite()
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
    """The first pass of these images: chunks, each with what it left at every stage."""
    chunks = [list(images[k : k + chunk]) for k in range(0, len(images), chunk)]
    return [(part, forward(way(part), z[part])) for part in chunks]


def _seen(trail: Sequence[Tensor]) -> Tensor:
    return trail[-1].cpu().double()


def _with_gradient(loss: FairnessLoss, p: Tensor) -> tuple[Tensor, Tensor]:
    """ℓ of each image, and n·∂L/∂p."""
    leaf = p.clone().requires_grad_()
    with torch.enable_grad():
        each = loss(leaf)
        (gradient,) = torch.autograd.grad(each.sum(), leaf)
    return each.detach(), gradient


@torch.no_grad()
def forward(way: Sequence[Stage], z: Tensor) -> list[Tensor]:
    """What goes into each stage, and what comes out of the last."""
    trail = [z]
    for stage in way:
        trail.append(stage(trail[-1]))
    return trail


def pull_back(way: Sequence[Stage], trail: Sequence[Tensor], weights: Tensor) -> Tensor:
    """The gradient of Σ weights · (what the last stage gives) by what goes into the first, one stage at a time."""
    g = weights.to(trail[-1])
    for stage, into in zip(reversed(way), reversed(trail[:-1]), strict=True):
        leaf = into.detach().requires_grad_()
        with torch.enable_grad():
            (g,) = torch.autograd.grad(stage(leaf), leaf, g)
    return g


def shell_step(z: Tensor, g: Tensor, radius: Tensor, loss: Tensor, *, rate: float) -> Tensor:
    """One step of each image against its gradient, as far as its loss, (n,), would fall to 0 at that slope, but by no
    more than the rate; back on the shell of its radius, (n,)."""
    shape = (-1, *[1] * (z.ndim - 1))
    g = g.float()
    slope = norms(g).clamp_min(1e-18)  # in float32, the squares of less are 0
    far = torch.minimum(rate * radius, loss.to(radius) / slope)
    moved = z - far.view(shape) * (g / slope.view(shape))
    return (moved * (radius / norms(moved)).view(shape)).to(z)


def norms(z: Tensor) -> Tensor:
    """The length of each image's latents, (n,)."""
    lengths: Tensor = torch.linalg.vector_norm(z.flatten(1), dim=1)
    return lengths
