"""The one denoising loop: it takes a batch of images from one step of a run to a later one.

A `Batch` is images on their way and never changes: `advance` returns a new one. So a run can go on from any saved point
more than once, with other conditionings, in part, or together with images of other batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

from fair_diffusion.backbones.backbone import Backbone, Conditioning
from fair_diffusion.backbones.guide import Guide, Steering


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
        first: the step at which the batch began.
    """

    images: Sequence[int]
    step: int
    steps: int
    timestep: float
    latents: Tensor
    clean: Callable[[], Tensor]
    first: int = 0


OnStep = Callable[[StepInfo], None]


@dataclass(frozen=True, eq=False)
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
    def gather(rows: Sequence[tuple[Batch, int]]) -> Batch:
        """One batch of single images, each named by its batch and its place there; all have done the same steps."""
        parts = []
        for batch, group in groupby(rows, key=lambda row: row[0]):
            places = [place for _, place in group]
            whole = places == list(range(len(batch.images)))
            parts.append(batch if whole else batch.take(places))
        return parts[0] if len(parts) == 1 else Batch.join(parts)

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


def begin(backbone: Backbone, images: Sequence[int], *, seeds: Sequence[int], steps: int) -> Batch:
    """Noise for each image from its own seed, before the first step. seeds: one per image."""
    own = backbone.fork()
    times = own.timesteps(steps)
    latents = own.initial_latents(seeds)
    return Batch(own, images, times, latents, torch.zeros(len(images), dtype=torch.long))


@torch.no_grad()
def advance(
    batch: Batch,
    guide: Guide,
    *,
    until: int | None = None,
    on_step: OnStep | None = None,
    pause: Callable[[], bool] | None = None,
) -> Batch:
    """Denoise up to step `until`, or to the end, or until `pause` says so after a step. The batch stays as it is."""
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

            on_step(StepInfo(batch.images, step, steps, float(t), latents, clean, batch.step))
        if pause is not None and pause():
            until = step + 1
            break
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
