"""The aims of a request's images when all of them are steered from the first step on."""

from __future__ import annotations

from fair_diffusion.allocation import assign_randomly
from fair_diffusion.control.order import Order
from fair_diffusion.methods import NONE
from fair_diffusion.policy import Assignment
from fair_diffusion.steering.aim import PLAIN, Aim, asked_groups


def aims(order: Order) -> list[Aim]:
    """One aim per image: towards the groups of its cells, and away from the other groups that the targets ask for."""
    n, targets, row = order.n, order.brief.targets, order.request.row
    if not order.quotas:
        acts = targets and row.name != NONE and not order.request.assigns
        return [Aim(strength=1.0) if acts else PLAIN] * n
    asked = {name: asked_groups(target, name) for target in targets for name in target.attributes}
    assigned: list[Assignment] = [{} for _ in range(n)]
    for target, cells in zip(targets, assign_randomly(targets, order.quotas, order.request.seed), strict=True):
        for assignment, cell in zip(assigned, cells, strict=True):
            assignment.update(zip(target.attributes, cell, strict=True))
    return [
        Aim(
            assignment,
            {name: [other for other in asked[name] if other != group] for name, group in assignment.items()},
            1.0,
        )
        for assignment in assigned
    ]
