"""The same suite by one process, and by the driver with one worker process: what the database and the driver cost."""

from __future__ import annotations

import signal
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.scale.simulated import opened
from benchmarks.serving.line import Line
from benchmarks.serving.pool import Pool
from fair_diffusion.runs.occupations import POCKET, read_occupations
from fair_diffusion.runs.suite import Suite, draw_suite
from fair_diffusion.scale.driver import draw_campaign
from fair_diffusion.scale.suites import SuiteCampaign
from fair_diffusion.service.database import Database

IMAGES, CONCEPTS, STEPS, ROUNDS = 50, 8, 8, 3
SUITE = Suite(model="pocket", policy="half", method="switch", steps=STEPS, guidance=2.0)
POLICY = {"instruct": "every occupation: half women"}


class Forked:
    """One worker of a pool, which has loaded the model, for a driver."""

    def __init__(self, pool: Pool, database: Database, folder: Path) -> None:
        self._pool, self._database, self._folder = pool, database, folder

    def __enter__(self) -> Forked:
        self._worker = self._pool.start(self._database, self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.stop(self._worker, signal.SIGTERM)

    def tend(self) -> None:
        """It does not die."""


def campaign_of(concepts: list[str], work: Path, images: int) -> SuiteCampaign:
    """The suite as a campaign."""
    loading = {"model": "pocket"}
    return SuiteCampaign(SUITE, concepts, work, images=images, policy=POLICY, options={}, loading=loading)


def measure(size: float) -> list[Line]:
    """The median of the ratio, in rounds that take turns."""
    import torch

    from fair_diffusion.pipeline import FairPipeline
    from fair_diffusion.policy import Policy

    torch.set_num_threads(1)
    pipe = FairPipeline.from_pretrained("pocket")
    options: dict[str, Any] = {"policy": Policy.from_sentence(POLICY["instruct"])}
    concepts = list(read_occupations(POCKET))[:CONCEPTS]
    images = max(2, round(IMAGES * size))
    ratios, alone, pool = [], [], Pool("benchmarks.scale.pool")
    try:
        for _ in range(ROUNDS):
            with TemporaryDirectory(prefix="fd-scale-") as name:
                folder = Path(name)
                start = time.perf_counter()
                draw_suite(pipe, SUITE, concepts, folder / "one", images=images, options=options)
                alone.append(time.perf_counter() - start)
                with opened(f"sqlite:///{folder}/jobs.sqlite") as database:
                    campaign = campaign_of(concepts, folder / "two", images)
                    start = time.perf_counter()
                    draw_campaign(campaign, database, Forked(pool, database, folder))
                    ratios.append((time.perf_counter() - start) / alone[-1])
    finally:
        pool.close()
    ratio = statistics.median(ratios) - 1
    of = f"{CONCEPTS * images} images of {STEPS} steps, {ROUNDS} rounds"
    what = f"driver and one worker process against one process ({of})"
    figure = f"{100 * ratio:+.1f} % ({statistics.median(alone):.0f} s alone)"
    return [Line(what=what, figure=figure, bar="≤ 8 %", meets=ratio <= 0.08)]
