"""Pixels as image processors prepare pictures, against those of transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessorPil, ConvNextImageProcessorPil, ViTImageProcessorPil

from fair_diffusion.perception.prepared import prepared


@pytest.mark.parametrize(
    "processor",
    [
        ViTImageProcessorPil(size={"height": 16, "width": 20}),
        ViTImageProcessorPil(size={"height": 16, "width": 20}, resample=Image.Resampling.BICUBIC, do_normalize=False),
        ConvNextImageProcessorPil(size={"shortest_edge": 14}, crop_pct=0.875),  # as ResNet's
        ConvNextImageProcessorPil(size={"shortest_edge": 384}),
        ViTImageProcessorPil(do_resize=False),
        CLIPImageProcessorPil(size={"shortest_edge": 20}, crop_size={"height": 20, "width": 20}),
    ],
)
def test_tensors_are_prepared_as_pictures_are(processor: Any) -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(
        (40, 30), Image.Resampling.BICUBIC
    )
    expected = processor(images=[picture], return_tensors="pt")["pixel_values"]
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
    # pictures are rounded to bytes after resizing, tensors are not; at hard edges the two resize a little differently
    difference = (prepared(pixels, processor) - expected).abs()
    assert difference.max() < 0.15
    assert difference.mean() < 0.01
