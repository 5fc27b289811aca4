"""Jobs as clients see them: put, look, cancel, retry. `claims.py` is the workers' side.

jobs = Jobs(database)
job, new = jobs.put("draw", body, key="ab12", lane="pocket 64x64 25", cost=100.0)
jobs.get(job.id).state
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from fair_diffusion.service.database import Database, now
from fair_diffusion.service.fair_order import start
from fair_diffusion.service.job import (
    CANCELLED,
    CANCELLING,
    FAILED,
    QUEUED,
    RUNNING,
    Event,
    IdempotencyError,
    Job,
    UnknownJobError,
)
from fair_diffusion.service.limits import LimitError, Limits
from fair_diffusion.service.room import MINUTE, check_room, recent_of
from fair_diffusion.service.streams import count
from fair_diffusion.service.tables import events, is_queued
from fair_diffusion.service.tables import jobs as table
from fair_diffusion.service.writes import QUEUE, End, add_event, end, tell

KEPT = 24 * 3600.0
"""Seconds for which a job and its result are kept after its end."""
LATELY = 1.0
"""Seconds for which a refusal lets one expect others."""


class Jobs:
    """The jobs in a database.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._putting = threading.Lock()  # threads take turns sooner than the database lets them
        self._line: list[str] = []  # the jobs of threads that wait for their turn, or write
        self._refused = float("-inf")  # when a job was refused last

    def put(
        self,
        kind: str,
        body: dict[str, Any],
        *,
        key: str = "",
        lane: str = "",
        cost: float = 1.0,
        images: int = 1,
        priority: int = 0,
        idempotency: str | None = None,
        limits: Limits | None = None,
        most_waiting: int | None = None,
        kept: float = KEPT,
        asked: dict[str, Any] | None = None,
    ) -> tuple[Job, bool]:
        """Put a job into the queue.

        Args:
            kind: what it is; workers name the kinds that they do.
            body: what is to be done, as JSON.
            key: the id of the API key; the fair order is between keys.
            lane: jobs of one kind and lane may be done in one batch.
            cost: what it takes, above 0.
            images: how many images it is for.
            priority: jobs of a higher one go first.
            idempotency: a text of the client. The same text with the same body gives the job that is there.
            limits: of the key.
            most_waiting: jobs of this kind that may wait at once.
            kept: seconds for which it is kept after its end.
            asked: what the client sent, if the body says more, such as a seed that was drawn: by this a request under
                the same idempotency key is known to be the same one.

        Returns:
            The job, and whether it is new.

        Raises:
            IdempotencyError: `idempotency` was used before, with another body.
            LimitError: a limit is reached.
            ValueError: the body is no JSON, or cost or images are out of range.
        """
        if not 0 < cost < float("inf") or images < 0:
            raise ValueError(f"cost is {cost} and images {images}; give a cost above 0 and no images below 0")
        digest = digest_of(kind, body if asked is None else asked)
        values: dict[str, Any] = {
            "id": f"job_{uuid.uuid4().hex}",
            "kind": kind,
            "state": QUEUED,
            "key": key,
            "lane": lane,
            "cost": cost,
            "images": images,
            "priority": priority,
            "body": body,
            "digest": digest,
            "idempotency": idempotency,
            "kept": kept,
            "token": 0,
            "attempts": 0,
            "cancelling": False,
        }
        self._line.append(values["id"])
        ahead = partial(self._line.index, values["id"])
        try:
            if idempotency is None and (ahead() or time.monotonic() - self._refused < LATELY):
                with self.database.looking() as connection:  # so most refusals wait for nobody who writes
                    check_room(connection, key, kind, images, limits or Limits(), most_waiting, ahead)
            with self._putting, self.database.writing() as connection:
                place = start(self.database, connection, key=key, kind=kind, priority=priority)
                if idempotency is not None and (before := _before(connection, key, idempotency, digest)):
                    return before, False
                check_room(connection, key, kind, images, limits or Limits(), most_waiting)
                row = connection.execute(_PUT, {**values, "start": place}).one()
                tell(connection, QUEUE)
                self._line.remove(values["id"])  # from the end of the transaction on, it is in the queue
        except LimitError:
            self._refused = time.monotonic()
            raise
        finally:
            with suppress(ValueError):
                self._line.remove(values["id"])
        return Job.of(row), True

    def get(self, job: str, *, key: str | None = None) -> Job:
        """The job with this id. `UnknownJobError` if there is none, or if it is not of `key`, where one is given."""
        with self.database.looking() as connection:
            row = connection.execute(_find(job, key)).first()
        if row is None:
            raise UnknownJobError(_unknown(job))
        return Job.of(row)

    def newest(
        self, *, key: str | None = None, states: Sequence[str] = (), kinds: Sequence[str] = (), most: int = 100
    ) -> list[Job]:
        """Jobs, the newest first.

        Args:
            key: only those of this key.
            states: only those in one of these states.
            kinds: only those whose kind begins with one of these.
            most: how many at most.
        """
        wanted = select(table).order_by(table.c.created.desc(), table.c.id).limit(most)
        if key is not None:
            wanted = wanted.where(table.c.key == key)
        if states:
            wanted = wanted.where(table.c.state.in_(states))
        if kinds:
            wanted = wanted.where(or_(*(table.c.kind.startswith(kind, autoescape=True) for kind in kinds)))
        with self.database.reading() as connection:
            return [Job.of(row) for row in connection.execute(wanted)]

    def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs there are, by kind and state."""
        counted = select(table.c.kind, table.c.state, func.count()).group_by(table.c.kind, table.c.state)
        with self.database.reading() as connection:
            return {(kind, state): number for kind, state, number in connection.execute(counted)}

    def ahead(self, job: Job) -> int:
        """How many jobs of its kind go before a job that waits."""
        with self.database.reading() as connection:
            place = connection.scalar(select(table.c.start).where(table.c.id == job.id, is_queued))
            if place is None:
                return 0
            before = or_(table.c.priority > job.priority, (table.c.priority == job.priority) & (table.c.start < place))
            queue = (table.c.kind == job.kind, is_queued)
            return connection.scalar(select(func.count()).where(*queue, before)) or 0

    def last_minute(self, key: str) -> tuple[int, float]:
        """How many images a key asked for in the last 60 seconds, and after how many seconds none of them counts."""
        with self.database.looking() as connection:
            recent = recent_of(connection, key)
        return sum(images for _, images in recent), MINUTE - recent[-1][0] if recent else 0.0

    def events(self, job: str, *, after: int = 0) -> list[Event]:
        """What happened to a job after event number `after`, in order. The last one is named like the job's end."""
        with self.database.reading() as connection:
            return _events(connection, job, after)

    def look(self, job: str, *, after: int = 0) -> tuple[Job, list[Event]]:
        """A job and its events after number `after`, of one moment. `UnknownJobError` as in `get`."""
        with self.database.reading() as connection:
            row = connection.execute(_FIND, {"job": job}).first()
            if row is None:
                raise UnknownJobError(_unknown(job))
            return Job.of(row), _events(connection, job, after)

    def cancel(self, job: str, *, key: str | None = None) -> Job:
        """Cancel a job. One that waits has ended then; a running one is marked, and ends when its worker sees it.

        Returns:
            The job as it is then. One that had ended stays as it was.

        Raises:
            UnknownJobError: as in `get`.
        """
        with self.database.writing() as connection:
            row = connection.execute(_find(job, key).with_for_update()).first()
            if row is None:
                raise UnknownJobError(_unknown(job))
            if row.state == QUEUED:
                count(connection, [], jobs=[job])  # it may have a turn of a worker that gave it back
                connection.execute(update(table).where(table.c.id == job).values(start=None))
                end(connection, [End(job, CANCELLED)])
            elif row.state == RUNNING and not row.cancelling:
                connection.execute(update(table).where(table.c.id == job).values(cancelling=True))
                add_event(connection, job, CANCELLING, {})
            return Job.of(connection.execute(_find(job, key)).one())

    def retry(self, job: str, *, key: str | None = None) -> Job:
        """Put a job that failed or was cancelled into the queue again, at its end.

        Raises:
            UnknownJobError: as in `get`.
            ValueError: the job did not fail and was not cancelled.
        """
        with self.database.writing() as connection:
            row = connection.execute(_find(job, key)).first()
            if row is None:
                raise UnknownJobError(_unknown(job))
            place = start(self.database, connection, key=row.key, kind=row.kind, priority=row.priority)
            again = {"state": QUEUED, "start": place, "attempts": 0, "cancelling": False}
            none = dict.fromkeys(("ended", "expires", "progress", "result", "reason"))
            ended = (table.c.id == job, table.c.state.in_([FAILED, CANCELLED]))
            if not connection.execute(update(table).where(*ended).values(again | none)).rowcount:
                state = connection.scalar(select(table.c.state).where(table.c.id == job))
                raise ValueError(f"job {job} is {state}; only one that failed or was cancelled can be tried again")
            add_event(connection, job, QUEUED, {})
            tell(connection, QUEUE)
            return Job.of(connection.execute(_find(job, key)).one())

    def expire(self) -> int:
        """Forget jobs that ended long ago, with their events and results. Returns how many."""
        old = (table.c.expires < now(), table.c.created < now() - MINUTE)  # the last minute counts for limits
        with self.database.writing() as connection:
            return connection.execute(delete(table).where(*old)).rowcount


_PUT = insert(table).values(created=now()).returning(table)  # to build a statement takes longer than to run it


_FIND = select(table).where(table.c.id == bindparam("job"))
_EVENTS = select(events).where(events.c.job == bindparam("of"), events.c.number > bindparam("after"))
_EVENTS = _EVENTS.order_by(events.c.number)


def _events(connection: Connection, job: str, after: int) -> list[Event]:
    rows = connection.execute(_EVENTS, {"of": job, "after": after})
    return [Event(row.number, row.kind, row.data, row.time) for row in rows]


def digest_of(kind: str, body: dict[str, Any]) -> str:
    """The SHA-256 of a job's kind and body. `ValueError` if the body is no JSON."""
    try:
        text = json.dumps([kind, body], sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the body of a job is no JSON ({error}); give texts, numbers, lists and objects") from None
    return hashlib.sha256(text.encode()).hexdigest()


def _before(connection: Connection, key: str, idempotency: str, digest: str) -> Job | None:
    """The job that a key put under an idempotency key, if there is one. `IdempotencyError` if it was another one."""
    row = connection.execute(select(table).where(table.c.key == key, table.c.idempotency == idempotency)).first()
    if row is not None and row.digest != digest:
        raise IdempotencyError("the idempotency key was used before, for another request; use a new one")
    return None if row is None else Job.of(row)


def _find(job: str, key: str | None) -> Any:
    found = select(table).where(table.c.id == job)
    return found if key is None else found.where(table.c.key == key)


def _unknown(job: str) -> str:
    return f"there is no job {job}; `fair-diffusion jobs list` shows those that there are"
