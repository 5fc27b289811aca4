"""Campaigns on a real local Ray, which is started once: actors draw, and one that dies is replaced.

On two processors Ray takes up to a minute to start, and sometimes fails: it is tried twice.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fair_diffusion.cli import app
from fair_diffusion.runs.suite import Suite
from fair_diffusion.scale import ray_actors
from fair_diffusion.scale.cell_worker import CellSettings
from fair_diffusion.scale.driver import draw_campaign
from fair_diffusion.scale.ray_actors import RayActors
from fair_diffusion.scale.suites import SuiteCampaign
from fair_diffusion.service.database import Database

pytestmark = [
    pytest.mark.ray,
    # Ray's own, at its end and in threads of its own
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CONCEPTS = ["nurse", "mechanic", "judge"]
POLICY = {"instruct": "every occupation: half women"}


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A Ray of this machine, which actors of this process join."""
    os.environ["RAY_raylet_start_wait_time_s"] = "120"  # noqa: SIM112  (Ray spells it so)
    import ray as library

    started = {"num_cpus": 4, "include_dashboard": False, "object_store_memory": 100 * 2**20, "log_to_driver": False}
    try:
        library.init(**started)
    except Exception:  # whatever it was: a busy machine
        library.shutdown()
        library.init(**started)
    yield library
    library.shutdown()


def campaign_of(work: Path, **told: Any) -> SuiteCampaign:
    suite = Suite(model="pocket", steps=2, guidance=2.0, policy="half", method="switch")
    size = {"images": 4, **told}
    return SuiteCampaign(suite, CONCEPTS, work, policy=POLICY, options={}, loading={"model": "pocket"}, **size)


def pictures(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    files = folder.glob("[!.]*/image-*.png")
    return {f"{path.parent.name}/{path.name}": np.asarray(Image.open(path), dtype=int) for path in files}


@pytest.mark.usefixtures("ray")
def test_actors_draw_the_study_that_one_process_draws(tmp_path: Path) -> None:
    run = CliRunner()
    (tmp_path / "o.txt").write_text("\n".join(CONCEPTS))
    asked = ["audit-suite", "--suite", str(tmp_path / "o.txt"), "-n", "3", "--steps", "2", "--json"]
    asked += ["--instruct", "every occupation: half women"]
    alone = run.invoke(app, [*asked, "--work", str(tmp_path / "one")])
    many = run.invoke(app, [*asked, "--work", str(tmp_path / "two"), "--cluster", "auto", "--workers", "2"])
    assert many.exit_code in (0, 3), many.output
    assert json.loads(many.stdout)["lines"] == json.loads(alone.stdout)["lines"]
    one, two = pictures(tmp_path / "one"), pictures(tmp_path / "two")
    assert one.keys() == two.keys()
    assert max(np.abs(one[name] - two[name]).max() for name in one) <= 1


def test_an_actor_that_dies_is_replaced_and_its_cell_is_drawn_once(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_actors, "LOOK", 0.2)
    database = Database(tmp_path / "jobs.sqlite")
    killed: list[int] = []

    class Killing(RayActors):
        def tend(self) -> None:
            super().tend()
            if not killed and campaign.there == 0 and _claimed(database):
                actor = next(iter(self._actors.values()))
                killed.append(ray.get(actor.pid.remote()))
                os.kill(killed[0], signal.SIGKILL)

    campaign = campaign_of(tmp_path / "work", images=20)
    workers = Killing("auto", database.url, 1, settings=CellSettings(lease=2.0, attempts=100, grace=5.0))
    draw_campaign(campaign, database, workers)
    assert killed
    assert campaign.there == 20 * len(CONCEPTS)
    assert len(pictures(tmp_path / "work")) == 20 * len(CONCEPTS)
    database.close()


def _claimed(database: Database) -> bool:
    from fair_diffusion.service.jobs import Jobs

    return bool(Jobs(database).counts().get(("cell", "running")))


def test_as_many_actors_as_there_is_room_for(ray: Any, tmp_path: Path) -> None:
    database = Database(tmp_path / "jobs.sqlite")
    with RayActors("auto", database.url) as actors:
        assert actors.size == int(ray.cluster_resources()["CPU"]) == 4
    assert actors.size == 0
    database.close()
