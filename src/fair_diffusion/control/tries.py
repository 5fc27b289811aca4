"""Repairs: misses are made again, the fewest that mend the quotas, until none is left or the budget is spent.

The rule is the same for images on their way from noise (`natural_first`) and for existing images (`rebalance.moving`);
what one more try means differs.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from fair_diffusion.control.assignments import TOO_HARD
from fair_diffusion.control.order import Arrival, Order, Steps, Stretch

SPARE = 4
"""Repairs of a request may cost as much as this many images, however few it asks for."""


class Tries(Protocol):
    """The images of an order, which can be made again."""

    order: Order

    @property
    def spent(self) -> int:
        """Evaluations so far, of all images."""

    @property
    def dearest(self) -> float:
        """Evaluations of the dearest image so far, counted from noise on."""

    def assign_anew(self, effort: Sequence[float]) -> list[int]:
        """Assign by what the images show now, and name those that do not surely show what they are assigned.

        effort: how much harder it is to change each image, (images,)."""

    def left(self, misses: Sequence[int]) -> list[int]:
        """Those misses that have a try left, in the order in which they are to be made; the next try is planned."""

    def again(self, images: Sequence[int]) -> Steps:
        """Make images once more, `batch_size` at most."""


def repair(tries: Tries) -> Generator[list[Stretch], list[Arrival], str]:
    """Make misses again until there are none, none that can be mended, or the budget is spent.

    Returns:
        Why it ended.
    """
    order, given_up = tries.order, set[int]()
    n, budget, size = order.n, order.request.repair_budget, order.request.batch_size
    limit = tries.spent + order.plain_evaluations * max(budget * n, SPARE if budget else 0)

    def misses() -> list[int]:
        found = tries.assign_anew([TOO_HARD if i in given_up else 1.0 for i in range(n)])
        return [i for i in found if i not in given_up]

    while found := misses():
        waiting = tries.left(found)
        given_up |= set(found) - set(waiting)
        while waiting:
            affordable = max(0, int((limit - tries.spent) / tries.dearest))  # below 0 where steering is dear
            part = waiting[: min(size, affordable)]
            if not part:
                misses()
                return "the repair budget is spent"
            yield from tries.again(part)
            waiting = waiting[len(part) :]
    return "everything was tried"


def missing(why: str, missed: int, n: int) -> list[str]:
    """The note about images that miss in the end, if there are some."""
    return [f"{why}: {missed} of {n} images do not surely show what was assigned"] if missed else []
