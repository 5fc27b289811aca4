"""A key has one share of the workers that it uses, over however many models it asks for; others are not its own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import insert

from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database, now
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.limits import LimitError, Limits
from fair_diffusion.service.served_model import GONE, usual_model, workers_seen
from fair_diffusion.service.served_model import served_models as served
from fair_diffusion.service.shared_workers import SharedWorkers, together
from fair_diffusion.service.tables import workers
from fair_diffusion.service.worker_kind import audit_kind_of, kind_of

LORAS = ["base", *(f"base+{k}" for k in range(9))]


def seen(database: Database, worker: str, names: list[str], *, ago: float = 0.0) -> None:
    """Note that a worker with these models was there so many seconds ago."""
    model: dict[str, Any] = {"width": 8, "height": 8, "grain": 1, "steps": 5, "guidance": 1.0}
    model |= {"attributes": [], "passes": 1, "weights": ""}
    rows = [
        {"name": worker if len(names) == 1 else f"{worker} {name}", "model": {"name": name, **model}} for name in names
    ]
    with database.writing() as connection:
        for row in rows:
            connection.execute(insert(workers).values(**row, seen=now() - ago))


def put(jobs: Jobs, key: str, model: str = "base", **given: Any) -> str:
    return jobs.put(kind_of(model), {}, key=key, **given)[0].id


def share(claims: Claims, names: list[str], number: int) -> Counter[str]:
    """What a worker of these models did for each key."""
    done: Counter[str] = Counter()
    for _ in range(number):
        (job,) = claims.claim([kind_of(name) for name in names])
        done[job.key] += int(job.cost)
    return done


def test_which_models_share_workers(database: Database) -> None:
    seen(database, "host 1 a", ["a", "b"])
    seen(database, "host 2 b", ["b", "c d"])
    seen(database, "host 3 c", ["alone"])
    seen(database, "host 4 d", ["alone", "a"], ago=2 * GONE)  # it shares with nobody any more
    seen(database, "host 5 e", ["gone", "gone too"], ago=3 * GONE)
    found = together(database)
    assert found["a"] == found["b"] == found["c d"] == ("a", "b", "c d")
    assert found["alone"] == ("alone",)
    assert found["gone"] == found["gone too"] == ("gone", "gone too")
    shared = SharedWorkers(database)
    assert shared.kinds(kind_of("c d")) == ("draw a", "draw b", "draw c d")
    assert shared.kinds(audit_kind_of("alone")) == ("audit alone",)
    assert shared.kinds("cell") == ("cell",)
    assert shared.kinds(kind_of("unknown")) == ("draw unknown",)


def test_a_key_that_asks_for_many_models_has_one_share(database: Database) -> None:
    seen(database, "host 1 a", LORAS)
    jobs, claims = Jobs(database), Claims(database, "worker")
    for k in range(100):
        put(jobs, "wide", LORAS[k % 10])
    for _ in range(50):
        put(jobs, "narrow", cost=2.0)
    done = share(claims, LORAS, 60)
    assert abs(done["wide"] - done["narrow"]) <= 3  # a job of each


def test_an_idle_key_gains_no_credit_by_a_model_that_nobody_used(database: Database) -> None:
    seen(database, "host 1 a", LORAS)
    jobs, claims = Jobs(database), Claims(database, "worker")
    for _ in range(40):
        put(jobs, "busy")
    assert share(claims, LORAS, 40) == {"busy": 40}
    for _ in range(20):
        put(jobs, "new", "base+8")
        put(jobs, "busy")
    done = share(claims, LORAS, 20)
    assert abs(done["new"] - done["busy"]) <= 2


def test_who_is_new_does_not_wait_behind_what_a_key_put_for_another_model(database: Database) -> None:
    seen(database, "host 1 a", LORAS)
    jobs, claims = Jobs(database), Claims(database, "worker")
    for k in range(200):
        put(jobs, "busy", LORAS[k // 20])
    for _ in range(10):
        put(jobs, "new", "base+8")
    assert abs(share(claims, LORAS, 20)["new"] - 10) <= 1


def test_models_with_workers_of_their_own_have_orders_of_their_own(database: Database) -> None:
    """A slow model is far behind a fast one; who used the fast one once is not behind others at the slow one."""
    seen(database, "host 1 a", ["fast"])
    seen(database, "host 2 b", ["slow"])
    jobs, claims = Jobs(database), Claims(database, "worker")
    for _ in range(100):
        put(jobs, "other", "fast", cost=10.0)
    assert share(claims, ["fast"], 90) == {"other": 900}
    put(jobs, "both", "fast")
    for _ in range(10):
        put(jobs, "one", "slow")
        put(jobs, "both", "slow")
    done = share(claims, ["slow"], 10)
    assert abs(done["one"] - done["both"]) <= 1
    assert share(claims, ["fast"], 2)["both"] == 1  # and not behind all that waits there


def test_limits_hold_over_all_models(database: Database) -> None:
    seen(database, "host 1 a", LORAS[:2])
    seen(database, "host 2 b", ["other"])
    jobs, few = Jobs(database), Limits(queued=2)
    put(jobs, "k", "base", limits=few)
    put(jobs, "k", "other", limits=few)
    with pytest.raises(LimitError, match="2 jobs of this key wait"):
        put(jobs, "k", "base+0", limits=few)
    with pytest.raises(LimitError, match="2 jobs wait already"):
        put(jobs, "l", "base+0", most_waiting=2)
    jobs.put("cell", {}, key="campaign")  # of a campaign, which has workers of its own
    jobs.put(audit_kind_of("base"), {}, key="k")  # it waits for drawings
    put(jobs, "l", "base+0", most_waiting=3)


def test_how_many_go_first_over_the_models_of_a_worker(database: Database) -> None:
    seen(database, "host 1 a", LORAS)
    seen(database, "host 2 b", ["other"])
    jobs = Jobs(database)
    for name in ("base", "base+1", "other"):
        put(jobs, "k", name)
    last = put(jobs, "k", "base+2")
    assert jobs.ahead(jobs.get(last)) == 2
    jobs.cancel(last)
    jobs.retry(last)
    assert jobs.ahead(jobs.get(last)) == 2


def test_the_usual_model_stays_while_its_worker_starts_again(database: Database) -> None:
    seen(database, "host 1 b", ["b"])
    assert usual_model(served(database)).name == "b"
    seen(database, "host 2 a", ["a"], ago=100.0)
    assert [model.ready for _, model in workers_seen(database)] == [False, True]
    assert usual_model(served(database)).name == "a"
    seen(database, "host 3 0", ["0"], ago=3600.0)  # it went for good
    assert usual_model(served(database)).name == "a"
