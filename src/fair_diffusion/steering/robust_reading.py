"""Whom descent on latents has to convince: a classifier in several views of a picture, and an early reader beside it.

over views    p = 1/4 Σ_v f(view_v(x))        view: moved towards one corner by 1/32 of the side, under noise of its own
agreed        p_k ← √(p_k·q_k)                f, q: what the perceiver and the early reader give to cell k; the rest,
                                              what they do not agree about, is unknown

A gradient also finds what pleases only the network that it comes from. Few such pictures please it in every view, and
fewer a second network too, which sees latents instead of pixels; docs/latents.md has the figures. Expectation over
transformation (Athalye et al. 2018, arXiv 1707.07397) draws views anew at each look. Here they are the same for every
picture and look, so that a result depends neither on chance nor on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from fair_diffusion.steering.fairness_loss import TINY

SHIFT = 1 / 32
"""How far a view is moved, in shorter sides of the picture."""
NOISE = 0.05
"""Standard deviation of a view's noise, for pixels in 0…1."""
GRID = 64
"""The noise has so many squares a side, whatever the size of the picture: finer noise is lost on a classifier, which
looks at small pictures."""


def views(pixels: Tensor) -> Tensor:
    """Four views of each picture, (4, n, 3, height, width), of pixels (n, 3, height, width) in 0…1, which they may
    leave by their noise."""
    height, width = pixels.shape[-2:]
    by = max(1, round(SHIFT * min(height, width)))
    padded = pad(pixels, (by, by, by, by), mode="replicate")
    corners = product((0, 2 * by), repeat=2)
    moved = torch.stack([padded[..., down : down + height, right : right + width] for down, right in corners])
    noise = interpolate(_noise().to(pixels), size=(height, width))
    return moved + NOISE * noise[:, None]


def over_views(read: Callable[[Tensor, str], Tensor], shown: Tensor, attribute: str) -> Tensor:
    """The mean over views, (views, n, 3, height, width), of the probabilities that `read` gives of an attribute's
    groups, (n, groups + 1)."""
    seen: Tensor = read(shown.flatten(0, 1), attribute).unflatten(0, shown.shape[:2]).mean(dim=0)
    return seen


def agreed(p: Tensor, q: Tensor) -> Tensor:
    """What two readers of the same images agree about; all (n, cells + 1), unknown last, rows summing to 1 but for
    rounding. Where one of them gives nearly nothing, the gradient still reaches the other."""
    p, q = (x.to(p.device, torch.promote_types(x.dtype, torch.float32))[:, :-1] for x in (p, q))
    cells = p.clamp_min(TINY).sqrt() * q.clamp_min(TINY).sqrt()
    return torch.cat([cells, (1 - cells.sum(dim=1, keepdim=True)).clamp_min(0)], dim=1)


@cache
def _noise() -> Tensor:
    """(4, 3, grid, grid), of mean 0 and deviation 1."""
    return torch.randn(4, 3, GRID, GRID, generator=torch.Generator().manual_seed(0))
