"""The peak memory of a piece of work, with the model. Exports `peak_memory` and `MEMORY`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

import psutil
import torch

MEMORY = {
    "cuda": "the most that torch had allocated on the GPU, the model included",
    "cpu": "the largest resident size of the whole process, the model included, looked at 50 times a second",
}
"""What is measured, by the type of the device; other devices are measured like a CPU."""

_EVERY = 0.02


@dataclass
class Peak:
    """The peak so far.

    Attributes:
        device: the device.
        resident: the largest resident size of the process, in bytes; used for devices other than GPUs.
    """

    device: torch.device
    resident: int = 0

    @property
    def bytes(self) -> int:
        """The peak in bytes."""
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else self.resident


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Watch the memory of a device while the context lasts."""
    peak = Peak(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        return
    stop = Event()
    watcher = Thread(target=_watch, args=(peak, stop), daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        stop.set()
        watcher.join()


def _watch(peak: Peak, stop: Event) -> None:
    process = psutil.Process()
    while True:
        peak.resident = max(peak.resident, process.memory_info().rss)
        if stop.wait(_EVERY):
            peak.resident = max(peak.resident, process.memory_info().rss)
            return
