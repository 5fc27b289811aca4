"""Move the starting noise of a request by the gradient of the fairness loss, then draw each image from its own noise.

Cost is counted in network evaluations per image. A backward pass counts as one evaluation, because with respect to the
inputs alone it costs about as much as a forward pass. Decoding and perceiving, at every iteration, count as time only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from fair_diffusion.backbones import Guide, OnStep, batches
from fair_diffusion.control.order import Arrival, Order, Shown, State, Steps, Stretch
from fair_diffusion.control.readers import Differentiable, Foreseeing
from fair_diffusion.methods import ASSIGNED
from fair_diffusion.perception.opening import names_where
from fair_diffusion.policy import Target
from fair_diffusion.steering.aim import PLAIN
from fair_diffusion.steering.brief import Aimed
from fair_diffusion.steering.latents import Descent, LatentDescent, Start, descend, from_seeds, stages
from fair_diffusion.steering.robust_reading import four_views, geometric_mean, mean_over_views
from fair_diffusion.steering.targets import AllOf, Targets

Plain = Callable[[int], Guide]
"""The plain guide for a number of images."""


def draw(order: Order, *, start: Start | None = None, settings: LatentDescent | None = None) -> Steps:
    """Draw an order from noise that is moved first. If descent is interrupted, no image is finished.

    Args:
        order: the order.
        start: where sampling begins, one row per image; the noise of the request's seeds if None.
        settings: the settings of descent; the defaults if None.

    Raises:
        ValueError: the start has other times, or another number of images, than the request; or no gradient flows
            through the perceiver.
    """
    brief, asked, n = order.brief, order.request, order.n
    backbone, order.control = brief.backbone, "all"
    perceiver = differentiable(order)
    settings = settings or LatentDescent(chunk=asked.batch_size)
    start = start or from_seeds(backbone, range(asked.seed, asked.seed + n), steps=brief.steps)
    _check(start, order)

    def guide(images: int) -> Guide:
        return order.guiding([Aimed(brief, PLAIN)] * images)

    descent = descend_to(
        brief.targets,
        order.quotas,
        start=start,
        guide=guide,
        perceiver=perceiver,
        early=order.readers.early,
        variant=asked.fairness_loss,
        settings=settings,
        on_step=order.on_step,
    )
    assigned, settled = descent.loss.assignments(n), descent.loss.settled(descent.probabilities)
    looked = descent.passes * len(start.short(settings.steps)) * guide(1).passes(backbone)
    if unsure := int((~settled).sum()):
        left = f"{unsure} of {n} images not surely" if asked.fairness_loss == ASSIGNED else "the batch mean not"
        order.notes.append(f"descent ended with {left} what was asked for")
    moved = (descent.noise != start.noise).flatten(1).any(dim=1).tolist()

    def take(image: int, arrival: Arrival) -> None:
        if not arrival.finite:
            return
        order.shown[image] = Shown(
            picture=order.kept(arrival),
            seed=start.seeds[image],
            assigned=assigned[image],
            steered_to=assigned[image] if moved[image] else {},
            strength=float(moved[image]),
            evaluations=arrival.evaluations + int(looked[image]),
        )

    for part in batches(n, asked.batch_size):
        batch = start.batch(part, descent.noise)
        yield [
            Stretch(order=order, image=i, seed=start.seeds[i], state=State(batch, k), take=partial(take, i))
            for k, i in enumerate(part)
        ]


def differentiable(order: Order) -> Differentiable:
    """The perceiver of an order, with gradient.

    Raises:
        ValueError: no gradient flows through the perceiver.
    """
    perceiver = order.readers.perceiver
    if not isinstance(perceiver, Differentiable):
        raise ValueError(
            f"method {order.request.row.name!r} needs a perceiver through which gradients flow, which "
            f"{type(perceiver).__name__} is not; name {names_where(gradient=True)}, or use another method"
        )
    return perceiver


def descend_to(
    targets: Sequence[Target],
    quotas: Sequence[Sequence[int]],
    *,
    start: Start,
    guide: Plain,
    perceiver: Differentiable,
    early: Foreseeing | None = None,
    variant: str = ASSIGNED,
    settings: LatentDescent | None = None,
    on_step: OnStep | None = None,
) -> Descent[AllOf]:
    """Move the noise of a start so that the images drawn from it have the targets' shares.

    Args:
        targets: the targets.
        quotas: for each target one count per cell; they sum to the number of images.
        start: where sampling begins.
        guide: the plain guide for a number of images.
        perceiver: the reader whose gradient is followed.
        early: a second reader, of predicted clean latents. It has to agree with the perceiver about the targets whose
            groups it reads.
        variant: the fairness loss, one of `fairness_loss.VARIANTS`.
        settings: the settings of descent; the defaults if None.
        on_step: called after each step of the short sampler.
    """
    settings, wanted = settings or LatentDescent(), Targets(targets)

    def read(clean: Tensor, t: float) -> Tensor:
        views, probabilities = four_views(start.backbone.decode(clean)), list[Tensor]()
        for target in targets:
            one = Targets([target])
            p = one.read(lambda name: mean_over_views(perceiver.probabilities, views, name), perceiver.groups)
            if early is not None and reads(early, target):
                p = geometric_mean(p, one.read(lambda name: early.foresee(clean, t, name), early.groups))
            probabilities.append(p)
        return torch.cat(probabilities, dim=1)

    def way(images: Sequence[int]) -> list[Callable[[Tensor], Tensor]]:
        return stages(start, guide(len(images)), images, read, steps=settings.steps, on_step=on_step)

    with start.backbone.frozen():
        return descend(start.noise, way, lambda p: wanted.loss(variant, p, quotas), settings)


def reads(early: Foreseeing, target: Target) -> bool:
    """Whether an early reader knows every group that the target asks for."""
    asked = [zip(target.attributes, cell, strict=True) for cell, share in target.shares.items() if share]
    return all(group in early.groups.get(name, ()) for pairs in asked for name, group in pairs)


def _check(start: Start, order: Order) -> None:
    """Check that a start fits an order.

    Raises:
        ValueError: it has another number of images, or other times.
    """
    if len(start.noise) != order.n:
        raise ValueError(f"the start has {len(start.noise)} images, the request {order.n}; give as many")
    times = start.backbone.fork().timesteps(order.brief.steps)
    if not torch.equal(times, start.times):
        raise ValueError(
            f"the start is of a run of {len(start.times)} times, while the request's {order.brief.steps} steps make "
            f"{len(times)}; give both the same steps"
        )
