"""Clients that wait for their jobs, go away and come back: no image is drawn a second time for one of them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import select, update

from fair_diffusion.service import attendance as module
from fair_diffusion.service.attendance import Attendance
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.comebacks import BACK, attend, come_back, forsaken, give_up, leave
from fair_diffusion.service.database import Database, DatabaseError, now
from fair_diffusion.service.job import Job
from fair_diffusion.service.jobs import Jobs, digest_of
from fair_diffusion.service.tables import jobs as table

DIGEST = digest_of("draw", {"prompt": "nurse"})


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


@pytest.fixture
def claims(database: Database) -> Claims:
    return Claims(database, "worker")


def put(jobs: Jobs, *, waits: bool = True) -> Job:
    return jobs.put("draw", {"prompt": "nurse"}, key="k", waits=waits)[0]


def back(jobs: Jobs, digest: str = DIGEST, *, key: str = "k", within: float = BACK) -> tuple[str | None, bool]:
    job, at_work = come_back(jobs.database, key, [digest], within=within)
    return None if job is None else job.id, at_work


def left_ago(jobs: Jobs, job: Job) -> float | None:
    """Seconds since the client of a job is gone; None if nobody waits for it, or may come back."""
    with jobs.database.looking() as connection:
        ago = connection.scalar(select(now() - table.c.left).where(table.c.id == job.id))
    return None if ago is None else float(ago)


def move(jobs: Jobs, job: Job, ago: float) -> None:
    """Let the client of a job be gone for so long, as that of a server that was killed."""
    with jobs.database.writing() as connection:
        connection.execute(update(table).where(table.c.id == job.id).values(left=now() - ago))


def until(holds: Any) -> None:
    """Wait until a condition holds, 60 seconds at most."""
    waiting = threading.Event()
    for _ in range(1200):
        if holds():
            return
        waiting.wait(0.05)
    raise AssertionError("it did not come true")


def test_a_client_comes_back_for_the_job_that_it_left_once(jobs: Jobs) -> None:
    job = put(jobs)
    assert back(jobs) == (None, True)  # its client is there
    first = leave(jobs.database, job.id)
    assert first is not None
    assert back(jobs, key="other") == (None, False)
    assert back(jobs, digest_of("draw", {"prompt": "cook"})) == (None, False)
    assert back(jobs, within=0) == (None, True)
    assert back(jobs) == (job.id, False)
    assert back(jobs) == (None, True)
    give_up(jobs.database, job.id, first)  # it is not left any more
    assert jobs.get(job.id).state == "queued"
    leave(jobs.database, job.id)
    give_up(jobs.database, job.id, first)  # who waited the first time does not know that it came back and left again
    assert jobs.get(job.id).state == "queued"
    assert back(jobs)[0] == job.id
    second = leave(jobs.database, job.id)
    assert second is not None
    give_up(jobs.database, job.id, second)
    assert jobs.get(job.id).state == "cancelled"


def test_a_server_that_vanished_has_left_its_jobs(jobs: Jobs) -> None:
    job = put(jobs)
    move(jobs, job, 0.1)
    there = come_back(jobs.database, "k", [DIGEST], within=BACK, but=[job.id])
    assert there == (None, True)  # it did not vanish, but was late to say so
    assert back(jobs) == (job.id, False)
    assert back(jobs) == (None, True)


def test_the_job_of_a_client_that_missed_its_answer_is_given_and_none_that_has_none(jobs: Jobs, claims: Claims) -> None:
    for state in ("done", "failed", "cancelled"):
        job = put(jobs)
        claims.end(claims.claim(["draw"])[0], state)
        leave(jobs.database, job.id)
        assert back(jobs)[0] == (job.id if state == "done" else None), state
        attend(jobs.database, [], [job.id])
    job = put(jobs)
    claims.claim(["draw"])
    leave(jobs.database, job.id)
    jobs.cancel(job.id)
    assert back(jobs) == (None, True)  # it will be cancelled at its next step


def test_a_job_whose_answer_was_given_is_nobodys(jobs: Jobs, claims: Claims) -> None:
    job = put(jobs)
    claims.end(claims.claim(["draw"])[0])
    assert back(jobs) == (None, True)
    attend(jobs.database, [], [job.id])
    assert left_ago(jobs, job) is None
    assert leave(jobs.database, job.id) is None
    assert back(jobs) == (None, False)
    put(jobs, waits=False)  # of a client that asks for its state
    assert leave(jobs.database, job.id) is None


def test_a_request_that_names_no_model_finds_its_job_whichever_was_meant(jobs: Jobs) -> None:
    told = {"prompt": "nurse"}
    job, _ = jobs.put("draw b", {"prompt": "nurse", "seed": 1}, key="k", asked=told, waits=True)
    leave(jobs.database, job.id)
    digests = [digest_of(kind, told) for kind in ("draw a", "draw b")]
    assert come_back(jobs.database, "k", digests[:1], within=BACK) == (None, False)
    found, _ = come_back(jobs.database, "k", digests, within=BACK)
    assert found is not None
    assert found.id == job.id


def test_jobs_of_servers_that_vanished_are_given_up_unless_somebody_is_there_after_all(
    jobs: Jobs, claims: Claims
) -> None:
    waiting, running, lately, there = (put(jobs) for _ in range(4))
    (claimed,) = claims.claim(["draw"])
    assert claimed.id == waiting.id
    for job in (waiting, running, there):
        move(jobs, job, 3 * BACK)
    move(jobs, lately, BACK)
    found = forsaken(jobs.database)
    assert {job for job, _ in found} == {waiting.id, running.id, there.id}
    assert forsaken(jobs.database) == []
    attend(jobs.database, [there.id])  # its server only could not write
    for job_id, left in found:
        give_up(jobs.database, job_id, left)
    shown = {job.id: jobs.get(job.id).shown for job in (waiting, running, lately, there)}
    assert list(shown.values()) == ["cancelling", "cancelled", "queued", "queued"]


def test_who_waits_is_attended_to_until_the_answer(jobs: Jobs) -> None:
    attendance, job = Attendance(jobs.database), put(jobs)
    with attendance.waiting(job.id, back=True):
        for _ in range(2):
            move(jobs, job, 1.0)
            until(lambda: (left_ago(jobs, job) or 0.0) < 0)
    until(lambda: left_ago(jobs, job) is None)
    assert jobs.get(job.id).state == "queued"
    attendance.close()


def test_who_goes_away_may_come_back_for_a_while(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACK", 3600.0)
    attendance, job = Attendance(jobs.database), put(jobs)
    with pytest.raises(RuntimeError), attendance.waiting(job.id, back=True):
        raise RuntimeError
    until(lambda: (left_ago(jobs, job) or -1.0) >= 0)
    assert jobs.get(job.id).state == "queued"
    with attendance.waiting(job.id, back=True):
        until(lambda: (left_ago(jobs, job) or 0.0) < 0)
    monkeypatch.setattr(module, "BACK", 0.2)
    assert jobs.get(job.id).state == "queued"
    with pytest.raises(RuntimeError), attendance.waiting(job.id, back=True):
        raise RuntimeError
    until(lambda: jobs.get(job.id).state == "cancelled")
    attendance.close()


def test_who_does_not_come_back_has_no_job_any_more(jobs: Jobs) -> None:
    attendance, job = Attendance(jobs.database), put(jobs)
    with pytest.raises(RuntimeError), attendance.waiting(job.id, back=False):
        raise RuntimeError
    until(lambda: jobs.get(job.id).state == "cancelled")
    attendance.close()


def test_two_that_wait_for_one_job_do_not_leave_it_for_each_other(jobs: Jobs) -> None:
    attendance, job = Attendance(jobs.database), put(jobs)
    with attendance.waiting(job.id, back=True):
        with pytest.raises(RuntimeError), attendance.waiting(job.id, back=False):
            raise RuntimeError
        move(jobs, job, 1.0)
        until(lambda: (left_ago(jobs, job) or 0.0) < 0)
        assert jobs.get(job.id).state == "queued"
    attendance.close()


def test_what_the_database_does_not_take_is_told_again(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = 2

    def failing(database: Database, job: str) -> float | None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise DatabaseError("it starts again")
        return leave(database, job)

    monkeypatch.setattr(module, "leave", failing)
    monkeypatch.setattr(module, "BACK", 0.2)
    attendance, job = Attendance(jobs.database), put(jobs)
    with pytest.raises(RuntimeError), attendance.waiting(job.id, back=True):
        raise RuntimeError
    until(lambda: jobs.get(job.id).state == "cancelled")
    assert failures == -1
    attendance.close()


def test_the_last_ones_are_noted_at_the_end(jobs: Jobs) -> None:
    attendance, job = Attendance(jobs.database), put(jobs)
    with pytest.raises(RuntimeError), attendance.waiting(job.id, back=True):
        raise RuntimeError
    attendance.close()
    assert 0 <= (left_ago(jobs, job) or -1.0) < 60
    assert back(jobs) == (job.id, False)


def test_a_job_that_is_tried_again_waits_for_nobody(jobs: Jobs) -> None:
    """Whoever waited for it before is gone, so nobody cancels it for that."""
    job = put(jobs)
    assert left_ago(jobs, job) is not None
    jobs.cancel(job.id)
    jobs.retry(job.id)
    assert left_ago(jobs, job) is None


def test_a_job_that_is_just_written_holds_up_nobody_who_attends(jobs: Jobs, claims: Claims) -> None:
    if not jobs.database.postgres:
        pytest.skip("SQLite has one writer at a time: there is no row to wait for")
    held, free = put(jobs), put(jobs)
    for each in (held, free):
        move(jobs, each, 30.0)
    with jobs.database.writing() as connection:
        connection.execute(update(table).where(table.c.id == held.id).values(progress={"step": 1}))
        attend(jobs.database, {held.id, free.id})
        assert left_ago(jobs, held) == pytest.approx(30.0, abs=10.0)
        assert (left_ago(jobs, free) or 0.0) < 0.0
        move(jobs, free, 30.0)
        assert [job for job, _ in forsaken(jobs.database)] == [free.id]
    attend(jobs.database, {held.id})
    assert (left_ago(jobs, held) or 0.0) < 0.0


def test_one_that_comes_back_while_it_is_given_up_keeps_its_job(jobs: Jobs) -> None:
    job = put(jobs)
    left = leave(jobs.database, job.id)
    assert left is not None
    assert back(jobs) == (job.id, False)
    give_up(jobs.database, job.id, left)
    assert jobs.get(job.id).state == "queued"
    again = leave(jobs.database, job.id)
    assert again is not None
    give_up(jobs.database, job.id, again)
    assert jobs.get(job.id).state == "cancelled"
    assert left_ago(jobs, job) is None
