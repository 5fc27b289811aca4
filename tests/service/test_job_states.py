"""Whatever clients and workers do in whatever order: a model in Python and the database agree on every job and turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, update

from fair_diffusion.policy.target import uniform
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database, now
from fair_diffusion.service.job import Job, LostError
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.streams import Counted
from fair_diffusion.service.tables import jobs as table
from fair_diffusion.service.tables import streams

HALF = uniform("gender")
NAMES = ("one", "two")
PICK = st.integers(0, 1000)
"""Which of the jobs, counted in the order in which they came."""


class Machine(RuleBasedStateMachine):
    """`states` is what each job should be; `holds` who may write it; `turns` its images under way."""

    opened: ClassVar[Callable[[], Database]]

    @initialize()
    def begin(self) -> None:
        self.database = type(self).opened()
        with self.database.writing() as connection:
            connection.execute(delete(table))
            connection.execute(delete(streams))
        self.jobs = Jobs(self.database)
        self.claims = {name: Claims(self.database, name) for name in NAMES}
        self.states: dict[str, str] = {}
        self.cancelling: set[str] = set()
        self.deaths: dict[str, int] = {}
        self.holds: dict[str, tuple[str, Job]] = {}
        self.turns: dict[str, int] = {}
        self.lost: list[tuple[str, Job]] = []
        self.images = 0

    @rule(key=st.sampled_from("ab"), lane=st.sampled_from("xy"), images=st.integers(1, 3))
    def put(self, key: str, lane: str, images: int) -> None:
        job, new = self.jobs.put("draw", {"n": images}, key=key, lane=lane, images=images, cost=images)
        assert new
        time.sleep(0.002)  # SQLite's clock tells milliseconds apart, and the order must not depend on chance
        self.states[job.id], self.deaths[job.id] = "queued", 0

    @rule(name=st.sampled_from(NAMES), most=st.integers(1, 3))
    def claim(self, name: str, most: int) -> None:
        found = self.claims[name].claim(["draw"], most=most)
        waiting = [job for job, state in self.states.items() if state == "queued"]
        assert bool(found) == bool(waiting)
        assert len({job.lane for job in found}) <= 1
        assert len(found) == 1 or not any(self.deaths[job.id] for job in found)
        for job in found:
            assert job.id in waiting
            self.states[job.id], self.holds[job.id] = "running", (name, job)
            assert job.attempts == self.deaths[job.id] + 1

    @precondition(lambda self: self.holds)
    @rule(pick=PICK)
    def reserve(self, pick: int) -> None:
        name, job = self._pick(pick)
        turn = self.claims[name].reserve(job, rule="nurse", target=HALF, n=job.images, model="pocket")
        assert sum(turn.quotas) == job.images
        self.turns[job.id] = job.images

    @precondition(lambda self: self.holds)
    @rule(pick=PICK, state=st.sampled_from(["done", "failed", "cancelled"]))
    def end(self, pick: int, state: str) -> None:
        name, job = self._pick(pick)
        counted = []
        if state == "done" and job.id in self.turns:
            turn = self.claims[name].reserve(job, rule="nurse", target=HALF, n=job.images, model="pocket")
            shown = [cell for cell, n in zip(HALF.shares, turn.quotas, strict=True) for _ in range(n)]
            counted = [Counted(turn, shown, shown, shown)]
            self.images += job.images
        self.claims[name].end(job, state, counted=counted)
        self._over(job.id, state)

    @precondition(lambda self: self.holds)
    @rule(pick=PICK)
    def give_back(self, pick: int) -> None:
        name, job = self._pick(pick)
        self.claims[name].release([job])
        self._leave(job.id)

    @precondition(lambda self: self.holds)
    @rule(pick=PICK)
    def die(self, pick: int) -> None:
        _, job = self._pick(pick)
        with self.database.writing() as connection:
            connection.execute(update(table).where(table.c.id == job.id).values(lease=now() - 1))
        assert self.claims["one"].sweep() == 1
        self.deaths[job.id] += 1
        if self.deaths[job.id] == 3 and job.id not in self.cancelling:
            self._over(job.id, "failed")
        else:
            self._leave(job.id)

    @precondition(lambda self: self.states)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        job = list(self.states)[pick % len(self.states)]
        state = self.states[job]
        found = self.jobs.cancel(job)
        if state == "queued":
            self._over(job, "cancelled")
        elif state == "running":
            self.cancelling.add(job)
        assert found.state == self.states[job]

    @precondition(lambda self: self.states)
    @rule(pick=PICK)
    def retry(self, pick: int) -> None:
        job = list(self.states)[pick % len(self.states)]
        if self.states[job] in ("failed", "cancelled"):
            self.jobs.retry(job)
            self.states[job], self.deaths[job] = "queued", 0
        else:
            with pytest.raises(ValueError, match="only one that failed"):
                self.jobs.retry(job)

    @precondition(lambda self: self.lost)
    @rule(pick=PICK)
    def come_back(self, pick: int) -> None:
        name, job = self.lost[pick % len(self.lost)]
        with pytest.raises(LostError):
            self.claims[name].end(job)
        assert self.claims[name].renew([job]) == {}

    @invariant()
    def both_agree(self) -> None:
        if not hasattr(self, "jobs"):
            return
        found = {job.id: job for job in self.jobs.newest()}
        assert {job: found[job].state for job in found} == self.states
        assert {job for job in found if found[job].cancelling and not found[job].over} == self.cancelling
        for name, job in self.holds.values():
            assert self.claims[name].look([job]) == {job.id: job.id in self.cancelling}
        rows = DatabaseLedger(self.database).rows()
        assert sum(row.pending for row in rows) == sum(self.turns.values())
        assert sum(row.asked for row in rows) == self.images

    def _pick(self, pick: int) -> tuple[str, Job]:
        return list(self.holds.values())[pick % len(self.holds)]

    def _leave(self, job: str) -> None:
        """The job is nobody's any more: it waits, or it ends if it was cancelled."""
        self.lost.append(self.holds.pop(job))
        if job in self.cancelling:
            self._over(job, "cancelled")
        else:
            self.states[job] = "queued"

    def _over(self, job: str, state: str) -> None:
        self.states[job] = state
        self.turns.pop(job, None)
        self.cancelling.discard(job)
        if job in self.holds:
            self.lost.append(self.holds.pop(job))


def test_a_model_and_the_database_agree(url: str) -> None:
    database = Database(url)

    class Here(Machine):
        opened = staticmethod(lambda: database)

    run_state_machine_as_test(Here, settings=settings(max_examples=12, stateful_step_count=25, deadline=None))
    database.close()
