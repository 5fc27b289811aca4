"""What a rebalancing may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from fair_diffusion.control.strengths import LEVELS
from fair_diffusion.request import Request
from fair_diffusion.steering import INVERSIONS

METHODS = ("switch", "semantic")
DEPTHS = {"inversion": 0.8, "sdedit": 0.6}
"""The usual depth of each way: see docs/rebalance.md for how these were chosen."""
DEEPER, DEEPEST = 0.15, 0.9
"""How much further back an image goes where strength is not enough, and how far at most: it is to stay that image."""


@dataclass(frozen=True, kw_only=True)
class Rebalance(Request):
    """How the `n` images of one prompt are to be moved. `ValueError` naming the first value that cannot be served.

    way: one of `INVERSIONS`. depth: how far back, as a share of the trajectory; the way's usual one
    if None. repair_budget: what further attempts may cost, as a share of drawing all images anew.
    """

    way: str = "inversion"
    depth: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method not in METHODS or self.control != "natural-first":
            raise ValueError(f"method {self.method!r} cannot move images; use one of {', '.join(METHODS)}")
        if self.way not in INVERSIONS:
            raise ValueError(f"unknown way {self.way!r}; use one of {', '.join(INVERSIONS)}")
        if self.depth is not None and not 0 < self.depth <= 1:
            raise ValueError(f"depth is {self.depth}; use a share of the trajectory, above 0 and up to 1")

    @property
    def attempts(self) -> list[tuple[float, float]]:
        """(depth, strength) of one attempt after the other: stronger first, then from further back."""
        first = DEPTHS[self.way] if self.depth is None else self.depth
        deeper = [max(first, min(first + DEEPER * k, DEEPEST)) for k in (1, 2)]
        return list(dict.fromkeys([*((first, level) for level in LEVELS), *((depth, LEVELS[-1]) for depth in deeper)]))
