"""The Slurm file, run by a plain shell as Slurm would run it: its workers draw a suite that a driver asks for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from fair_diffusion.runs.suite import Suite
from fair_diffusion.scale.driver import draw_campaign
from fair_diffusion.scale.suites import SuiteCampaign
from fair_diffusion.service.database import Database

ARRAY = Path(__file__).parents[2] / "deploy" / "fair-diffusion.sbatch"


class Array:
    """Two tasks of the array."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __enter__(self) -> Array:
        program = self._home / "bin" / "fair-diffusion"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m fair_diffusion.cli "$@"\n')
        program.chmod(0o755)
        own = {"HOME": str(self._home), "PATH": f"{program.parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        self.tasks = [subprocess.Popen(["bash", str(ARRAY)], env={**os.environ, **own}) for _ in range(2)]
        return self

    def __exit__(self, *_: object) -> None:
        for task in self.tasks:
            task.send_signal(signal.SIGTERM)
        self.codes = [task.wait(timeout=300) for task in self.tasks]

    def tend(self) -> None:
        assert any(task.poll() is None for task in self.tasks)


def test_the_tasks_of_an_array_draw_a_suite(tmp_path: Path) -> None:
    database = Database(tmp_path / "jobs.sqlite")
    (tmp_path / "fair-diffusion.environment").write_text(f"FAIR_DIFFUSION_DATABASE={tmp_path / 'jobs.sqlite'}\n")
    suite = Suite(model="pocket", steps=2, guidance=2.0)
    campaign = SuiteCampaign(
        suite, ["nurse", "judge"], tmp_path / "work", images=2, policy={}, options={}, loading={"model": "pocket"}
    )
    array = Array(tmp_path)
    draw_campaign(campaign, database, array)
    assert campaign.there == 4
    assert len(list((tmp_path / "work").glob("*/image-*.png"))) == 4
    assert array.codes == [0, 0]
    database.close()
