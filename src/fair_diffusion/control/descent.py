"""Requests whose images follow a perceiver's gradient: "latents" before they are drawn, "distribution" while they are.

Evaluations count as everywhere, image rows through the network, and a pass back through it counts as one more of each
row: with the weights left alone it costs about what a pass forwards does. Of decoding and perceiving, which these
methods do at every step, only the seconds of a result tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor

from fair_diffusion.backbones import Backbone, Guide, OnStep, advance, batches, begin
from fair_diffusion.control.natural_first import Drawn, Shown, plain_evaluations
from fair_diffusion.files.pictures import from_pixels
from fair_diffusion.policy import Assignment, Target
from fair_diffusion.request import ASSIGNED, Request
from fair_diffusion.steering.bottleneck_heads import BottleneckHeads
from fair_diffusion.steering.distribution import BottleneckGuide, CleanGuide, DistributionGuidance, Loss
from fair_diffusion.steering.latents import Descent, LatentDescent, Read, Start, descend, from_seeds, stages
from fair_diffusion.steering.robust_reading import agreed, over_views, views
from fair_diffusion.steering.targets import AllOf, Targets

Plain = Callable[[int], Guide]
"""The plain guide of so many images."""


@runtime_checkable
class Differentiable(Protocol):
    """A perceiver through which gradients flow."""

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The groups of every attribute that it reads, by attribute."""
        ...

    def probabilities(self, images: Tensor, attribute: str) -> Tensor:
        """Probabilities (n, groups + unknown) for pixels (n, 3, height, width) in 0…1, but for a little noise."""
        ...


class Foreseeing(Protocol):
    """A reader of predicted clean latents, with gradient."""

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The groups of every attribute that it reads, by attribute."""
        ...

    def foresee(self, clean: Tensor, t: float, attribute: str) -> Tensor:
        """Probabilities (n, groups + unknown) from clean latents that were predicted at time t."""
        ...


def descend_to(
    targets: Sequence[Target],
    quotas: Sequence[Sequence[int]],
    *,
    start: Start,
    guide: Plain,
    perceiver: Differentiable,
    early: Foreseeing | None = None,
    variant: str = "assigned",
    settings: LatentDescent | None = None,
    on_step: OnStep | None = None,
) -> Descent[AllOf]:
    """Move the noise of a start so that what is drawn from it has the targets' shares.

    quotas: for each target one count per cell, summing to the images; guide: the plain guide of so many images. early:
    has to agree with the perceiver about those targets whose groups it reads."""
    settings, wanted = settings or LatentDescent(), Targets(targets)

    def read(clean: Tensor, t: float) -> Tensor:
        shown, found = views(start.backbone.decode(clean)), list[Tensor]()
        for target in targets:
            one = Targets([target])
            p = one.read(lambda name: over_views(perceiver.probabilities, shown, name), perceiver.groups)
            if early is not None and _reads(early, target):
                p = agreed(p, one.read(lambda name: early.foresee(clean, t, name), early.groups))
            found.append(p)
        return torch.cat(found, dim=1)

    def way(images: Sequence[int]) -> list[Callable[[Tensor], Tensor]]:
        return stages(start, guide(len(images)), images, read, steps=settings.steps, on_step=on_step)

    with start.backbone.frozen():
        return descend(start.noise, way, lambda p: wanted.loss(variant, p, quotas), settings)


def draw_latents(
    backbone: Backbone,
    request: Request,
    targets: Sequence[Target],
    quotas: Sequence[Sequence[int]],
    guide: Plain,
    perceiver: Differentiable,
    on_step: OnStep | None = None,
    *,
    early: Foreseeing | None = None,
    start: Start | None = None,
    settings: LatentDescent | None = None,
) -> Drawn:
    """Move the starting noise of all images of a request together by its loss, then draw each from its own.

    early: as in `descend_to`. start: where sampling begins, with one row per image of the request; at the noise of the
    request's seeds if not given. `ValueError` if it has another number of images than the request, or other times.
    Interrupted from the keyboard it gives the images that are finished: none before the noise is."""
    n, shown, notes, interrupted = request.n, list[Shown](), list[str](), False
    settings = settings or LatentDescent(chunk=request.batch_size)
    plain = guide(1)
    start = start or from_seeds(backbone, range(request.seed, request.seed + n), steps=request.steps)
    _check(start, request)
    try:
        descent = descend_to(
            targets,
            quotas,
            start=start,
            guide=guide,
            perceiver=perceiver,
            early=early,
            variant=request.loss,
            settings=settings,
            on_step=on_step,
        )
        assigned, settled = descent.loss.assignments(n), descent.loss.settled(descent.probabilities)
        looked = descent.passes * len(start.short(settings.steps)) * plain.passes(backbone)
        if unsure := int((~settled).sum()):
            left = f"{unsure} of {n} images not surely" if request.loss == ASSIGNED else "the batch mean not"
            notes.append(f"descent ended with {left} what was asked for")
        moved = (descent.noise != start.noise).flatten(1).any(dim=1).tolist()
        for images in batches(n, request.batch_size):
            batch = advance(start.batch(images, descent.noise), guide(len(images)), on_step=on_step)
            spent = batch.evaluations + looked[list(images)]
            for i, picture, cost in zip(images, backbone.images(batch.latents), spent.tolist(), strict=True):
                shown.append(_shown(picture, start.seeds[i], assigned[i], cost, moved=moved[i]))
    except KeyboardInterrupt:
        interrupted = True
        notes.append(f"interrupted after {len(shown)} of {n} images")
    return Drawn(shown, "all", plain_evaluations(backbone, request, plain), notes, interrupted)


def draw_distribution(
    backbone: Backbone,
    request: Request,
    targets: Sequence[Target],
    guide: Plain,
    perceiver: Differentiable,
    on_step: OnStep | None = None,
    *,
    early: Foreseeing | None = None,
    settings: DistributionGuidance | None = None,
) -> Drawn:
    """Guide batch after batch so that all images of the request together come to the targets.

    With the request's file of heads on features in the middle of the network; without, on predicted clean latents,
    which `early` reads; if it cannot read all that is asked for, they are decoded and perceived. Finished images are
    kept when it is interrupted.
    """
    n, shown, notes, interrupted = request.n, list[Shown](), list[str](), False
    settings, wanted = settings or DistributionGuidance(), Targets(targets)
    heads = BottleneckHeads.load(request.file) if request.file else None
    foreseeing = early if early is not None and all(_reads(early, target) for target in targets) else None
    done = list[Tensor]()

    def perceive(pixels: Tensor) -> Tensor:
        return wanted.read(lambda name: perceiver.probabilities(pixels, name), perceiver.groups)

    def look(clean: Tensor, t: float) -> Tensor:
        if foreseeing is None:
            return perceive(backbone.decode(clean))
        return wanted.read(lambda name: foreseeing.foresee(clean, t, name), foreseeing.groups)

    def loss(p: Tensor) -> Tensor:
        # n·∂L/∂p of an image is the same however many are finished: `mean` divides by all of them
        return wanted.divergence(torch.cat([*done, p.cpu().double()])) * (1 + sum(map(len, done)) / len(p))

    try:
        for images in batches(n, request.batch_size):
            begun = begin(backbone, images, seeds=[request.seed + i for i in images], steps=request.steps)
            with backbone.frozen():
                own = _guided(guide(len(images)), heads, wanted, look, loss, len(begun.times), settings)
                batch = advance(begun, own, on_step=on_step)
            with torch.no_grad():
                pixels = backbone.decode(batch.latents)
                done.append(perceive(pixels).cpu().double())
            for i, picture, cost in zip(images, from_pixels(pixels), batch.evaluations.tolist(), strict=True):
                shown.append(_shown(picture, request.seed + i, {}, cost, moved=True))
    except KeyboardInterrupt:
        interrupted = True
        notes.append(f"interrupted after {len(shown)} of {n} images")
    return Drawn(shown, "all", plain_evaluations(backbone, request, guide(1)), notes, interrupted)


def _check(start: Start, request: Request) -> None:
    """`ValueError` if a start is not one for this request."""
    if len(start.noise) != request.n:
        raise ValueError(f"the start has {len(start.noise)} images, the request {request.n}; give as many")
    times = start.backbone.fork().timesteps(request.steps)
    if not torch.equal(times, start.times):
        raise ValueError(
            f"the start is of a run of {len(start.times)} times, while the request's {request.steps} steps make "
            f"{len(times)}; give both the same steps"
        )


def _guided(
    plain: Guide,
    heads: BottleneckHeads | None,
    wanted: Targets,
    look: Read,
    loss: Loss,
    steps: int,
    settings: DistributionGuidance,
) -> Guide:
    """The plain guide of a batch with distribution guidance of either kind."""
    given: dict[str, Any] = {
        "cond": plain.cond,
        "empty": plain.empty,
        "guidance": plain.guidance,
        "rescale": plain.rescale,
    }
    if heads is None:
        return CleanGuide(**given, read=look, loss=loss, steps=steps, settings=settings)
    names = {name for target in wanted.targets for name in target.attributes}

    def read(features: Tensor, t: float) -> tuple[Tensor, float]:
        p = wanted.read(lambda name: heads.probabilities(features, t, name), heads.groups)
        return p, max(heads.size(t, name) for name in names)

    return BottleneckGuide(**given, heads=read, loss=loss, steps=steps, settings=settings)


def _shown(picture: Image.Image, seed: int, assigned: Assignment, evaluations: int, *, moved: bool) -> Shown:
    return Shown(
        image=picture,
        seed=seed,
        assigned=assigned,
        steered_to=assigned if moved else {},
        strength=float(moved),
        evaluations=evaluations,
    )


def _reads(early: Foreseeing, target: Target) -> bool:
    """Whether an early reader knows every group that the target asks for."""
    asked = [zip(target.attributes, cell, strict=True) for cell, share in target.shares.items() if share]
    return all(group in early.groups.get(name, ()) for pairs in asked for name, group in pairs)
