"""Workers for tests: each line on standard input, URL and folder of images with a tab between, starts one.

The model is loaded once, and workers are forked from it. A worker prints its process id. When one ends, the pool prints
"ended", its process id and its exit code. When standard input ends, the pool kills what is left.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import torch

from fair_diffusion import FairPipeline
from fair_diffusion.service.database import Database
from fair_diffusion.service.images import Images
from fair_diffusion.service.worker import Worker, WorkerSettings


def work(pipe: FairPipeline, url: str, data: str) -> None:
    """Draw until SIGTERM; what is at hand is given back at once."""
    database = Database(url, create=False)
    worker = Worker(database, Images(database, Path(data)), pipe, WorkerSettings(lease=1.0, grace=0.0))
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    print(os.getpid(), flush=True)
    worker.run()


def main() -> None:
    """Start workers as asked, and end with the input."""
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


if __name__ == "__main__":
    main()
