"""Guide batch after batch by the fairness loss over all images so far, so that all of them together meet the targets.

A backward pass through the network counts as one evaluation, as in `control.descent`.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from fair_diffusion.backbones import batches
from fair_diffusion.control.descent import differentiable, reads
from fair_diffusion.control.order import Arrival, Order, Shown, Steps, Stretch
from fair_diffusion.steering.aim import Aim
from fair_diffusion.steering.bottleneck_heads import BottleneckHeads
from fair_diffusion.steering.distribution import DistributionGuidance, Following, guide
from fair_diffusion.steering.targets import Targets


def draw(order: Order, *, settings: DistributionGuidance | None = None) -> Steps:
    """Draw an order batch by batch.

    If the request has a file, its heads read features in the middle of the network. If not, the early reader reads
    predicted clean latents; if it does not know all groups that are asked for, the latents are decoded and perceived.

    Args:
        order: the order.
        settings: the settings of guidance; the defaults if None.

    Raises:
        ValueError: no gradient flows through the perceiver.
    """
    brief, asked, early = order.brief, order.request, order.readers.early
    perceiver, wanted, order.control = differentiable(order), Targets(brief.targets), "all"
    foreseeing = early if early is not None and all(reads(early, target) for target in brief.targets) else None

    def perceive(pixels: Tensor) -> Tensor:
        return wanted.read(lambda name: perceiver.probabilities(pixels, name), perceiver.groups)

    def look(clean: Tensor, t: float) -> Tensor:
        if foreseeing is None:
            return perceive(brief.backbone.decode(clean))
        return wanted.read(lambda name: foreseeing.foresee(clean, t, name), foreseeing.groups)

    heads = brief.loaded(BottleneckHeads.load) if asked.file else None
    following = Following(wanted, look, heads, settings or DistributionGuidance())
    order.guide = partial(guide, following=following)
    pixels: list[Tensor] = []

    def take(image: int, arrival: Arrival) -> None:
        if not arrival.finite:
            return
        pixels.append(arrival.pixels)
        order.shown[image] = Shown(
            picture=order.kept(arrival),
            seed=asked.seed + image,
            assigned={},
            steered_to={},
            strength=1.0,
            evaluations=arrival.evaluations,
        )

    aim = Aim(strength=1.0)
    for part in batches(order.n, asked.batch_size):
        pixels.clear()
        yield [Stretch(order=order, image=i, seed=asked.seed + i, aim=aim, take=partial(take, i)) for i in part]
        if not pixels:
            continue
        with torch.no_grad():
            following.done.append(perceive(torch.stack(pixels)).cpu().double())
