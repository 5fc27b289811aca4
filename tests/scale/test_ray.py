"""Campaigns on a real local Ray, which is started once: actors draw, and one that dies is replaced.

On two processors Ray takes up to a minute to start, and sometimes fails: it is tried twice.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fair_diffusion.cli import app
from fair_diffusion.cli.serving_ray import serve_on_ray
from fair_diffusion.runs.suite import Suite
from fair_diffusion.scale import ray_actors
from fair_diffusion.scale.cell_worker import CellSettings
from fair_diffusion.scale.driver import draw_campaign
from fair_diffusion.scale.ray_actors import RayActors
from fair_diffusion.scale.ray_serve import READY
from fair_diffusion.scale.suites import SuiteCampaign
from fair_diffusion.service.database import Database
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.serving import prepared
from fair_diffusion.service.settings import Settings

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
    os.environ[READY] = "120"
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


@pytest.mark.usefixtures("ray")
def test_a_service_on_serve_answers_as_it_does_without(tmp_path: Path) -> None:
    """The API is the ingress and a replica draws; keys, queue and ledger are those of the database."""
    policy = tmp_path / "fair.yaml"
    policy.write_text("version: 1\nrules: [{every: occupation, targets: {gender: {woman: 50%, man: 50%}}}]")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    settings = Settings.read(data=tmp_path / "data", port=port, policy=policy, grace=1.0)
    server, secret = prepared(settings)
    answers: dict[str, Any] = {}

    def ask(address: str) -> None:
        with httpx2.Client(base_url=address, timeout=120) as client:
            answers["health"] = client.get("/health").status_code
            body = {"prompt": "a photo of a nurse", "fairness": {"steps": 2}}
            answers["without a key"] = client.post("/v1/images/generations", json=body)
            client.headers["Authorization"] = f"Bearer {secret}"
            until = time.monotonic() + 120
            while client.get("/v1/models").json()["data"] == [] and time.monotonic() < until:
                time.sleep(0.5)
            answers["drawn"] = client.post("/v1/images/generations", json={**body, "n": 2})
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        serve_on_ray(settings, {}, ask, gpus=0.0)
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    assert answers["health"] == 200
    assert answers["without a key"].status_code == 401
    drawn = answers["drawn"]
    assert drawn.status_code == 200, drawn.text
    assert len(drawn.json()["data"]) == 2
    assert sum(row.asked for row in DatabaseLedger(server.database).rows()) == 2
    server.close()
