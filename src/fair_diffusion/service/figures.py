"""How long the parts of a worker's work take, and how much memory it took at most. `metrics.py` shows it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fair_diffusion.backbones import StepInfo

TIMES = {
    "step": "a denoising step of a batch, with the partial images that it showed",
    "decode": "from the last step of a batch to its images, decoded and read by perceiver and judge",
    "upstream": "an image of the upstream server, from the request to its file",
    "ledger": "until the turns of the jobs of a batch were taken from the ledger",
}
"""What is timed, and what it is."""
WAITS = {
    "queue": "from the request to a worker",
    "draw": "from a worker to the end of the job",
    "first_partial": "from the request to the first partial image",
}
"""What is timed of a job, once, by the worker that ends it."""
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""Bounds of the buckets in which they are counted."""
MEMORY = ("host", "accelerator")
"""Where memory is counted."""


class Figures:
    """The figures of one worker. Another thread may read them."""

    def __init__(self) -> None:
        self._times = dict.fromkeys(TIMES, (0, 0.0))
        self._waits = {name: [0.0] * (2 + len(SECONDS)) for name in WAITS}
        self._lock = threading.Lock()
        self._batch: tuple[int, ...] = ()
        self._step, self._at, self._last = -1, 0.0, False

    def took(self, name: str, seconds: float) -> None:
        """Count that a part of the work, of `TIMES`, took so long once."""
        with self._lock:
            count, total = self._times[name]
            self._times[name] = count + 1, total + seconds

    def waited(self, name: str, seconds: float) -> None:
        """Count that something of `WAITS` took so long for a job."""
        seconds = max(0.0, seconds)
        one = [1.0, seconds, *(float(seconds <= bound) for bound in SECONDS)]
        with self._lock:
            self._waits[name] = [before + more for before, more in zip(self._waits[name], one, strict=True)]

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """Count how long a block takes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.took(name, time.perf_counter() - start)

    def stepped(self, info: StepInfo) -> None:
        """A batch made a step. Its first one is not timed, because nobody knows when it began."""
        self.read()
        now, batch = time.perf_counter(), tuple(info.images)
        if (batch, info.step) == (self._batch, self._step + 1):
            self.took("step", now - self._at)
        self._batch, self._step, self._at, self._last = batch, info.step, now, info.step + 1 == info.steps

    def read(self) -> None:
        """What comes after the images of a batch were read has begun."""
        if self._last:
            self.took("decode", time.perf_counter() - self._at)
            self._last = False

    def stored(self) -> dict[str, list[float]]:
        """As plain data: for each of `TIMES` how often and how many seconds in all; bytes by the place of `MEMORY`.

        For each of `WAITS` how often, how many seconds in all, and how often up to each bound of `SECONDS`."""
        from resource import RUSAGE_SELF, getrusage

        import torch  # a server that only shows figures loads neither

        unit = 1 if sys.platform == "darwin" else 1024
        found = {"host": [float(getrusage(RUSAGE_SELF).ru_maxrss * unit)]}
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            found["accelerator"] = [float(torch.cuda.max_memory_allocated())]
        with self._lock:
            times = {name: list(counted) for name, counted in self._times.items()}
            return {**times, **{name: list(counted) for name, counted in self._waits.items()}, **found}
