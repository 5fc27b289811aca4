"""Workers that are forked from a process which has loaded the model: one that is killed soon costs no seconds to start.

    pool = Pool(); worker = pool.start(database, data); pool.stop(worker, signal.SIGKILL); pool.close()

The process reads lines on standard input, URL and folder of images with a tab between; each starts a worker. It prints
the worker's process id, and when one ends "ended", its process id and its exit code. When standard input ends, it kills
what is left.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fair_diffusion.service.database import Database
from fair_diffusion.service.images import Images

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline

LEASE = 1.0
"""Seconds: what a killed worker leaves is claimed again soon."""
ATTEMPTS = 100
"""How many workers a job may cost: more than here are killed."""


class Pool:
    """Workers in processes of their own; `module` is what is run, and calls `forks`."""

    def __init__(self, module: str = "benchmarks.serving.pool") -> None:
        self._pool = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=Path(__file__).parents[2],
        )
        if self._line() != "loaded":
            raise OSError("the pool of workers did not start; see above")

    def _line(self) -> str:
        assert self._pool.stdout
        return self._pool.stdout.readline().strip()

    def start(self, database: Database, data: Path) -> int:
        """Start a worker; its process id."""
        assert self._pool.stdin
        self._pool.stdin.write(f"{database.url}\t{data}\n")
        return int(self._line())

    def stop(self, worker: int, sign: signal.Signals) -> int:
        """Send a signal to a worker, and wait for its end; its exit code."""
        os.kill(worker, sign)
        said, ended, code = self._line().split()
        assert (said, int(ended)) == ("ended", worker)
        return int(code)

    def close(self) -> None:
        """End what is left."""
        self._pool.communicate(timeout=30)


def forks(work: Callable[[FairPipeline, str, str], None]) -> None:
    """Start workers as asked, and end with the input; `work` prints its process id, and works until a signal."""
    import torch

    from fair_diffusion.pipeline import FairPipeline

    torch.set_num_threads(1)
    pipe = FairPipeline.from_pretrained("pocket")
    workers: set[int] = set()
    print("loaded", flush=True)
    while line := sys.stdin.readline():
        if (child := os.fork()) == 0:
            code = 1
            try:
                work(pipe, *line.rstrip("\n").split("\t"))
                code = 0
            finally:
                os._exit(code)
        workers.add(child)
        threading.Thread(target=_tell, args=(child,), daemon=True).start()
    for child in workers:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _tell(child: int) -> None:
    _, status = os.waitpid(child, 0)
    print(f"ended {child} {os.waitstatus_to_exitcode(status)}", flush=True)


def draw(pipe: FairPipeline, url: str, data: str) -> None:
    """Draw until SIGTERM; what is at hand is given back at once."""
    from fair_diffusion.service.worker import Worker, WorkerSettings

    database = Database(url, create=False)
    settings = WorkerSettings(lease=LEASE, grace=0.0, attempts=ATTEMPTS)
    worker = Worker(database, Images(database, Path(data)), pipe, settings)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    print(os.getpid(), flush=True)
    worker.run()


if __name__ == "__main__":
    forks(draw)
