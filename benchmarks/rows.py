"""Ways to meet a target that benchmarks draw beside each other. Exports `Row`, `ROWS`, `PLAIN` and `planned`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fair_diffusion import FairPipeline
from fair_diffusion.control.planned import Planned
from fair_diffusion.request import Request


@dataclass(frozen=True)
class Row:
    """One way to meet a target.

    coin: groups are drawn by lot and not by quota. hold: attributes that nobody asked for are held.
    """

    name: str
    method: str
    control: str
    coin: bool = False
    hold: bool = False


ROWS = (
    Row("plain", "none", "all"),
    Row("prompt quota", "prompt", "all"),
    Row("semantic, all images, fair coin (published)", "semantic", "all", coin=True),
    Row("semantic, all images, quotas", "semantic", "all"),
    Row("natural-first, semantic in a window", "semantic", "natural-first"),
    Row("natural-first, prompt switching", "switch", "natural-first"),
)
PLAIN = ROWS[0]


def planned(pipe: FairPipeline, row: Row, request: Request) -> Planned:
    """A request as a row draws it.

    Args:
        pipe: what draws it.
        row: the way.
        request: prompt, seeds and policy; method and control are those of the row.
    """
    found = pipe.plan(replace(request, method=row.method, control=row.control))
    if not row.coin:
        return found
    # Counts of independent draws, dealt out in random order, are independent draws.
    draw = np.random.default_rng(request.seed)
    shares = [[float(share) for share in target.shares.values()] for target in found.matched.targets]
    return replace(found, quotas=[draw.multinomial(request.n, own).tolist() for own in shares])
