"""Workers of campaigns that are forked from a process which has loaded the model: see `benchmarks.serving.pool`."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from benchmarks.serving.pool import ATTEMPTS, LEASE, forks
from fair_diffusion.scale.cell_worker import CellSettings, CellWorker
from fair_diffusion.service.database import Database

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline


def draw(pipe: FairPipeline, url: str, _: str) -> None:
    """Draw cells until SIGTERM; what is at hand is given back at once."""
    settings = CellSettings(lease=LEASE, grace=0.0, attempts=ATTEMPTS)
    worker = CellWorker(Database(url, create=False, keep_open=1), settings, load=lambda _: pipe)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    print(os.getpid(), flush=True)
    worker.run()


if __name__ == "__main__":
    forks(draw)
