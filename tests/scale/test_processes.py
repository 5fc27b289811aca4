"""Worker processes of this machine: each has its GPU, one that dies is replaced, and none outlives the driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fair_diffusion.scale import processes
from fair_diffusion.scale.processes import Processes

WORKS = "import time; time.sleep(600)"


class Stubs(Processes):
    """Processes that run a line of Python each."""

    line = WORKS

    def _command(self) -> list[str]:
        return [sys.executable, "-c", self.line]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "AGAIN", 0.01)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def tended(workers: Processes, until: int) -> None:
    """Tend them until so many processes were started."""
    end = time.monotonic() + 60
    while len(workers.started) < until and time.monotonic() < end:
        workers.tend()
        time.sleep(0.01)
    assert len(workers.started) == until


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_that_dies_is_replaced_and_the_end_stops_all() -> None:
    with Stubs("sqlite:///x", 2) as workers:
        first = list(workers.started)
        os.kill(first[0], signal.SIGKILL)
        tended(workers, 3)
        assert alive(first[1])
        assert alive(workers.started[2])
    assert not any(alive(pid) for pid in workers.started)


def test_one_that_cannot_work_at_all_ends_the_campaign() -> None:
    class Wrong(Stubs):
        line = "raise SystemExit(2)"

    with Wrong("sqlite:///x", 1) as workers:
        os.waitid(os.P_PID, workers.started[0], os.WEXITED | os.WNOWAIT)
        with pytest.raises(ValueError, match="a worker cannot work, and said why"):
            workers.tend()


def test_workers_that_all_end_with_an_error_at_once_end_the_campaign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as by a library that cannot be loaded: else they would be started for ever."""

    class Broken(Stubs):
        line = "raise SystemExit(1)"

    with Broken("sqlite:///x", 2) as workers, pytest.raises(ValueError, match="a worker cannot work"):
        tended(workers, 1000)
    assert len(workers.started) == 2 + processes.MOST_QUICK - 1
    monkeypatch.setattr(processes, "QUICK", 0.0)  # each of them worked for a while
    with Broken("sqlite:///x", 2) as workers:
        tended(workers, 2 * processes.MOST_QUICK)


def test_workers_that_are_killed_are_started_again_however_often() -> None:
    class Killed(Stubs):
        line = "import os; os.kill(os.getpid(), 9)"

    with Killed("sqlite:///x", 1) as workers:
        tended(workers, 2 * processes.MOST_QUICK)


def test_each_gets_a_gpu_and_the_url_by_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Telling(Stubs):
        line = (
            "import os, pathlib, time; n = os.environ; "
            f"pathlib.Path({str(tmp_path)!r}, str(os.getpid())).write_text("
            "n['CUDA_VISIBLE_DEVICES'] + ' ' + n['FAIR_DIFFUSION_DATABASE']); time.sleep(600)"
        )

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    with Telling("postgresql+psycopg://secret@x/y", 3) as workers:
        files = [tmp_path / str(pid) for pid in workers.started]
        while not all(file.is_file() and file.read_text() for file in files):
            time.sleep(0.01)
        assert [file.read_text().split() for file in files] == [
            [gpu, "postgresql+psycopg://secret@x/y"] for gpu in ("4", "6", "4")
        ]


def test_workers_end_when_the_driver_is_killed(tmp_path: Path) -> None:
    """As the real command: it looks whether its parent is there."""
    script = f"""
import subprocess, sys, os, time
words = ["worker", "--cells", "--parent", str(os.getpid()), "--database", {str(tmp_path / "jobs.sqlite")!r}]
worker = subprocess.Popen([sys.executable, "-m", "fair_diffusion.cli", *words])
print(worker.pid, flush=True)
time.sleep(600)
"""
    driver = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    worker = int(driver.stdout.readline())
    while not (tmp_path / "jobs.sqlite").exists():
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    driver.stdout.close()
    end = time.monotonic() + 120
    while alive(worker) and time.monotonic() < end:
        time.sleep(0.1)
    assert not alive(worker)
