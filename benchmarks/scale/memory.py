"""The memory of the driver: a suite of a thousand to a million planned cells, of which the first ones are drawn.

python -m benchmarks.scale.memory URL WORK PLANNED DRAWN     → its peak in bytes (used by `measure`)
"""

from __future__ import annotations

import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.scale.simulated import IMAGES, Sleepers, opened
from benchmarks.serving.line import Line
from fair_diffusion.runs.suite import Suite
from fair_diffusion.scale.driver import Elsewhere, draw_campaign
from fair_diffusion.scale.suites import SuiteCampaign

PLANNED, DRAWN = (1_000, 10_000, 100_000, 1_000_000), 8_000
PER_CONCEPT = 250
"""Cells of one occupation."""


def drive(url: str, work: str, planned: int, drawn: int) -> None:
    """Drive a suite until so many cells are drawn, and print the peak of this process's memory."""
    concepts = [f"worker {k}" for k in range(max(1, planned // PER_CONCEPT))]
    images = IMAGES * planned // len(concepts)
    suite = Suite(model="none")
    campaign = SuiteCampaign(
        suite, concepts, Path(work), images=images, policy={}, options={}, loading={"model": "none"}
    )

    def enough(done: int, whole: int | None) -> None:
        if done >= drawn * IMAGES:
            raise KeyboardInterrupt

    with opened(url) as database, suppress(KeyboardInterrupt):
        draw_campaign(campaign, database, Elsewhere(), progress=enough)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def measure(size: float) -> list[Line]:
    """The peak for each number of planned cells."""
    peaks = {}
    for planned in PLANNED:
        with TemporaryDirectory(prefix="fd-scale-") as folder:
            url = f"sqlite:///{folder}/jobs.sqlite"
            with opened(url), Sleepers(url, 1, threads=2):
                told = [url, f"{folder}/work", str(planned), str(min(planned, round(DRAWN * size)))]
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.scale.memory", *told], capture_output=True, text=True, check=True
                )
        peaks[planned] = int(done.stdout)
    growth = peaks[PLANNED[-1]] / peaks[PLANNED[0]] - 1
    figures = ", ".join(f"{planned:,}: {peak / 2**20:.0f} MiB" for planned, peak in peaks.items())
    what = f"peak memory of the driver by planned cells (at most {round(DRAWN * size):,} drawn, by simulated workers)"
    figure = f"{figures}; {100 * growth:+.1f} %"
    return [Line(what=what, figure=figure, bar="flat: within 5 %", meets=growth <= 0.05)]


if __name__ == "__main__":
    drive(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
