"""Repairs: the fewest missed images that mend the quotas are made again, until none is left or the budget is spent.

The rule is the same for new images (`natural_first`) and for existing images (`rebalance.moving`). They differ in what
one more try is.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from fair_diffusion.control.assignments import TOO_HARD
from fair_diffusion.control.order import Order, Steps, Stretch

SPARE = 4
"""The least budget for repairs, in images: small requests may repair too."""


class Tries(Protocol):
    """The images of an order, which can be made again."""

    order: Order

    @property
    def spent(self) -> int:
        """Network evaluations so far, of all images."""

    @property
    def dearest(self) -> float:
        """The network evaluations of the most expensive image so far, counted from noise."""

    def assign_anew(self, effort: Sequence[float]) -> list[int]:
        """Assign by what the images show now.

        Args:
            effort: how hard it is to change each image, (images,).

        Returns:
            The images that do not surely show their groups.
        """

    def left(self, misses: Sequence[int]) -> list[int]:
        """Plan one more try for each miss. Return those that have a try left, in the order in which to make them."""

    def again(self, images: Sequence[int]) -> Steps:
        """Make up to `batch_size` images again."""

    def lost(self) -> list[int]:
        """The steered images that show what they are assigned, but not the groups that they were to keep."""

    def regain(self, images: Sequence[int]) -> Steps:
        """Make up to `batch_size` images again. A picture that is no better is dropped, and the former one stays."""


def repair(tries: Tries) -> Generator[list[Stretch], None, str]:
    """Make missed images again until there are none, every try has failed, or the budget is spent.

    Images that lost a held group come last, once each, from what is left of the budget, so that the target comes first.

    Returns:
        Why repairs of missed images ended.
    """
    order, given_up = tries.order, set[int]()
    n, budget, size = order.n, order.request.repair_budget, order.request.batch_size
    limit = tries.spent + order.plain_evaluations * max(budget * n, SPARE if budget else 0)

    def misses() -> list[int]:
        missed = tries.assign_anew([TOO_HARD if i in given_up else 1.0 for i in range(n)])
        return [i for i in missed if i not in given_up]

    def affordable() -> int:
        return min(size, max(0, int((limit - tries.spent) / tries.dearest)))  # a batch may have cost too much

    while missed := misses():
        waiting = tries.left(missed)
        given_up |= set(missed) - set(waiting)
        while waiting:
            part = waiting[: affordable()]
            if not part:
                misses()
                return "the repair budget is spent"
            yield from tries.again(part)
            waiting = waiting[len(part) :]
    lost = tries.lost()
    while part := lost[: affordable()]:
        yield from tries.regain(part)
        lost = lost[len(part) :]
    return "everything was tried"


def missing(why: str, missed: int, n: int) -> list[str]:
    """The note about images that still miss, if there are any."""
    return [f"{why}: {missed} of {n} images do not surely show what was assigned"] if missed else []
