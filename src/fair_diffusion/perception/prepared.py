"""The steps of an image processor of transformers, applied to tensors, so that gradients flow through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

WARPED = 384
"""From this size on, ConvNext's image processor warps pictures instead of cropping them."""


def prepared(pixels: Tensor, processor: Any) -> Tensor:
    """Pixels as an image processor of transformers prepares pictures: resized, cropped to the centre and normalised.

    Args:
        pixels: (n, 3, height, width) in 0…1; gradients flow through them.
        processor: its settings say the sizes, means and deviations.
    """
    settings = processor.to_dict()
    new, crop = _sizes(settings, pixels.shape[-2:])
    if new != tuple(pixels.shape[-2:]):
        kernel = "bicubic" if settings.get("resample") == Image.Resampling.BICUBIC else "bilinear"
        pixels = F.interpolate(pixels, new, mode=kernel, antialias=True)
    if crop is not None:
        top, left = ((have - want) // 2 for have, want in zip(new, crop, strict=True))
        pixels = pixels[..., top : top + crop[0], left : left + crop[1]]
    if settings.get("do_normalize"):
        mean, std = (pixels.new_tensor(settings[name]).view(-1, 1, 1) for name in ("image_mean", "image_std"))
        pixels = (pixels - mean) / std
    return pixels


def _sizes(settings: Any, size: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, int] | None]:
    """Height and width after resizing, and after cropping (None: no crop)."""
    wanted, cut, new = settings.get("size") or {}, settings.get("crop_size"), tuple(size)
    crop = (cut["height"], cut["width"]) if settings.get("do_center_crop") and cut else None
    if not settings.get("do_resize"):
        return new, crop
    edge = wanted.get("shortest_edge")
    if edge is None:
        return (wanted["height"], wanted["width"]), crop
    if share := settings.get("crop_pct"):  # as ConvNext and ResNet: resized larger, then cropped to the edge
        if edge >= WARPED:
            return (edge, edge), crop
        crop, edge = (edge, edge), int(edge / share)
    return tuple(int(edge * side / min(size)) for side in size), crop
