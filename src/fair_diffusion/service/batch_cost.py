"""What a step costs one image, by the size of the batch: measured when a worker starts, to find the size that pays.

Where the network is bound by arithmetic, a larger batch makes an image no cheaper: it only takes memory, and lets
whoever waits wait longer.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from fair_diffusion.backbones import Guide, advance, begin

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline

PAYS = 0.05
"""A larger batch must make an image so much cheaper, as a share."""
TIMES = 3
"""How often each size is tried, one after the other and not all at once: other programs slow all of them down alike."""
LONGEST = 20.0
"""Seconds after which nothing more is tried."""


@dataclass(frozen=True)
class BatchCost:
    """What was measured.

    Attributes:
        seconds: seconds of one step for one image, by the size of the batch.
        peak: bytes of memory at most while measuring.
    """

    seconds: dict[int, float]
    peak: int

    @property
    def best(self) -> int:
        """The smallest batch of which no larger one makes an image cheaper by a share of `PAYS`."""
        least = min(self.seconds.values())
        return min(size for size, seconds in self.seconds.items() if seconds * (1 - PAYS) <= least)


def measured(pipe: FairPipeline, most: int, *, memory: float | None = None) -> BatchCost:
    """Draw a step with batches of 1, 2, 4 … images, after one that warms up.

    Args:
        pipe: the model.
        most: images in one batch at most.
        memory: bytes that may be taken; a size that takes more is the last one, and does not count.
    """
    best: dict[int, float] = {}
    start, peak, sizes = time.monotonic(), 0, list(_sizes(most))
    for again in range(TIMES):
        for size in sizes if again == 0 else list(best):
            try:
                seconds = _step(pipe, size, 1 if again else 2) / size
            except torch.OutOfMemoryError:
                if not best:
                    raise
                break
            used = _used(pipe)
            if size not in best and best and memory is not None and used > memory:
                break
            best[size], peak = min(seconds, best.get(size, seconds)), max(peak, used)
            if time.monotonic() - start > LONGEST:
                return BatchCost(best, peak)
    return BatchCost(best, peak)


def _sizes(most: int) -> Iterator[int]:
    size = 1
    while size < most:
        yield size
        size *= 2
    yield most


@torch.no_grad()
def _step(pipe: FairPipeline, size: int, steps: int) -> float:
    """Seconds of the last one of so many first steps of a batch: those before it warm up."""
    backbone = pipe.backbone
    plain = backbone.encode(["a photo"] * size) if backbone.reads_text else backbone.empty()[[0] * size]
    guide = Guide(plain, backbone.empty()[[0] * size], pipe.card.guidance)
    seconds = 0.0
    for _ in range(steps):
        batch = begin(backbone, range(size), seeds=range(size), steps=pipe.card.steps)
        start = time.perf_counter()
        float(advance(batch, guide, until=1).latents.sum())  # waits for the accelerator
        seconds = time.perf_counter() - start
    return seconds


def _used(pipe: FairPipeline) -> int:
    """Bytes of memory at most so far, of the accelerator if the model is on one."""
    device = pipe.backbone.device
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
