"""A job as plain data, and what can go wrong with one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Row

QUEUED, RUNNING, DONE, FAILED, CANCELLED = STATES = ("queued", "running", "done", "failed", "cancelled")
ENDS = (DONE, FAILED, CANCELLED)
MAY_PASS = (429, 502, 503, 504)
"""Statuses of an upstream server after which the same request may succeed."""
CANCELLING = "cancelling"
"""What a running job is called that somebody cancelled, and the event that says so."""


@dataclass(frozen=True)
class Job:
    """One unit of work, as it was when it was read. Times are seconds since 1970.

    Attributes:
        id: "job_" and 32 hexadecimal digits.
        kind: "draw", or another kind that workers know.
        state: one of `STATES`.
        key: the id of the API key that put it; "" for this machine's own jobs.
        lane: jobs of one lane may be done in one batch.
        cost: what it takes, in evaluations of the network.
        images: how many images it is for.
        priority: jobs of a higher one go first.
        body: what is to be done.
        created, began, ended, expires: when it was put, first claimed, ended, and will be forgotten.
        worker: who has it.
        token: rises with every claim. Only the holder of the newest one may write.
        attempts: how often it was claimed, without those that gave it back.
        cancelling: somebody cancelled it while it runs.
        progress, result: what its worker wrote.
        reason: why it failed.
    """

    id: str
    kind: str
    state: str
    key: str
    lane: str
    cost: float
    images: int
    priority: int
    body: dict[str, Any]
    created: float
    began: float | None
    ended: float | None
    expires: float | None
    worker: str | None
    token: int
    attempts: int
    cancelling: bool
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    reason: str | None

    @classmethod
    def of(cls, row: Row[Any]) -> Job:
        """The job in a row of the table."""
        return cls(**{field.name: row._mapping[field.name] for field in fields(cls)})

    @property
    def over(self) -> bool:
        """Whether nothing will be done any more."""
        return self.state in ENDS

    @property
    def may_pass(self) -> bool:
        """Whether it failed for a reason that may have passed by now. Such a job counted nothing."""
        upstream = (self.result or {}).get("upstream", {}) if self.state == FAILED else {}
        return upstream.get("status") in MAY_PASS and upstream.get("retry") is not False

    @property
    def shown(self) -> str:
        """Its state for people: "cancelling" from the moment on at which somebody cancels it while it runs."""
        return CANCELLING if self.cancelling and not self.over else self.state


@dataclass(frozen=True)
class Event:
    """Something that happened to a job: `number` counts from 1 without a gap. The last one is named like the end."""

    number: int
    kind: str
    data: dict[str, Any]
    time: float


class UnknownJobError(ValueError):
    """There is no such job, or it belongs to another key."""


class IdempotencyError(ValueError):
    """An idempotency key was used before, for something else."""


class LostError(RuntimeError):
    """The job is not this worker's any more: its lease ran out and another one has it, or it has ended."""
