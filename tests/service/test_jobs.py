"""Jobs: put once, claimed by one, ended once; what a dead worker leaves, and what its lease and token forbid."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from fair_diffusion.policy import Cell
from fair_diffusion.policy.target import uniform
from fair_diffusion.service.claims import Claims, Ended
from fair_diffusion.service.database import Database, DatabaseError, now
from fair_diffusion.service.fair_order import start
from fair_diffusion.service.holding import Holding
from fair_diffusion.service.job import IdempotencyError, Job, LostError, UnknownJobError
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.limits import LimitError, Limits
from fair_diffusion.service.signals import Signals
from fair_diffusion.service.streams import Counted, Wanted
from fair_diffusion.service.tables import jobs as table
from fair_diffusion.service.tables import turns
from fair_diffusion.service.writes import QUEUE

HALF = uniform("gender")


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


@pytest.fixture
def claims(database: Database) -> Claims:
    return Claims(database, "worker 1")


@pytest.fixture
def other(database: Database) -> Claims:
    return Claims(database, "worker 2")


def put(jobs: Jobs, text: str = "nurse", **given: Any) -> Job:
    return jobs.put("draw", {"prompt": text}, **given)[0]


def claim(claims: Claims, **given: Any) -> list[Job]:
    return claims.claim(["draw"], **given)


def texts(found: list[Job]) -> list[str]:
    return [job.body["prompt"] for job in found]


def reserve(claims: Claims, job: Job, n: int = 1) -> Any:
    return claims.reserve(job, rule="nurse", target=HALF, n=n, model="pocket")


def shown(turn: Any) -> Counted:
    cells = [cell for cell, quota in zip(turn.target.shares, turn.quotas, strict=True) for _ in range(quota)]
    return Counted(turn, cells, cells, cells)


def die(database: Database, worker: str = "worker 1") -> None:
    """Let the leases of a worker run out, by the database's clock."""
    with database.writing() as connection:
        connection.execute(update(table).where(table.c.worker == worker).values(lease=now() - 0.01))


def test_a_job_goes_through_its_states(jobs: Jobs, claims: Claims) -> None:
    job = put(jobs, key="k", images=4)
    assert (job.state, job.attempts, job.over, jobs.ahead(job)) == ("queued", 0, False, 0)
    (mine,) = claim(claims)
    assert (mine.id, mine.state, mine.worker, mine.attempts, mine.body) == (
        *(job.id, "running", "worker 1", 1),
        {"prompt": "nurse"},
    )
    assert mine.began is not None
    assert mine.began >= job.created
    claims.progress(mine, {"step": 3})
    assert jobs.get(job.id).progress == {"step": 3}
    assert claims.event(mine, "partial", {"image": "ab"}) == 1
    claims.end(mine, result={"images": ["ab"]})
    ended = jobs.get(job.id)
    assert (ended.state, ended.result, ended.over, ended.worker) == ("done", {"images": ["ab"]}, True, None)
    assert ended.expires is not None
    assert ended.ended is not None
    assert ended.expires - ended.ended == pytest.approx(24 * 3600, abs=1)
    assert [(event.number, event.kind) for event in jobs.events(job.id)] == [(1, "partial"), (2, "done")]
    assert [event.kind for event in jobs.events(job.id, after=1)] == ["done"]
    assert claim(claims) == []


def test_the_same_idempotency_key_gives_the_same_job_once(jobs: Jobs, claims: Claims) -> None:
    body = {"prompt": "nurse", "n": 1}
    first, new = jobs.put("draw", body, key="k", idempotency="a")
    again, repeated = jobs.put("draw", dict(reversed(body.items())), key="k", idempotency="a")
    assert (new, repeated, again.id) == (True, False, first.id)
    with pytest.raises(IdempotencyError, match="use a new one"):
        jobs.put("draw", body | {"n": 2}, key="k", idempotency="a")
    assert jobs.put("draw", body, key="another", idempotency="a")[1]
    claims.end(claim(claims)[0], result={"x": 1})
    assert jobs.put("draw", body, key="k", idempotency="a")[0].result == {"x": 1}
    assert len(jobs.newest()) == 2


def test_a_failure_that_may_have_passed_is_no_answer_to_the_same_idempotency_key(
    jobs: Jobs, claims: Claims, database: Database
) -> None:
    few = Limits(images_per_minute=2, queued=1)
    job = put(jobs, key="k", idempotency="a", images=2, limits=few)
    (mine,) = claim(claims)
    reserve(claims, mine, 2)
    claims.end(mine, "failed", reason="slow down", result={"upstream": {"status": 429, "message": "slow down"}})
    again = put(jobs, key="k", idempotency="a", images=2, limits=few)  # its images counted when it was put
    assert (again.id, again.state, again.result, again.attempts) == (job.id, "queued", None, 0)
    assert put(jobs, key="k", idempotency="a", images=2, limits=few) == again  # it waits, and is put once
    (mine,) = claim(claims)
    claims.end(mine, result={"x": 1}, counted=[shown(reserve(claims, mine, 2))])
    assert put(jobs, key="k", idempotency="a", images=2, limits=few).result == {"x": 1}
    assert {(row.n, row.pending) for row in DatabaseLedger(database).rows()} == {(2, 0)}


def test_a_failure_is_tried_again_only_where_there_is_room(jobs: Jobs, claims: Claims) -> None:
    job = put(jobs, key="k", idempotency="a")
    claims.end(claim(claims)[0], "failed", result={"upstream": {"status": 503}})
    put(jobs, key="k")
    with pytest.raises(LimitError, match="1 jobs of this key wait"):
        put(jobs, key="k", idempotency="a", limits=Limits(queued=1))
    assert jobs.get(job.id).state == "failed"


@pytest.mark.parametrize(
    "result",
    [None, {"wrong_request": True}, {"upstream": {"status": 400}}, {"upstream": {"status": 502, "retry": False}}],
)
def test_a_failure_that_stays_is_the_answer_to_the_same_idempotency_key(
    jobs: Jobs, claims: Claims, result: dict[str, Any] | None
) -> None:
    put(jobs, key="k", idempotency="a")
    claims.end(claim(claims)[0], "failed", reason="no", result=result)
    assert put(jobs, key="k", idempotency="a").state == "failed"


def test_a_request_that_names_no_model_is_the_same_one_when_another_is_usual(jobs: Jobs) -> None:
    asked = {"prompt": "nurse"}
    job, _ = jobs.put("draw a", {"seed": 1}, key="k", idempotency="x", asked=asked)
    assert jobs.put("draw b", {"seed": 2}, key="k", idempotency="x", asked=asked) == (job, False)
    with pytest.raises(IdempotencyError):
        jobs.put("draw b", {"seed": 2}, key="k", idempotency="x", asked={**asked, "model": "b"})


def test_one_idempotency_key_at_once_makes_one_job(url: str) -> None:
    def putting(k: int) -> str:
        database = Database(url)
        job = Jobs(database).put("draw", {"prompt": "nurse"}, key="k", idempotency="a")[0]
        database.close()
        return job.id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(putting, range(12)))) == 1


def test_each_job_is_claimed_by_one_worker(url: str) -> None:
    database = Database(url)
    for k in range(60):
        put(Jobs(database), str(k))
    database.close()

    def work(name: int) -> list[str]:
        own = Database(url)
        mine: list[str] = []
        while found := claim(Claims(own, f"worker {name}"), most=3):
            mine += texts(found)
        own.close()
        return mine

    with ThreadPoolExecutor(4) as pool:
        drawn = [text for part in pool.map(work, range(4)) for text in part]
    assert sorted(drawn, key=int) == [str(k) for k in range(60)]


def test_a_batch_is_of_one_lane_and_in_the_fair_order(jobs: Jobs, claims: Claims) -> None:
    for text, lane in (("a", "small"), ("b", "large"), ("c", "small"), ("d", "small"), ("e", "large")):
        put(jobs, text, lane=lane)
    assert texts(claim(claims, most=2)) == ["a", "c"]
    assert texts(claim(claims, most=8, lane="large")) == ["b", "e"]
    assert texts(claim(claims, most=8)) == ["d"]


def test_higher_priorities_go_first_and_kinds_are_one_queue(jobs: Jobs, claims: Claims) -> None:
    for kind, text, given in (
        ("cell", "a", {}),
        ("draw", "b", {"cost": 3.0}),
        ("draw", "d", {}),
        ("cell", "c", {}),
        ("draw", "soon", {"priority": 5}),
    ):
        jobs.put(kind, {"prompt": text}, key=kind, **given)
        time.sleep(0.002)  # SQLite's clock tells milliseconds apart
    for kinds in (["draw", "cell"], ["cell", "draw"]):
        assert claims.next(kinds) == ("draw", "")
    order = [texts(claims.claim(["draw", "cell"] if k % 2 else ["cell", "draw"]))[0] for k in range(5)]
    assert order == ["soon", "a", "b", "c", "d"]  # starts 0, 0, 1 and 3
    assert claims.claim(["draw", "cell"]) == []


def test_keys_share_by_cost_whoever_asked_first(jobs: Jobs, claims: Claims) -> None:
    """Key a asks for 60 jobs of cost 1 at once, then b for 20 of cost 2, then c for 10 of cost 4."""
    costs = {"a": 1.0, "b": 2.0, "c": 4.0}
    for key, n in (("a", 60), ("b", 20), ("c", 10)):
        for k in range(n):
            put(jobs, f"{key}{k}", key=key, cost=costs[key])
    served: Counter[str] = Counter()
    for _ in range(50):
        (job,) = claim(claims)
        served[job.key] += int(job.cost)
        if served["c"] < 40 and served["b"] < 40:
            assert max(served.values()) - min(served[key] for key in costs) <= 6  # two jobs: 2 + 4
    assert served == {"a": 29, "b": 28, "c": 28}


def test_a_key_that_asks_one_by_one_gets_its_share_and_no_more(jobs: Jobs, claims: Claims) -> None:
    for k in range(200):
        put(jobs, f"a{k}", key="a")
    served: Counter[str] = Counter()
    put(jobs, "b", key="b", cost=10.0)
    for _ in range(88):
        (job,) = claim(claims)
        served[job.key] += int(job.cost)
        claims.end(job)
        if job.key == "b":
            put(jobs, "b", key="b", cost=10.0)
    assert abs(served["a"] - served["b"]) <= 11


def test_idle_keys_gain_no_credit(jobs: Jobs, claims: Claims) -> None:
    for k in range(40):
        put(jobs, f"a{k}", key="a")
    while claim(claims):
        pass
    for k in range(20):
        put(jobs, f"a{k}", key="a")
        put(jobs, f"b{k}", key="b")
    assert abs(Counter(job.key for _ in range(20) for job in claim(claims))["b"] - 10) <= 1


def test_cancelled_jobs_do_not_count_against_their_key(jobs: Jobs, claims: Claims) -> None:
    cancelled = [put(jobs, f"a{k}", key="a") for k in range(50)]
    for job in cancelled:
        assert jobs.cancel(job.id).state == "cancelled"
    for k in range(10):
        put(jobs, f"b{k}", key="b")
        put(jobs, f"a{k}", key="a")
    assert Counter(job.key for _ in range(10) for job in claim(claims)) == {"a": 5, "b": 5}


def test_a_dead_workers_job_is_done_by_another_with_the_same_turn(
    jobs: Jobs, claims: Claims, other: Claims, database: Database
) -> None:
    job = put(jobs)
    (mine,) = claim(claims)
    turn = reserve(claims, mine)
    assert claim(other) == []
    die(database)
    other.sweep()
    (theirs,) = claim(other)
    assert (theirs.id, theirs.attempts, theirs.token) == (job.id, 2, mine.token + 1)
    assert reserve(other, theirs) == turn
    for write in (
        lambda: claims.progress(mine, {}),
        lambda: claims.event(mine, "x", {}),
        lambda: reserve(claims, mine),
        lambda: claims.end(mine, counted=[shown(turn)]),
    ):
        with pytest.raises(LostError, match="not this worker's"):
            write()
    assert claims.renew([mine]) == {}
    claims.release([mine])
    assert jobs.get(job.id).state == "running"
    other.end(theirs, counted=[shown(turn)])
    rows = DatabaseLedger(database).rows()
    assert [(sum(row.asked for row in rows), sum(row.pending for row in rows))] == [(1, 0)]


def test_who_comes_back_before_another_claims_goes_on(jobs: Jobs, claims: Claims, database: Database) -> None:
    job = put(jobs)
    (mine,) = claim(claims)
    die(database)
    assert claims.renew([mine]) == {job.id: False}
    claims.end(mine)
    assert jobs.get(job.id).state == "done"


def test_a_job_that_kills_its_worker_three_times_fails_with_its_reason(
    jobs: Jobs, claims: Claims, database: Database
) -> None:
    job = put(jobs)
    for _ in range(3):
        (mine,) = claim(claims)
        turn = reserve(claims, mine)
        die(database)
        claims.sweep()
    ended = jobs.get(job.id)
    assert (ended.state, ended.reason) == ("failed", "its worker died or stopped answering, 3 times")
    assert not any(row.pending for row in DatabaseLedger(database).rows())
    assert not DatabaseLedger(database).settle(turn, assigned=[], perceived=[], judged=[])
    assert jobs.events(job.id)[-1].data == {"reason": ended.reason}


def test_the_one_that_kills_is_found_and_the_others_live(jobs: Jobs, claims: Claims, database: Database) -> None:
    names = ["a", "killer", "b", "c"]
    for name in names:
        put(jobs, name)
    for _ in range(20):
        if not (found := claim(claims, most=4)):
            break
        if "killer" in texts(found):
            die(database)
            claims.sweep()
        else:
            for job in found:
                claims.end(job)
    assert {job.body["prompt"]: job.state for job in jobs.newest()} == dict.fromkeys(names, "done") | {
        "killer": "failed"
    }


def test_turn_result_and_end_come_together_or_not_at_all(
    jobs: Jobs, claims: Claims, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = put(jobs)
    (mine,) = claim(claims)
    turn = reserve(claims, mine, 2)
    with pytest.raises(ValueError, match="not JSON compliant"):
        claims.end(mine, result={"share": float("nan")}, counted=[shown(turn)])
    assert jobs.get(job.id).state == "running"
    assert {(row.n, row.pending > 0) for row in DatabaseLedger(database).rows() if row.share} == {(0, True)}
    claims.end(mine, result={"share": 0.5}, counted=[shown(turn)])
    assert {(row.n, row.pending) for row in DatabaseLedger(database).rows()} == {(2, 0)}


def test_what_ends_together_keeps_its_own_result_and_as_much_of_its_body_as_is_said(
    jobs: Jobs, claims: Claims, other: Claims, database: Database
) -> None:
    for text in "abcd":
        put(jobs, text)
    held = claim(claims, most=4)
    wanted = [Wanted(rule="nurse", target=HALF, n=1, model="pocket", job=job.id) for job in held]
    turns = claims.reserve_all(held, wanted)
    with database.writing() as connection:
        connection.execute(update(table).where(table.c.id == held[0].id).values(lease=now() - 1))
    (stolen,) = claim(other)
    counted = [[shown(turn) for turn in turns[job.id]] for job in held]
    ends = [Ended(job, result={"of": job.body["prompt"]}, counted=counted[k]) for k, job in enumerate(held)]
    ends[1] = replace(ends[1], body={"prompt": ""})
    assert claims.end_all(ends) == {job.id for job in held} - {stolen.id}
    found = [jobs.get(job.id) for job in held if job.id != stolen.id]
    assert [job.result for job in found] == [{"of": text} for text in "bcd"]
    assert [job.body["prompt"] for job in found] == ["", "c", "d"]
    rows = DatabaseLedger(database).rows()
    assert [(sum(row.asked for row in rows), sum(row.pending for row in rows))] == [(3, 1)]


def test_what_is_not_counted_is_given_back(jobs: Jobs, claims: Claims, database: Database) -> None:
    put(jobs)
    (mine,) = claim(claims)
    reserve(claims, mine, 5)
    claims.end(mine, "failed", reason="no memory")
    assert not any(row.pending or row.asked for row in DatabaseLedger(database).rows())


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_when_its_worker_sees_it(
    jobs: Jobs, claims: Claims, database: Database
) -> None:
    running, waiting = put(jobs, "a"), put(jobs, "b")
    (mine,) = claim(claims)
    assert jobs.cancel(waiting.id).state == "cancelled"
    assert (jobs.cancel(running.id).state, jobs.cancel(running.id).cancelling) == ("running", True)
    assert (jobs.get(running.id).shown, jobs.get(waiting.id).shown) == ("cancelling", "cancelled")
    assert [event.kind for event in jobs.events(running.id)] == ["cancelling"]  # once, however often it is asked for
    assert claims.look([mine]) == claims.renew([mine]) == {running.id: True}
    turn = reserve(claims, mine, 4)
    kept: list[Cell] = shown(turn).assigned[:1]  # type: ignore[assignment]
    claims.end(mine, "cancelled", result={"images": 1}, counted=[Counted(turn, kept, kept, kept)])
    assert jobs.get(running.id).result == {"images": 1}
    assert jobs.get(running.id).shown == "cancelled"
    assert [event.kind for event in jobs.events(running.id)] == ["cancelling", "cancelled"]
    assert {(row.n, row.pending) for row in DatabaseLedger(database).rows()} == {(1, 0)}
    assert jobs.cancel(running.id).state == "cancelled"


def test_a_cancelled_job_of_a_dead_worker_ends(jobs: Jobs, claims: Claims, other: Claims, database: Database) -> None:
    job = put(jobs)
    claim(claims)
    jobs.cancel(job.id)
    die(database)
    assert claim(other) == []
    assert jobs.get(job.id).state == "cancelled"


def test_a_graceful_stop_gives_jobs_back_with_their_turns(
    jobs: Jobs, claims: Claims, other: Claims, database: Database
) -> None:
    for name in "abc":
        put(jobs, name)
    mine = claim(claims, most=2)
    turn = reserve(claims, mine[0])
    claims.release(mine)
    assert [job.attempts for job in jobs.newest()] == [0, 0, 0]
    theirs = claim(other, most=3)
    assert texts(theirs) == ["a", "b", "c"]
    assert reserve(other, theirs[0]) == turn
    other.release(theirs)
    jobs.cancel(theirs[0].id)
    assert not any(row.pending for row in DatabaseLedger(database).rows())


def test_retry(jobs: Jobs, claims: Claims) -> None:
    job = put(jobs)
    with pytest.raises(ValueError, match="is queued; only one that failed"):
        jobs.retry(job.id)
    claims.end(claim(claims)[0], "failed", reason="no memory")
    again = jobs.retry(job.id)
    assert (again.state, again.reason, again.attempts, again.expires) == ("queued", None, 0, None)
    assert [event.kind for event in jobs.events(job.id)] == ["failed", "queued"]
    claims.end(claim(claims)[0])
    assert jobs.get(job.id).state == "done"


def test_a_lease_that_was_given_while_the_clock_was_ahead_runs_out(jobs: Jobs, claims: Claims, other: Claims) -> None:
    put(jobs)
    claim(claims)
    with jobs.database.writing() as connection:
        connection.execute(update(table).values(lease=now() + 100_000))
    assert other.sweep() == 1
    assert len(claim(other)) == 1


def test_other_keys_jobs_are_unknown(jobs: Jobs) -> None:
    job = put(jobs, key="k")
    assert jobs.get(job.id, key="k") == job
    for act in (jobs.get, jobs.cancel, jobs.retry):
        for wanted, key in ((job.id, "another"), ("job_none", "k")):
            with pytest.raises(UnknownJobError):
                act(wanted, key=key)
    assert jobs.newest(key="another") == []
    assert [job.id for job in jobs.newest(key="k", states=["queued"])] == [job.id]


def test_limits_of_a_key(jobs: Jobs, database: Database) -> None:
    few = Limits(images_per_minute=10, queued=2)
    put(jobs, key="k", images=6, limits=few)
    with pytest.raises(LimitError, match="10 images per minute; try again in") as over:
        put(jobs, key="k", images=5, limits=few)
    assert over.value.limit == "images_per_minute"
    assert over.value.retry_after == pytest.approx(60, abs=5)
    with pytest.raises(LimitError, match="ask for fewer") as never:
        put(jobs, key="k", images=11, limits=few)
    assert never.value.retry_after is None
    put(jobs, key="k", images=4, limits=few)
    assert jobs.last_minute("k")[0] == 10
    assert 55 < jobs.last_minute("k")[1] <= 60
    with database.writing() as connection:
        connection.execute(update(table).values(created=now() - 61))
    assert jobs.last_minute("k") == (0, 0.0)
    with pytest.raises(LimitError, match="2 jobs of this key wait"):
        put(jobs, key="k", limits=few)
    put(jobs, key="another", limits=few)
    with pytest.raises(LimitError, match="3 jobs wait") as full:
        put(jobs, key="third", most_waiting=3)
    assert full.value.limit == "waiting"


def test_a_refusal_waits_for_nobody_who_writes(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a job is put into the last place, the next one is refused already."""
    put(jobs), put(jobs)
    writes, go = threading.Event(), threading.Event()

    def slow(*given: Any, **named: Any) -> float:
        writes.set()
        assert go.wait(60)
        return start(*given, **named)

    monkeypatch.setattr("fair_diffusion.service.jobs.start", slow)
    with ThreadPoolExecutor(2) as pool:
        last = pool.submit(put, jobs, most_waiting=3)
        try:
            assert writes.wait(60)
            with pytest.raises(LimitError, match="3 jobs wait"):
                pool.submit(put, jobs, most_waiting=3).result(timeout=20)
        finally:
            go.set()
        assert last.result(timeout=60).state == "queued"


def test_a_job_that_was_just_put_counts_once(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many come together as there are places, and the thread of each lingers after its transaction."""
    writing = jobs.database.writing

    @contextmanager
    def slow(**given: Any) -> Iterator[Connection]:
        with writing(**given) as connection:
            yield connection
        time.sleep(0.005)

    monkeypatch.setattr(jobs.database, "writing", slow)
    with ThreadPoolExecutor(6) as pool:
        for k in range(10):
            came = [pool.submit(jobs.put, f"draw {k}", {}, most_waiting=6 * (k + 1)) for _ in range(6)]
            assert all(each.result(timeout=60)[1] for each in came)


def test_a_turn_that_does_not_come_is_waited_for_no_longer_than_one_writer(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some come while another one writes and does not end: each of them waits for a while, and not for each other."""
    monkeypatch.setattr("fair_diffusion.service.database.BUSY_SECONDS", 0.3)
    writes, go = threading.Event(), threading.Event()

    def slow(*given: Any, **named: Any) -> float:
        writes.set()
        assert go.wait(60)
        return start(*given, **named)

    monkeypatch.setattr("fair_diffusion.service.jobs.start", slow)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(put, jobs)
        try:
            assert writes.wait(60)
            for other in [pool.submit(put, jobs) for _ in range(4)]:
                with pytest.raises(DatabaseError, match="no turn to write"):
                    other.result(timeout=60)
            assert not first.done()
        finally:
            go.set()
        assert first.result(timeout=60).state == "queued"
    assert len(jobs.newest()) == 1


def test_bad_jobs_are_refused_before_anything_is_written(jobs: Jobs) -> None:
    for given in ({"cost": 0.0}, {"cost": float("nan")}, {"images": -1}):
        with pytest.raises(ValueError, match="give a cost above 0"):
            put(jobs, **given)
    with pytest.raises(ValueError, match="is no JSON"):
        jobs.put("draw", {"x": float("inf")})
    assert jobs.newest() == []
    assert put(jobs, "nul \x00 and \ud800").body["prompt"] == "nul \x00 and \ud800"


def test_results_expire_by_the_databases_clock(jobs: Jobs, claims: Claims, database: Database) -> None:
    short, long, waits = put(jobs, "a", kept=50), put(jobs, "b", kept=500), put(jobs, "c", kept=1)
    for _ in range(2):
        claims.end(claim(claims)[0])
    assert jobs.expire() == 0
    back = {name: table.c[name] - 100 for name in ("created", "ended", "expires")}
    with database.writing() as connection:
        connection.execute(update(table).values(back))
    assert jobs.expire() == 1
    assert {job.id for job in jobs.newest()} == {long.id, waits.id}
    assert jobs.events(short.id) == []


def test_leases_are_renewed_and_cancelling_is_seen_by_a_thread(jobs: Jobs, database: Database) -> None:
    claims = Claims(database, "worker 1", lease=0.6)
    put(jobs)
    with Holding(claims) as holding:
        (mine,) = claim(claims)
        holding.add(mine)
        with database.reading() as connection:
            first = connection.scalar(select(table.c.lease))
        until(lambda: leased(database) > (first or 0.0))
        assert claims.sweep() == 0
        assert not holding.cancelled(mine)
        jobs.cancel(mine.id)
        until(lambda: holding.cancelled(mine))
        claims.end(mine, "cancelled")
        until(lambda: holding.lost(mine))
        holding.drop(mine)
        assert not holding.cancelled(mine)
        assert holding.jobs == []


def leased(database: Database) -> float:
    with database.reading() as connection:
        return connection.scalar(select(table.c.lease)) or 0.0


def until(holds: Any) -> None:
    """Wait until a condition holds, 60 seconds at most."""
    waiting = threading.Event()
    for _ in range(1200):
        if holds():
            return
        waiting.wait(0.05)
    raise AssertionError("it did not come true")


@pytest.fixture
def signals(database: Database) -> Iterator[Signals]:
    made = Signals(database)
    yield made
    made.close()


def test_who_listens_is_woken(jobs: Jobs, claims: Claims, signals: Signals) -> None:
    new, done = threading.Event(), threading.Event()
    with signals.listen(QUEUE, new.set):
        job = put(jobs)
        assert new.wait(60)
    (mine,) = claim(claims)
    with signals.listen(job.id, done.set):
        seen = 0
        claims.event(mine, "partial", {})
        claims.end(mine)
        while jobs.events(job.id)[-1].kind != "done":
            seen += 1
            assert done.wait(60)
        assert done.wait(60)


def test_who_waits_without_notices_is_woken_all_the_same(
    jobs: Jobs, signals: Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fair_diffusion.service.jobs.tell", lambda connection, topic: None)
    woken = threading.Event()
    with signals.listen(QUEUE, woken.set):
        until(woken.is_set)
        woken.clear()
        put(jobs)
        assert woken.wait(60)


def test_turns_of_jobs_do_not_expire(jobs: Jobs, claims: Claims, database: Database) -> None:
    put(jobs)
    reserve(claims, claim(claims)[0])
    with database.reading() as connection:
        assert connection.execute(select(turns.c.expires, turns.c.job.is_not(None))).all() == [(None, True)]
    assert DatabaseLedger(database).forget_expired() == 0
    assert sum(row.pending for row in DatabaseLedger(database).rows()) == 1


def test_a_clock_that_was_ahead_locks_no_key_out(jobs: Jobs) -> None:
    limits = Limits(images_per_minute=1)
    jobs.put("draw", {}, key="a", limits=limits)
    with pytest.raises(LimitError):
        jobs.put("draw", {}, key="a", limits=limits)
    with jobs.database.writing() as connection:
        connection.execute(update(table).values(created=table.c.created + 3600))
    jobs.put("draw", {}, key="a", limits=limits)


def test_only_a_client_that_waits_does_without_the_disk(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    waited, write = list[bool](), jobs.database.writing

    def writing(*, durable: bool = True, within: float | None = None) -> Any:
        waited.append(durable)
        return write(durable=durable, within=within)

    monkeypatch.setattr(jobs.database, "writing", writing)
    jobs.put("draw", {"prompt": "nurse"}, waits=True)
    jobs.put("draw", {"prompt": "nurse"})
    assert waited == [False, True]
