"""Whom descent on latents has to convince: a classifier in several views of a picture, and an early reader beside it.

over views    p = 1/4 Σ_v f(view_v(x))        view: moved towards one corner by 1/32 of the side, under noise of its own
agreed        p_k ← √(p_k·q_k)                f, q: what the perceiver and the early reader give to cell k; the rest,
                                              what they do not agree about, is unknown

A gradient also finds what pleases only the network that it comes from. Few such pictures please it in every view
(expectation over transformation: Athalye et al. 2018, arXiv 1707.07397), and fewer a second network too, which sees
latents instead of pixels; docs/latents.md has the figures. The noise is the same for every picture and call, so a
result depends neither on chance nor on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

SHIFT = 1 / 32
"""How far a view is moved, in sides of the picture."""
NOISE = 0.05
"""Standard deviation of a view's noise, for pixels in 0…1."""
_TINY = 1e-12


def views(pixels: Tensor) -> Tensor:
    """Four views of each picture, (4, n, 3, height, width), of pixels (n, 3, height, width) in 0…1, which they may
    leave by their noise."""
    height, width = pixels.shape[-2:]
    by = max(1, round(SHIFT * min(height, width)))
    padded = torch.nn.functional.pad(pixels, (by, by, by, by), mode="replicate")
    found = []
    for seed, (down, right) in enumerate(product((0, 2 * by), repeat=2)):
        noise = torch.randn(pixels.shape[1:], generator=torch.Generator().manual_seed(seed)).to(pixels)
        found.append(padded[..., down : down + height, right : right + width] + NOISE * noise)
    return torch.stack(found)


def over_views(read: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
    """The mean over its views of what `read` gives for each picture, (n, groups)."""
    shown = views(pixels)
    seen: Tensor = read(shown.flatten(0, 1)).unflatten(0, shown.shape[:2]).mean(dim=0)
    return seen


def agreed(p: Tensor, q: Tensor) -> Tensor:
    """What two readers of the same images agree about; all (n, cells + 1), unknown last, rows summing to 1."""
    cells = (p * q.to(p))[:, :-1].clamp_min(_TINY).sqrt()
    return torch.cat([cells, (1 - cells.sum(dim=1, keepdim=True)).clamp_min(0)], dim=1)
