"""Workers of campaigns as processes on this machine, each with a GPU of its own where there are GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
import time

DATABASE = "FAIR_DIFFUSION_DATABASE"
"""The environment variable by which workers get the URL, which may hold a password."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
USAGE = 2
"""The exit code of a worker that cannot work at all."""
AGAIN = 0.5
"""Seconds before a worker that died is started again; each time twice as long."""
QUICK, MOST_QUICK = 60.0, 5
"""So many workers in a row that end with an error, within so many seconds of their start, end the campaign: the next
ones would most likely do so, too."""
GRACE = 20.0


class Processes:
    """Worker processes, as a context manager; its end stops them.

    Args:
        database: the URL.
        number: how many.
        grace: seconds in which they finish what they have at the end.

    Attributes:
        started: the ids of all processes, in the order in which they were started.
    """

    def __init__(self, database: str, number: int, *, grace: float = GRACE) -> None:
        self._database, self._number, self._grace = database, number, grace
        self.started: list[int] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._deaths, self._next = 0, 0.0
        self._began: dict[int, float] = {}  # by the id of the process
        self._quick = 0

    def __enter__(self) -> Processes:
        gpus = _gpus()
        self._places = [gpus[k % len(gpus)] if gpus else None for k in range(self._number)]
        self._processes = [self._start(place) for place in self._places]
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        until = time.monotonic() + self._grace + 5.0
        for process in self._processes:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def tend(self) -> None:
        """Start a worker anew in the place of one that died. `ValueError` if none can work at all."""
        for k, process in enumerate(self._processes):
            if (code := process.poll()) is None or time.monotonic() < self._next:
                continue
            ended_early = time.monotonic() - self._began.pop(process.pid) < QUICK
            self._quick = self._quick + 1 if code > 0 and ended_early else 0  # one that was killed is no such error
            if code == USAGE or self._quick >= MOST_QUICK:
                raise ValueError("a worker cannot work, and said why; mend that, and the same command goes on")
            self._deaths += 1
            self._next = time.monotonic() + min(30.0, AGAIN * 2**self._deaths)
            self._processes[k] = self._start(self._places[k])

    def _start(self, gpu: str | None) -> subprocess.Popen[bytes]:
        environment = {**os.environ, DATABASE: self._database, **({VISIBLE: gpu} if gpu is not None else {})}
        process = subprocess.Popen(self._command(), env=environment)
        self.started.append(process.pid)
        self._began[process.pid] = time.monotonic()
        return process

    def _command(self) -> list[str]:
        own = ["--parent", str(os.getpid()), "--grace", str(self._grace)]
        return [sys.executable, "-m", "fair_diffusion.cli", "worker", "--cells", *own]


def _gpus() -> list[str]:
    """The GPUs that this process may use, as the environment names them."""
    if VISIBLE in os.environ:
        return [name for name in os.environ[VISIBLE].split(",") if name]
    import torch

    return [str(k) for k in range(torch.cuda.device_count())]
