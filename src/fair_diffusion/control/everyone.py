"""Draw every image from its seed, guided to its aim from the first step on, and make none again."""

from __future__ import annotations

from fair_diffusion.backbones import batches
from fair_diffusion.control.aims import aims
from fair_diffusion.control.order import Order, Shown, Steps, Stretch


def draw(order: Order) -> Steps:
    """Draw an order, in batches of its size."""
    every = aims(order)
    order.control = "all" if any(aim.strength for aim in every) else "none"
    for part in batches(order.n, order.request.batch_size):
        seed = order.request.seed
        arrivals = yield [Stretch(order=order, image=i, seed=seed + i, aim=every[i]) for i in part]
        for i, arrival in zip(part, arrivals, strict=True):
            order.shown[i] = Shown(
                image=arrival.picture,
                seed=seed + i,
                assigned=every[i].assigned,
                steered_to=every[i].assigned,
                strength=every[i].strength,
                evaluations=arrival.evaluations,
            )
