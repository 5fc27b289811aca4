"""The request of a rebalancing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from fair_diffusion.control.strengths import LEVELS
from fair_diffusion.methods import METHODS, Method
from fair_diffusion.request import Request
from fair_diffusion.steering.inversion import INVERSIONS

DEPTHS = {"inversion": 0.8, "sdedit": 0.6}
"""The usual depth of each way: docs/how-to/rebalance.md tells how these were chosen."""
DEEPER, DEEPEST = 0.15, 0.9
"""How much the depth grows when strength is not enough, and the greatest depth, so that an image keeps its content."""


class RebalanceFields(TypedDict, total=False):
    """The keyword arguments of a rebalancing, as type checkers see them: fields of `Rebalance`."""

    seed: int
    method: str | Method
    steps: int | None
    guidance: float | None
    negative_prompt: str | None
    guidance_rescale: float
    repair_budget: float
    batch_size: int
    size: str | None
    hold: str | Sequence[str] | None
    way: str
    depth: float | None


@dataclass(frozen=True, kw_only=True)
class Rebalance(Request):
    """How to move the `n` images of one prompt.

    Attributes:
        way: how an image is taken back to noise, one of `INVERSIONS`.
        depth: how far an image is taken back, as a share of the trajectory; the usual depth of the way if None.
        repair_budget: the cost of further attempts, as a share of the cost of drawing all images anew.

    Raises:
        ValueError: a value is wrong; the message names the first one.
    """

    way: str = "inversion"
    depth: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.row.midway:
            able = ", ".join(row.name for row in METHODS.values() if row.midway)
            raise ValueError(f"method {self.row.name!r} cannot move images; use one of {able}")
        if not self.natural_first:
            raise ValueError(f"control is {self.control!r}, but images that fit are never moved; leave it out")
        if self.way not in INVERSIONS:
            raise ValueError(f"unknown way {self.way!r}; use one of {', '.join(INVERSIONS)}")
        if self.depth is not None and not 0 < self.depth <= 1:
            raise ValueError(f"depth is {self.depth}; use a share of the trajectory, above 0 and up to 1")

    @property
    def attempts(self) -> list[tuple[float, float]]:
        """The (depth, strength) of each attempt: first stronger ones, then deeper ones."""
        first = DEPTHS[self.way] if self.depth is None else self.depth
        deeper = [max(first, min(first + DEEPER * k, DEEPEST)) for k in (1, 2)]
        return list(dict.fromkeys([*((first, level) for level in LEVELS), *((depth, LEVELS[-1]) for depth in deeper)]))
