"""Cells that are slept through, a campaign of such cells, and workers that draw them: no model, no pictures."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fair_diffusion.runs.format import RESULT
from fair_diffusion.scale.campaign import Cell, Told
from fair_diffusion.scale.cell_worker import CellSettings, CellWorker
from fair_diffusion.scale.driver import draw_campaign
from fair_diffusion.service.database import Database

IMAGES = 50
"""Of one cell."""


class Sleep:
    """Draws a cell by sleeping; writes an empty part if the campaign has a work folder."""

    together = 1

    def __init__(self, told: Told) -> None:
        self._seconds = float(told.get("seconds", 0.0))
        self._work = Path(told["work"]) if told.get("work") else None

    def draw(self, cells: Iterator[Cell], on_step: Callable[[Any], None]) -> Iterator[tuple[Cell, Told]]:
        """Sleep for each cell."""
        for cell in cells:
            time.sleep(self._seconds)
            on_step(None)
            if self._work is not None:
                (self._work / cell.name).mkdir(parents=True, exist_ok=True)
                (self._work / cell.name / RESULT).write_text(json.dumps({"n": cell.images}))
            yield cell, {}


class Planned:
    """So many cells that are slept through for so many seconds each. Nothing of them is kept."""

    kind, work, store = "suite", Path(), None

    def __init__(self, cells: int, seconds: float) -> None:
        self._cells, self._seconds, self._next = cells, seconds, 0
        self.whole, self.there = cells * IMAGES, 0

    @property
    def waiting(self) -> bool:
        """Whether there are more."""
        return self._next < self._cells

    def told(self) -> Told:
        """How long a cell takes."""
        return {"seconds": self._seconds, "loading": {"model": "none"}, "cells": self._cells}

    def missing(self) -> Iterator[Cell]:
        """The next cells."""
        while self.waiting:
            self._next += 1
            yield Cell(name=str(self._next), images=IMAGES, told={})

    def visible(self, cell: Told) -> bool:
        """There is nothing to be seen."""
        return True

    def arrived(self, cell: Told, result: Told) -> None:
        """Count it."""
        self.there += IMAGES


class Sleepers:
    """Simulated workers in processes of their own, each of some threads, for a driver."""

    def __init__(self, url: str, processes: int, threads: int = 1) -> None:
        self._url, self._processes, self._threads = url, processes, threads
        self._children: list[int] = []

    def __enter__(self) -> Sleepers:
        for _ in range(self._processes):
            if (child := os.fork()) == 0:
                try:
                    _work(self._url, self._threads)
                finally:
                    os._exit(0)
            self._children.append(child)
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)

    def tend(self) -> None:
        """None of them dies."""


def _work(url: str, threads: int) -> None:
    database = Database(url, create=False)
    own: dict[str, Any] = {"load": lambda _: None, "open_drawer": lambda kind, told, pipe: Sleep(told)}
    workers = [CellWorker(database, CellSettings(grace=0.0), **own) for _ in range(threads)]

    def stop(*_: object) -> None:
        for worker in workers:
            worker.stop()

    signal.signal(signal.SIGTERM, stop)
    running = [threading.Thread(target=worker.run) for worker in workers]
    for thread in running:
        thread.start()
    for thread in running:
        while thread.is_alive():  # a signal handler runs in the main thread, so that it must not wait for long
            thread.join(0.2)


def pace(cells: int, seconds: float, *, workers: int) -> float:
    """Seconds from cell to cell, from when the first ones arrive: what it takes to start does not count."""
    arrivals: list[tuple[float, int]] = []

    def note(done: int, _: int | None) -> None:
        if done and (not arrivals or arrivals[-1][1] != done):
            arrivals.append((time.perf_counter(), done))

    with TemporaryDirectory(prefix="fd-scale-") as folder, opened(f"sqlite:///{folder}/jobs.sqlite") as database:
        draw_campaign(Planned(cells, seconds), database, Sleepers(database.url, workers), progress=note)
    (first, early), (last, late) = arrivals[0], arrivals[-1]
    return (last - first) * IMAGES / (late - early)


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """A database, closed at the end."""
    database = Database(url)
    try:
        yield database
    finally:
        database.close()
