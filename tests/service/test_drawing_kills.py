"""Workers that draw and die: by SIGKILL at some moments, and by SIGTERM. No image is lost, and none counts twice."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from benchmarks.serving.kills import survived
from benchmarks.serving.pool import Pool
from fair_diffusion.service.database import Database
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.images import Images
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.policies import Policies
from fair_diffusion.service.tables import jobs as table
from fair_diffusion.service.tables import turns
from fair_diffusion.service.worker_kind import kind_of

POLICY = "version: 1\nrules:\n  - concepts: [nurse]\n    targets:\n      gender: {woman: 1/2, man: 1/2}\n"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    made.close()


def put(database: Database, n: int, *, steps: int) -> str:
    version = Policies(database).add(POLICY)
    asked = DrawBody(
        prompt="a photo of a nurse",
        n=n,
        seed=7,
        steps=steps,
        guidance=2.0,
        method="prompt",
        policy=version.version,
        partials=2,
    )
    job, _ = Jobs(database).put(kind_of("pocket"), asked.stored(), key="k", lane=f"{steps}", images=n)
    return job.id


def until(true: Callable[[], Any]) -> None:
    for _ in range(3000):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it does not come")


def counted(database: Database) -> int:
    return sum(row.asked for row in DatabaseLedger(database).rows())


def test_what_killed_workers_leave_is_drawn_by_others_and_counts_once(
    database: Database, pool: Pool, tmp_path: Path
) -> None:
    jobs = Jobs(database)
    asked = [put(database, n, steps=20) for n in (1, 2, 3)]
    at: list[Callable[[], Any]] = [
        lambda: jobs.get(asked[0]).state == "running",  # just claimed
        lambda: jobs.events(asked[0]) or jobs.get(asked[0]).over,  # on its way
    ]
    for moment in at:
        worker = pool.start(database, tmp_path)
        until(moment)
        assert pool.stop(worker, signal.SIGKILL) == -signal.SIGKILL
    last = pool.start(database, tmp_path)
    until(lambda: all(jobs.get(job).over for job in asked))
    assert pool.stop(last, signal.SIGTERM) == 0
    assert [jobs.get(job).state for job in asked] == ["done"] * 3
    assert counted(database) == 6
    files = [image["file"] for job in asked for image in (jobs.get(job).result or {})["images"]]
    assert len(files) == 6
    for file in files:
        assert Images(database, tmp_path).get(file, key="k")[1] == "image/png"
    with database.reading() as connection:
        assert connection.execute(select(turns)).all() == []
        assert max(connection.scalars(select(table.c.attempts))) >= 2


def test_a_worker_that_is_to_end_gives_its_jobs_back_with_their_turns(
    database: Database, pool: Pool, tmp_path: Path
) -> None:
    jobs = Jobs(database)
    job = put(database, 8, steps=60)
    worker = pool.start(database, tmp_path)
    until(lambda: jobs.events(job))
    assert pool.stop(worker, signal.SIGTERM) == 0
    found = jobs.get(job)
    assert (found.state, found.attempts, counted(database)) == ("queued", 0, 0)
    with database.reading() as connection:
        assert connection.scalars(select(turns.c.job)).all() == [job]


def test_kills_at_random_moments_lose_nothing_and_double_nothing(
    database: Database, pool: Pool, tmp_path: Path
) -> None:
    left = survived(database, tmp_path, pool, kills=3, longest=1.5)
    assert (left.done, left.lost, left.doubled) == (left.jobs, 0, 0)
