"""Draw every image from its seed, guided to its aim from the first step on, and make none again."""

from __future__ import annotations

from functools import partial

from fair_diffusion.backbones import batches
from fair_diffusion.control.aims import aims
from fair_diffusion.control.order import Arrival, Order, Shown, Steps, Stretch


def draw(order: Order) -> Steps:
    """Draw an order, in batches of its size."""
    every = aims(order)
    order.control = "all" if any(aim.strength for aim in every) else "none"
    seed = order.request.seed

    def take(image: int, arrival: Arrival) -> None:
        if not arrival.finite:
            return
        order.shown[image] = Shown(
            picture=order.kept(arrival),
            seed=seed + image,
            assigned=every[image].assigned,
            steered_to=every[image].assigned,
            strength=every[image].strength,
            evaluations=arrival.evaluations,
        )

    for part in batches(order.n, order.request.batch_size):
        yield [Stretch(order=order, image=i, seed=seed + i, aim=every[i], take=partial(take, i)) for i in part]
