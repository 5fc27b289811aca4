"""The one denoising loop: plain guidance for all images, steering for those that ask for it.

ε̂ = ε_∅ + g·(ε_p − ε_∅)   (classifier-free guidance, Ho & Salimans 2022, arXiv 2207.12598; g ≤ 1: ε̂ = ε_p)

Each step is one network call on the rows [empty | prompt], the same whether images are steered or not, and
one on the rows that steering asks for, if any. So an image for which steering does nothing costs nothing more
and stays bit-identical to an unsteered run (kernels round differently by the number of rows).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fair_diffusion.backbones.backbone import Backbone, Conditioning

if TYPE_CHECKING:
    from fair_diffusion.steering.steering import Steering, SteeringRun


@dataclass(frozen=True)
class StepInfo:
    """What the callback learns after each step of a batch: enough for progress and for a preview.

    images: which images of the request the batch holds.
    step, steps: the step just done, from 0, and how many the run has.
    latents: after the step, (batch, channels, height, width).
    clean: call it for the clean latents predicted at this step, same shape.
    """

    images: range
    step: int
    steps: int
    timestep: float
    latents: Tensor
    clean: Callable[[], Tensor]


@dataclass(frozen=True)
class Denoised:
    """One finished batch.

    images: which images of the request.
    latents: clean, (batch, channels, height, width).
    evaluations: network evaluations spent on each of them.
    """

    images: range
    latents: Tensor
    evaluations: list[int]


@torch.no_grad()
def denoise(
    backbone: Backbone,
    *,
    prompts_cond: Conditioning,
    empty_cond: Conditioning,
    seeds: Sequence[int],
    steps: int,
    guidance: float,
    rows: Sequence[int] | None = None,
    steering: Steering | None = None,
    batch_size: int = 8,
    on_step: Callable[[StepInfo], None] | None = None,
) -> Iterator[Denoised]:
    """Denoise one image per seed and yield batch after batch, in order.

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
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    for start in range(0, n, batch_size):
        images = range(start, min(start + batch_size, n))
        part = slice(images.start, images.stop)
        # Rows are taken batch by batch: those of a large request would not fit into memory together.
        cond, empty = prompts_cond[rows[part]], empty_cond[part if len(empty_cond) == n else [0] * len(images)]
        yield _denoise_batch(
            backbone.fork(),
            images,
            guide=_Guide(cond, empty, guidance, steering.start(images) if steering else None),
            seeds=seeds[part],
            steps=steps,
            on_step=on_step,
        )


def _denoise_batch(
    backbone: Backbone,
    images: range,
    *,
    guide: _Guide,
    seeds: Sequence[int],
    steps: int,
    on_step: Callable[[StepInfo], None] | None,
) -> Denoised:
    times = backbone.timesteps(steps)
    latents = backbone.initial_latents(seeds)
    evaluations = torch.zeros(len(images), dtype=torch.long)
    for step, t in enumerate(times):
        output, rows = guide.predict(backbone, latents, t, step)
        evaluations += rows.bincount(minlength=len(images))
        before, latents = latents, backbone.step(latents, output, t)
        if on_step is not None:

            def clean(before: Tensor = before, output: Tensor = output, t: Tensor = t) -> Tensor:
                return backbone.clean(before, output, t)

            on_step(StepInfo(images, step, len(times), float(t), latents, clean))
    return Denoised(images, latents, evaluations.tolist())


@dataclass(frozen=True)
class _Guide:
    """How one batch is guided: its conditionings, the guidance scale, and the state of its steering."""

    cond: Conditioning
    empty: Conditioning
    guidance: float
    steering: SteeringRun | None

    def predict(self, backbone: Backbone, latents: Tensor, t: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the guided prediction and, for each row that the network saw, its image."""
        everyone, guided = torch.arange(len(latents)), self.guidance > 1
        rows = everyone.repeat(2) if guided else everyone
        cond = Conditioning.cat([self.empty, self.cond]) if guided else self.cond
        output = backbone.predict(latents[rows], t, cond)
        on_empty, on_prompt = output.chunk(2) if guided else (output, output)
        plain = on_empty + self.guidance * (on_prompt - on_empty) if guided else on_prompt
        if self.steering is None:
            return plain, rows

        extra = self.steering.extra(step)
        if extra is None:
            return self.steering.guide(step, plain=plain, uncond=on_empty, extra=output[:0]), rows
        # without guidance ε_∅ is still to evaluate, but only for the images on which steering acts
        missing = torch.arange(0) if guided else torch.unique(extra.images)
        more = torch.cat([missing, extra.images])
        cond = Conditioning.cat([self.empty[missing], extra.conditioning])
        late_empty, on_extra = torch.split(backbone.predict(latents[more], t, cond), [len(missing), len(extra.images)])
        uncond = on_empty if guided else on_empty.index_copy(0, missing.to(output.device), late_empty)
        return self.steering.guide(step, plain=plain, uncond=uncond, extra=on_extra), torch.cat([rows, more])
