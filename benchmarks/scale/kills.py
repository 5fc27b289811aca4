"""kill −9 of workers at random moments: no cell is lost, none counts twice, and the study is that of no kill."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.scale.overhead import POLICY, SUITE, campaign_of
from benchmarks.scale.simulated import opened
from benchmarks.serving.line import Line
from benchmarks.serving.pool import Pool
from fair_diffusion.runs.occupations import POCKET, read_occupations
from fair_diffusion.runs.suite import draw_suite
from fair_diffusion.scale.driver import draw_campaign
from fair_diffusion.service.database import Database

KILLS, LONGEST, WORKERS, IMAGES = 20, 3.0, 2, 20


class Killed:
    """Workers of which one is killed again and again, for a driver. Another one takes its place."""

    def __init__(self, pool: Pool, database: Database, folder: Path, kills: int) -> None:
        self._pool, self._database, self._folder, self.left = pool, database, folder, kills
        self._moment, self._next = random.Random(0), 0.0

    def __enter__(self) -> Killed:
        self._workers = [self._start() for _ in range(WORKERS)]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            self._pool.stop(worker, signal.SIGTERM)

    def tend(self) -> None:
        """Kill one, if it is time."""
        if not self.left or time.monotonic() < self._next:
            return
        if self._next:
            self.left -= 1
            self._pool.stop(self._workers.pop(self._moment.randrange(WORKERS)), signal.SIGKILL)
            self._workers.append(self._start())
        self._next = time.monotonic() + LONGEST * self._moment.random()

    def _start(self) -> int:
        return self._pool.start(self._database, self._folder)


def measure(size: float) -> list[Line]:
    """A suite with kills, and the same without."""
    from fair_diffusion.pipeline import FairPipeline
    from fair_diffusion.policy import Policy

    pipe = FairPipeline.from_pretrained("pocket")
    options: dict[str, Any] = {"policy": Policy.from_sentence(POLICY["instruct"])}
    concepts, images, kills = list(read_occupations(POCKET)), max(2, round(IMAGES * size)), max(2, round(KILLS * size))
    pool = Pool("benchmarks.scale.pool")
    try:
        with TemporaryDirectory(prefix="fd-scale-") as name, opened(f"sqlite:///{name}/jobs.sqlite") as database:
            one, two = Path(name) / "one", Path(name) / "two"
            workers = Killed(pool, database, Path(name), kills)
            campaign = campaign_of(concepts, two, images)
            draw_campaign(campaign, database, workers)
            draw_suite(pipe, SUITE, concepts, one, images=images, options=options)
            expected, found = _study(one), _study(two)
    finally:
        pool.close()
    lost = len(expected.keys() - found.keys())
    doubled = max(0, campaign.there - images * len(concepts))
    both = [(labels, found[key]) for key, labels in expected.items() if key in found]
    other = sum(a[0] != b[0] or np.abs(a[1] - b[1]).max() > 1 for a, b in both)
    what = f"kill −9 of a worker at {kills - workers.left} random moments ({len(concepts)} cells of {images} images)"
    figure = f"{lost} images lost, {doubled} counted twice, {other} otherwise than without kills"
    fine = not lost and not doubled and not other and not workers.left
    return [Line(what=what, figure=figure, bar="0, 0 and 0", meets=fine)]


def _study(work: Path) -> dict[tuple[str, int], tuple[Any, Any]]:
    """For each image: what judge and perceiver read, and its pixels."""
    found = {}
    for table in work.glob("[!.]*/records.parquet"):
        for row in pq.read_table(table).to_pylist():
            pixels = np.asarray(Image.open(table.parent / f"image-{row['index']:05d}.png").convert("RGB"), dtype=int)
            found[table.parent.name, row["seed"]] = ((row["judged"], row["perceived"]), pixels)
    return found
