"""Robust readings for descent on latents: a classifier sees several views of a picture, a second reader its latents.

mean over views    p = 1/4 Σ_v f(view_v(x))    view_v: moved towards one corner by 1/32 of the side, with its own noise
geometric mean     p_k ← √(p_k·q_k)            p_k, q_k: the probabilities of cell k by the perceiver and the early
                                               reader; the rest, about which they do not agree, is unknown

Gradient descent also finds pictures that fool only the network that the gradient comes from. Few such pictures fool it
in every view, and fewer still fool a second network, which sees latents instead of pixels: docs/explanation/latents.md.
Expectation over transformation (Athalye et al. 2018, arXiv 1707.07397) draws new views for each reading. Here the views
are the same for all pictures and readings, so a result depends neither on chance nor on the rest of the batch.
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
"""How far a view is moved, as a share of the picture's shorter side."""
NOISE = 0.05
"""Standard deviation of a view's noise, for pixels in 0…1."""
GRID = 64
"""Squares of noise along a side, whatever the size of the picture. A classifier looks at small pictures, in which finer
noise is lost."""


def four_views(pixels: Tensor) -> Tensor:
    """Four views of each picture.

    Args:
        pixels: (n, 3, height, width) in 0…1.

    Returns:
        (4, n, 3, height, width). With the noise, pixels can be a little outside 0…1.
    """
    height, width = pixels.shape[-2:]
    by = max(1, round(SHIFT * min(height, width)))
    padded = pad(pixels, (by, by, by, by), mode="replicate")
    corners = product((0, 2 * by), repeat=2)
    moved = torch.stack([padded[..., down : down + height, right : right + width] for down, right in corners])
    noise = interpolate(_noise().to(pixels), size=(height, width))
    return moved + NOISE * noise[:, None]


def mean_over_views(read: Callable[[Tensor, str], Tensor], views: Tensor, attribute: str) -> Tensor:
    """The probabilities of an attribute's groups, as their mean over views.

    Args:
        read: the probabilities (n, groups + unknown) of an attribute in pixels (n, 3, height, width).
        views: (views, n, 3, height, width).
        attribute: the attribute.

    Returns:
        (n, groups + unknown).
    """
    mean: Tensor = read(views.flatten(0, 1), attribute).unflatten(0, views.shape[:2]).mean(dim=0)
    return mean


def geometric_mean(p: Tensor, q: Tensor) -> Tensor:
    """The probabilities on which two readers of the same images agree.

    Where one reader gives nearly 0, the gradient still reaches the other one.

    Args:
        p: probabilities by the first reader, (n, cells + 1), unknown last.
        q: the same by the second reader.

    Returns:
        (n, cells + 1), unknown last. Rows sum to 1, up to rounding.
    """
    p, q = (x.to(p.device, torch.promote_types(x.dtype, torch.float32))[:, :-1] for x in (p, q))
    cells = p.clamp_min(TINY).sqrt() * q.clamp_min(TINY).sqrt()
    return torch.cat([cells, (1 - cells.sum(dim=1, keepdim=True)).clamp_min(0)], dim=1)


@cache
def _noise() -> Tensor:
    """The noise of the four views, (4, 3, grid, grid), with mean 0 and standard deviation 1."""
    return torch.randn(4, 3, GRID, GRID, generator=torch.Generator().manual_seed(0))
