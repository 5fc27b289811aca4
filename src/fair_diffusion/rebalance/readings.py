"""What perceiver and judge read in the originals and in the moved pictures, batch by batch.

Only the perceiver's readings decide which images move. The judge's readings are for the results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from fair_diffusion.control.assignments import Shares
from fair_diffusion.control.twins import feature_distances
from fair_diffusion.files.picture_batches import BATCH, picture_batches
from fair_diffusion.files.text import printable
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.perception.probabilities import probabilities
from fair_diffusion.perception.vocabulary import shares
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import Attributes
from fair_diffusion.rebalance.originals import Original
from fair_diffusion.statistics.distance import pixel_differences

Progress = Callable[[str, float, float], None]
"""Called with the name of the task, the number of images that are done, and the number of all images."""

Readings = dict[str, list[Reading]]
"""One reading per image, by attribute."""


@dataclass
class Seen:
    """Images that could be opened, and the readings of them.

    Attributes:
        images: the originals.
        shares: the perceiver's probabilities.
        perceived: the perceiver's readings.
        judged: the judge's readings.
        distances: distances of moved images to their originals, by place: the mean absolute difference of pixels in
            0…1, and 1 − cosine of the judge's features (None if it has none).
    """

    images: list[Original]
    shares: Shares
    perceived: Readings
    judged: Readings
    distances: dict[int, tuple[float, float | None]] = field(default_factory=dict)


def read_originals(
    pipe: FairPipeline, images: Sequence[Original], broken: list[str], progress: Progress, defined: Attributes
) -> Seen:
    """Read the originals. A line for each original that cannot be opened is added to `broken`."""
    parts: list[Shares] = []
    seen = Seen([], {}, {}, {})
    for batch in picture_batches(images, lambda image: image.path, lambda image: image.name):
        broken += [printable(f"{image.name}: {error}") for image, error in batch.broken]
        seen.images += [image for image, _ in batch.opened]
        pictures = [picture for _, picture in batch.opened]
        if pictures:
            parts.append(shares(pipe.perceiver, probabilities(pipe.perceiver, pictures), defined))
            for known, reader in ((seen.perceived, pipe.perceiver), (seen.judged, pipe.judge)):
                for name, readings in reader.read(pictures).items():
                    known.setdefault(name, []).extend(readings)
        progress("reading", batch.done, len(images))
    seen.shares = {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}
    return seen


@torch.no_grad()
def read_moved(pipe: FairPipeline, before: Seen, moved: Mapping[int, Path]) -> Seen:
    """Read the images as they are now.

    Args:
        pipe: the model with its readers.
        before: the readings of the originals; they hold for images that did not move.
        moved: the files of the moved pictures, by place.
    """
    now = Seen(
        before.images,
        before.shares,
        {name: list(row) for name, row in before.perceived.items()},
        {name: list(row) for name, row in before.judged.items()},
    )
    for start in range(0, len(moved), BATCH):
        places = list(moved)[start : start + BATCH]
        originals, pictures = [before.images[i].open() for i in places], []
        for i in places:
            with Image.open(moved[i]) as picture:
                pictures.append(picture.convert("RGB"))
        for known, reader in ((now.perceived, pipe.perceiver), (now.judged, pipe.judge)):
            for name, row in reader.read(pictures).items():
                for i, reading in zip(places, row, strict=True):
                    known[name][i] = reading
        pixels = pixel_differences(pictures, originals)[:, 0]
        cosines = feature_distances(pipe.judge, pictures, originals)
        apart = [None] * len(places) if cosines is None else cosines.tolist()
        now.distances |= {i: (float(far), away) for i, far, away in zip(places, pixels, apart, strict=True)}
    return now
