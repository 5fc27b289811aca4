"""The one denoising loop: plain guidance for all images, steering for those that ask for it.

ε̂ = ε_∅ + g·(ε_p − ε_∅)   (classifier-free guidance, Ho & Salimans 2022, arXiv 2207.12598; g ≤ 1: ε̂ = ε_p)
ε̂ ← φ·(σ(ε_p)/σ(ε̂))·ε̂ + (1−φ)·ε̂   (guidance rescale, Lin et al. 2023, arXiv 2305.08891; σ over one image)

Networks that were distilled to draw guided images get g as an input, if they take it, and ε̂ = ε_p.
Each step is one network call on the rows [empty | prompt], the same whether images are steered or not, and
one on the rows that steering asks for, if any. So an image for which steering does nothing costs nothing more
and stays bit-identical to an unsteered run (kernels round differently by the number of rows). Where steering asks
for rows of every image, none of them is plain, and one call takes all rows: each call has to read all weights.

A `Batch` is images on their way and never changes: `advance` returns a new one, so that a run can go on from any
saved point more than once, with other conditionings, in part, or together with images of other batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fair_diffusion.backbones.backbone import Backbone, Conditioning

if TYPE_CHECKING:
    from fair_diffusion.steering.steering import Steering, SteeringRun


@dataclass(frozen=True)
class StepInfo:
    """The callback's argument after each step of a batch: enough for progress and for a preview.

    Attributes:
        images: the numbers, within the request, of the images in the batch.
        step: the step that is just done, from 0.
        steps: the steps of the run.
        timestep: the time of that step.
        latents: after the step, (batch, channels, height, width).
        clean: returns the clean latents predicted at this step, of the same shape.
    """

    images: Sequence[int]
    step: int
    steps: int
    timestep: float
    latents: Tensor
    clean: Callable[[], Tensor]


OnStep = Callable[[StepInfo], None]


@dataclass(frozen=True)
class Batch:
    """Images on their way from noise to clean latents.

    Attributes:
        backbone: the networks and the sampler's state.
        images: the numbers of these images within the request.
        times: all times of the run.
        latents: now, (batch, channels, height, width); clean once all steps are done.
        evaluations: network evaluations spent on each image so far, (batch,), on the CPU.
        step: how many of the times are done.
        last: latents before the last step, and the guided output there; None before the first step.
    """

    backbone: Backbone
    images: Sequence[int]
    times: Tensor
    latents: Tensor
    evaluations: Tensor
    step: int = 0
    last: tuple[Tensor, Tensor] | None = None

    def clean(self) -> Tensor:
        """The clean latents predicted at the last step, (batch, channels, height, width)."""
        if self.last is None:
            raise ValueError("no step is done yet: advance the batch first")
        return self.backbone.clean(*self.last, self.times[self.step - 1])

    def take(self, places: Sequence[int]) -> Batch:
        """A batch of only the images at these places."""
        rows = torch.as_tensor(places, dtype=torch.long)
        return replace(
            self,
            backbone=self.backbone.take(places),
            images=[self.images[place] for place in places],
            latents=self.latents[rows],
            evaluations=self.evaluations[rows],
            last=self.last and (self.last[0][rows], self.last[1][rows]),
        )

    @staticmethod
    def join(parts: Sequence[Batch]) -> Batch:
        """One batch of the images of all `parts`.

        Raises:
            ValueError: the parts have different times or different steps done.
        """
        first = parts[0]
        if any(part.step != first.step or not torch.equal(part.times, first.times) for part in parts):
            raise ValueError(f"batches after {[part.step for part in parts]} steps cannot go on together")
        lasts = [part.last for part in parts if part.last is not None]
        return replace(
            first,
            backbone=first.backbone.join([part.backbone for part in parts]),
            images=[image for part in parts for image in part.images],
            latents=torch.cat([part.latents for part in parts]),
            evaluations=torch.cat([part.evaluations for part in parts]),
            last=(torch.cat([a for a, _ in lasts]), torch.cat([b for _, b in lasts])) if lasts else None,
        )


@dataclass(frozen=True)
class Guide:
    """How one batch is guided: conditionings with a row per image, the guidance scale, and its steering, if any.

    rescale: φ, from 0 (leave the guided prediction's size) to 1 (give it that of ε_p).
    """

    cond: Conditioning
    empty: Conditioning
    guidance: float
    steering: SteeringRun | None = None
    rescale: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.rescale <= 1:
            raise ValueError(f"guidance rescale is {self.rescale}; use 0 to 1")

    def passes(self, backbone: Backbone) -> int:
        """Network evaluations that an unsteered image costs at each step."""
        return 2 if self.guidance > 1 and not backbone.distilled else 1

    def predict(self, backbone: Backbone, latents: Tensor, t: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the guided prediction and, for each row that the network saw, its place in the batch."""
        everyone, guided = torch.arange(len(latents)), self.passes(backbone) == 2
        extra = None if self.steering is None else self.steering.extra(step)
        # without a pass on the empty prompt, steering still needs ε_∅, but only for the images that it acts on
        missing = everyone[:0] if guided or extra is None else torch.unique(extra.images)
        usual = [(everyone, self.empty), (everyone, self.cond)] if guided else [(everyone, self.cond)]
        more = [] if extra is None else [(missing, self.empty[missing]), (extra.images, extra.conditioning)]
        together = extra is not None and len(torch.unique(extra.images)) == len(latents)
        calls = [
            (torch.cat([rows for rows, _ in parts]), Conditioning.cat([cond for _, cond in parts]))
            for parts in ([usual + more] if together or not more else [usual, more])
        ]
        rows = torch.cat([rows for rows, _ in calls])
        output = torch.cat([backbone.predict(latents[rows], t, cond, guidance=self.guidance) for rows, cond in calls])

        first = len(latents) * len(usual)
        on_usual, on_missing, on_extra = torch.tensor_split(output, [first, first + len(missing)])
        on_empty, on_prompt = on_usual.chunk(2) if guided else (on_usual, on_usual)
        plain = on_empty + self.guidance * (on_prompt - on_empty) if guided else on_prompt
        if guided and self.rescale:
            plain = _rescaled(plain, on_prompt, self.rescale)
        if self.steering is None:
            return plain, rows
        uncond = on_empty if guided else on_empty.index_copy(0, missing.to(output.device), on_missing)
        return self.steering.guide(step, plain=plain, uncond=uncond, extra=on_extra), rows


def _rescaled(guided: Tensor, on_prompt: Tensor, rescale: float) -> Tensor:
    """Give each image's prediction the spread of ε_p, as far as `rescale` says."""
    images = tuple(range(1, guided.ndim))
    spread = on_prompt.std(dim=images, keepdim=True) / guided.std(dim=images, keepdim=True)
    return rescale * (guided * spread) + (1 - rescale) * guided


def begin(backbone: Backbone, images: Sequence[int], *, seeds: Sequence[int], steps: int) -> Batch:
    """Noise for each image from its own seed, before the first step. seeds: one per image."""
    own = backbone.fork()
    times = own.timesteps(steps)
    latents = own.initial_latents(seeds)
    return Batch(own, images, times, latents, torch.zeros(len(images), dtype=torch.long))


@torch.no_grad()
def advance(batch: Batch, guide: Guide, *, until: int | None = None, on_step: OnStep | None = None) -> Batch:
    """Denoise up to step `until`, or to the end. The batch given stays as it is."""
    backbone, latents, last = batch.backbone.fork(), batch.latents, batch.last
    evaluations, steps = batch.evaluations.clone(), len(batch.times)
    until = steps if until is None else until
    for step in range(batch.step, until):
        t = batch.times[step]
        output, rows = guide.predict(backbone, latents, t, step)
        evaluations += rows.bincount(minlength=len(latents))
        last, latents = (latents, output), backbone.step(latents, output, t)
        if on_step is not None:

            def clean(last: tuple[Tensor, Tensor] = last, t: Tensor = t) -> Tensor:
                return backbone.clean(*last, t)

            on_step(StepInfo(batch.images, step, steps, float(t), latents, clean))
    return replace(batch, backbone=backbone, latents=latents, evaluations=evaluations, step=until, last=last)


def denoise(
    backbone: Backbone,
    *,
    prompts_cond: Conditioning,
    empty_cond: Conditioning,
    seeds: Sequence[int],
    steps: int,
    guidance: float,
    rescale: float = 0.0,
    rows: Sequence[int] | None = None,
    steering: Steering | None = None,
    batch_size: int = 8,
    on_step: OnStep | None = None,
) -> Iterator[Batch]:
    """Denoise one image per seed and yield finished batch after batch, in order.

    `rows` names each image's row of prompts_cond, which holds one per seed if it is not given; empty_cond has one row
    for all, or one per seed. Raising from on_step stops
    the run: batches that are finished have been yielded by then.
    """
    n = len(seeds)
    if rows is None and len(prompts_cond) != n:
        raise ValueError(f"prompts_cond has {len(prompts_cond)} rows for {n} seeds; give one row per seed")
    rows = range(n) if rows is None else rows
    if len(rows) != n:
        raise ValueError(f"rows names {len(rows)} rows for {n} seeds; name one per seed")
    if len(empty_cond) not in (1, n):
        raise ValueError(f"empty_cond has {len(empty_cond)} rows for {n} seeds; give 1 row or one per seed")
    for images in batches(n, batch_size):
        part = slice(images.start, images.stop)
        # Rows are taken batch by batch: all rows of a large request would not fit into memory together.
        cond, empty = prompts_cond[rows[part]], empty_cond[part if len(empty_cond) == n else [0] * len(images)]
        guide = Guide(cond, empty, guidance, steering.start(images) if steering else None, rescale)
        yield advance(begin(backbone, images, seeds=seeds[part], steps=steps), guide, on_step=on_step)


def batches(n: int, batch_size: int) -> list[range]:
    """The images 0…n−1 in batches, in order."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    return [range(start, min(start + batch_size, n)) for start in range(0, n, batch_size)]
