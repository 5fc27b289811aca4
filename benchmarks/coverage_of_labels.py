"""Coverage of shares as people would see them, over several concepts of which people have labelled some images.

Each function yields the coverage in one setting after the other, as those of `benchmarks.coverage`, which writes their
table. The truth is the share of all images of all concepts that people would see.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.statistics.prediction_powered import Stratum, predict, predict_strata

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
CONCEPTS = 20


def _drawn(
    shares: Array, labelled: Counts, images: Counts, right: float, runs: int, rng: np.random.Generator
) -> tuple[Counts, Counts]:
    """Pairs of labels, shape (runs, concepts, 4), and what the machine saw in the other images, (runs, concepts).

    Which concept has which share is drawn anew in each run, if all concepts have as many images.
    """
    p = np.tile(shares, (runs, 1))
    if np.ptp(images) == 0:
        p = rng.permuted(p, axis=1)
    pairs = np.stack([p * right, p * (1 - right), (1 - p) * (1 - right), (1 - p) * right], axis=-1)
    return rng.multinomial(labelled, pairs), rng.binomial(images - labelled, pairs[..., 0] + pairs[..., 2])


def pooled(runs: int) -> Iterator[tuple[str, float]]:
    """Labels added up over concepts, as if the images of all of them had been drawn together."""
    rng = np.random.default_rng(0)
    shares, images = np.linspace(0.02, 0.98, CONCEPTS), np.full(CONCEPTS, 200)
    some = {
        "labels of 3 of 20 concepts": np.where(np.arange(CONCEPTS) < 3, 30, 0),
        "60 labels of 3 concepts, 5 of the others": np.where(np.arange(CONCEPTS) < 3, 60, 5),
    }
    for name, labelled in some.items():
        for right in (0.9, 0.98):
            pairs, seen = _drawn(shares, labelled, images, right, runs, rng)
            held = 0
            for (a, b, c, d), other in zip(pairs.sum(axis=1).tolist(), seen.sum(axis=1).tolist(), strict=True):
                found = predict((a, b, c, d), other, int((images - labelled).sum()))
                held += found.low <= float(shares.mean()) <= found.high
            yield f"{name}, machine right {right:.0%}", held / runs


def stratified(runs: int) -> Iterator[tuple[str, float]]:
    """Each concept weighs as much as it has images."""
    rng = np.random.default_rng(1)
    even = np.full(CONCEPTS, 200)
    spread, halves = np.linspace(0.02, 0.98, CONCEPTS), np.full(CONCEPTS, 0.5)
    uneven = np.where(np.arange(CONCEPTS) < 3, 60, 5)
    sizes = np.resize([40, 400, 1_000], CONCEPTS)
    settings = [
        ("60 labels of 3 concepts, 5 of the others", spread, uneven, even),
        ("5 labels of each, shares spread", spread, np.full(CONCEPTS, 5), even),
        ("10 labels of each, shares spread", spread, np.full(CONCEPTS, 10), even),
        ("10 labels of each, all one half", halves, np.full(CONCEPTS, 10), even),
        ("30 labels of each, shares spread", spread, np.full(CONCEPTS, 30), even),
        ("5 to 30 labels, 40 to 1,000 images", spread, np.resize([5, 15, 30], CONCEPTS), sizes),
    ]
    for name, shares, labelled, images in settings:
        rest = (images - labelled).tolist()
        for right in (0.9, 0.98):
            truth = float(np.average(shares, weights=images))
            pairs, seen = _drawn(shares, labelled, images, right, runs, rng)
            held = 0
            for counts, others in zip(pairs.tolist(), seen.tolist(), strict=True):
                found = predict_strata(
                    [Stratum((a, b, c, d), o, n) for (a, b, c, d), o, n in zip(counts, others, rest, strict=True)]
                )
                held += found.low <= truth <= found.high
            yield f"{name}, machine right {right:.0%}", held / runs
