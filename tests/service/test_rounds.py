"""Rounds of a worker: jobs that come while others are drawn join them, and nobody waits for a stream without an end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from untrained import pipe_of

from fair_diffusion.service import drawing
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.images import Images
from fair_diffusion.service.job import Job
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.worker import Worker, WorkerSettings
from fair_diffusion.service.worker_kind import kind_of


def put(jobs: Jobs, seed: int, *, lane: str = "one", **given: Any) -> Job:
    body = DrawBody(prompt="a doctor", n=1, seed=seed, steps=4, guidance=2.0, method="none")
    return jobs.put(kind_of("tiny"), body.stored(), lane=lane, **given)[0]


class Stepping:
    """A worker in a thread, which does something at its first steps."""

    def __init__(self, database: Database, place: Path, pipe: Any) -> None:
        self.worker = Worker(database, Images(database, place), pipe, WorkerSettings(batch=2, linger=0.0))
        self.at: dict[int, Any] = {}
        self.seen: list[tuple[int, ...]] = []
        stepped = self.worker._figures.stepped

        def first(info: Any) -> None:
            stepped(info)
            self.seen.append(tuple(info.images))
            self.at.get(len(self.seen), lambda: None)()

        self.worker._figures.stepped = first  # type: ignore[method-assign]

    def until_over(self, jobs: Jobs, wanted: list[Job]) -> list[Job]:
        """The jobs when all have ended."""
        thread, waiting = threading.Thread(target=self.worker.run), threading.Event()
        thread.start()
        try:
            for _ in range(2400):
                if all(jobs.get(job.id).over for job in wanted):
                    break
                waiting.wait(0.05)
        finally:
            self.worker.stop()
            thread.join()
        return [jobs.get(job.id) for job in wanted]


def test_a_job_that_comes_meanwhile_joins_the_round(tiny_sd: Any, tmp_path: Path) -> None:
    """The images of a round are numbered on: a round of its own would begin with 0 again."""
    database = Database(tmp_path / "s.sqlite")
    jobs, stepping = Jobs(database), Stepping(database, tmp_path, pipe_of(tiny_sd))
    wanted = [put(jobs, 1)]
    stepping.at[2] = lambda: wanted.append(put(jobs, 2))
    ended = stepping.until_over(jobs, wanted)
    assert [job.state for job in ended] == ["done", "done"]
    assert stepping.seen == [(0,)] * 4 + [(1,)] * 4
    database.close()


def test_the_round_of_a_long_stream_lets_others_have_their_turn(
    tiny_sd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each job of the stream puts the next one; one of another lane is put behind the second one."""
    monkeypatch.setattr(drawing, "ROUND", 1)
    database = Database(tmp_path / "s.sqlite")
    jobs, stepping = Jobs(database), Stepping(database, tmp_path, pipe_of(tiny_sd))
    wanted = [put(jobs, 0, key="a")]

    def more(lane: str, key: str) -> None:
        wanted.append(put(jobs, len(wanted), lane=lane, key=key))

    for k in range(6):
        stepping.at[4 * k + 2] = lambda: more("one", "a")
    stepping.at[4 * 1 + 3] = lambda: more("another", "b")
    ended = stepping.until_over(jobs, wanted)
    while len(wanted) < 8 or not all(job.state == "done" for job in ended):
        ended = [jobs.get(job.id) for job in wanted]
    other = next(job for job in ended if job.lane == "another")
    assert sum(job.ended < other.ended for job in ended if job.ended and other.ended) <= 4
    database.close()


def test_who_is_next(database: Database) -> None:
    jobs, claims = Jobs(database), Claims(database, "worker")
    assert claims.next(["x", "y"]) is None
    jobs.put("y", {}, lane="early")
    jobs.put("x", {}, lane="late")
    jobs.put("x", {}, lane="urgent", priority=1)
    assert claims.next(["x", "y"]) == ("x", "urgent")
    assert claims.next(["y", "x"]) == ("x", "urgent")
    assert claims.next(["y"]) == ("y", "early")
    (lost,) = Claims(database, "dies", lease=0.001).claim(["y"])
    threading.Event().wait(0.05)
    claims.sweep()
    assert jobs.get(lost.id).state == "queued"
    assert claims.next(["y"]) is None  # it is claimed alone
