"""Distances of images to their plain twins, which are the images of the same seeds, drawn without steering."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fair_diffusion.files.picture_files import at
from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.perception.probabilities import features
from fair_diffusion.result import Result, Twins
from fair_diffusion.statistics.distance import cosine_distances, pixel_differences


@torch.no_grad()
def twins_of(result: Result, plain: Result, judge: Perceiver) -> Twins:
    """The distances of a result's images to those of a plain result. An image from a new seed has no twin."""
    place = {twin.seed: i for i, twin in enumerate(plain.records)}
    pairs = [(i, place[record.seed]) for i, record in enumerate(result.records) if record.seed in place]
    if not pairs:
        return Twins(untouched=0, untouched_difference=0.0, steered=0, pixel_distance=0.0, feature_distance=0.0)
    images, twins = at(result.images, [i for i, _ in pairs]), at(plain.images, [i for _, i in pairs])
    steered = np.array([result.records[i].steered for i, _ in pairs], dtype=bool)
    pixels = pixel_differences(images, twins)
    cosines = feature_distances(judge, images, twins)
    away = None if cosines is None else cosines[steered]
    return Twins(
        untouched=int((~steered).sum()),
        untouched_difference=float(pixels[~steered, 1].max(initial=0.0)),
        steered=int(steered.sum()),
        pixel_distance=float(pixels[steered, 0].mean()) if steered.any() else 0.0,
        feature_distance=None if away is None else float(away.mean()) if steered.any() else 0.0,
    )


def feature_distances(
    judge: Perceiver, images: Sequence[Image.Image], others: Sequence[Image.Image]
) -> NDArray[np.float64] | None:
    """1 − cosine between the judge's features of pairs of images, (n,); None if the judge has no features."""
    ours, theirs = (features(judge, part) for part in (images, others))
    return None if ours is None or theirs is None else cosine_distances(ours, theirs)
