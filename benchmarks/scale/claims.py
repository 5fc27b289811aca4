"""A thousand simulated workers on PostgreSQL: cells claimed and ended per second, heartbeats, and what follows.

Each worker holds a cell; a few threads act for all of them in turn, since a test machine has few cores and a server of
PostgreSQL 100 connections as it comes. A real worker keeps one open.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle

from benchmarks.postgres import postgres
from benchmarks.scale.simulated import IMAGES, opened
from benchmarks.serving.line import Line
from fair_diffusion.scale.campaign import Cell
from fair_diffusion.scale.cell_worker import BEAT
from fair_diffusion.scale.cells import KIND, MOST, Cells
from fair_diffusion.service.claims import LEASE, Claims
from fair_diffusion.service.database import Database
from fair_diffusion.service.job import Job

WORKERS, PROCESSES, THREADS, CELLS, SECONDS = 1000, 2, 4, 40_000, 1.0
FREE = 97
"""Connections of PostgreSQL as it comes: 100, of which 3 are kept back for its owner."""
DRIVER = 8
"""Connections that the command keeps."""
MOST_LOAD = 0.5
"""The share of what the database can do that a plan may ask of it."""


class Simulated:
    """Some of the workers, each with its own claims and a cell."""

    def __init__(self, database: Database, number: int) -> None:
        self._claims = [Claims(database, f"simulated {os.getpid()} {k}", lease=600.0) for k in range(number)]
        self._held: list[Job | None] = [None] * number
        self.done = 0

    def fill(self) -> None:
        """Each worker claims a cell."""
        for k, claims in enumerate(self._claims):
            self._held[k] = next(iter(claims.claim([KIND])), None)

    def turn(self, until: Callable[[], bool]) -> None:
        """Each worker in turn ends its cell and claims another one."""
        for k in cycle(range(len(self._claims))):
            if until():
                return
            job = self._held[k]
            if job is not None:
                self._claims[k].end(job, result={"n": IMAGES})
                self.done += 1
            self._held[k] = next(iter(self._claims[k].claim([KIND])), None)

    def beat(self, seconds: float) -> int:
        """Renew the lease of each worker in turn; how often that was done."""
        end, beats = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for k, claims in enumerate(self._claims):
                if (job := self._held[k]) is not None:
                    claims.renew([job])
                    beats += 1
        return beats


def measure(size: float) -> list[Line]:
    """The rates, and the plan for 1,000 GPUs."""
    cells = max(4 * WORKERS, round(CELLS * size))
    with postgres() as url, opened(url) as database:
        table = Cells(database, "campaign")
        start = time.perf_counter()
        for first in range(0, cells, MOST):
            table.put([Cell(name=str(first + k), images=IMAGES, told={"k": first + k}) for k in range(MOST)])
        puts = cells / (time.perf_counter() - start)
        claims, beats = _rates(url, seconds=max(10.0, 20.0 * size))
    asked = WORKERS / (IMAGES * SECONDS)
    looked = WORKERS / min(BEAT, LEASE / 3)
    load = asked / claims + looked / beats
    most = WORKERS * MOST_LOAD / load
    return [
        Line(
            what=f"cells claimed and ended by {WORKERS:,} simulated workers, PostgreSQL",
            figure=f"{claims:.0f} per second",
            bar=f"≥ {asked:.0f} per second",
            meets=claims >= asked,
        ),
        Line(what="heartbeats of cells, PostgreSQL", figure=f"{beats:.0f} per second"),
        Line(what="cells put by the driver, PostgreSQL", figure=f"{puts:.0f} per second"),
        Line(
            what=f"1,000 GPUs ask for {asked:.0f} cells and {looked:.0f} heartbeats a second: share of this database",
            figure=f"{100 * load:.0f} %",
            bar=f"≤ {100 * MOST_LOAD:.0f} %",
            meets=load <= MOST_LOAD,
        ),
        Line(what=f"GPUs at which {100 * MOST_LOAD:.0f} % of this database are asked for", figure=f"{most:,.0f}"),
        Line(
            what=f"GPUs for which the {FREE} connections of PostgreSQL as it comes are enough",
            figure=f"{FREE - DRIVER}",
        ),
    ]


def _rates(url: str, seconds: float) -> tuple[float, float]:
    """Claims and heartbeats per second, of all processes together."""
    pipes = []
    for _ in range(PROCESSES):
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(reading)
            try:
                claims, beats = _process(url, seconds)
                os.write(writing, f"{claims} {beats}".encode())
            finally:
                os._exit(0)
        os.close(writing)
        pipes.append(reading)
    told = []
    for pipe in pipes:
        with os.fdopen(pipe) as said:
            told.append([float(word) for word in said.read().split()])
        os.wait()
    return sum(claims for claims, _ in told), sum(beats for _, beats in told)


def _process(url: str, seconds: float) -> tuple[float, float]:
    """The rates of one process."""
    with opened(url) as database:
        own = [Simulated(database, WORKERS // (PROCESSES * THREADS)) for _ in range(THREADS)]
        _together([each.fill for each in own])
        end = time.monotonic() + seconds
        start = time.perf_counter()
        _together([partial(each.turn, lambda: time.monotonic() > end) for each in own])
        claims = sum(each.done for each in own) / (time.perf_counter() - start)
        beats: list[int] = []
        start = time.perf_counter()
        _together([partial(_note, beats, each, seconds / 2) for each in own])
        return claims, sum(beats) / (time.perf_counter() - start)


def _note(beats: list[int], each: Simulated, seconds: float) -> None:
    beats.append(each.beat(seconds))


def _together(works: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
