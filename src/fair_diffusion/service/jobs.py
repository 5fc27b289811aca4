"""Jobs as clients see them: put, look, cancel, retry. `claims.py` is the workers' side.

jobs = Jobs(database)
job, new = jobs.put("draw", body, key="ab12", lane="pocket 64x64 25", cost=100.0)
jobs.get(job.id).state
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Float, bindparam, delete, func, insert, or_, select, update

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
from fair_diffusion.service.limits import Limits
from fair_diffusion.service.line import Line
from fair_diffusion.service.room import MINUTE, check_room, recent_of
from fair_diffusion.service.shared_workers import SharedWorkers
from fair_diffusion.service.streams import count
from fair_diffusion.service.tables import events, is_queued
from fair_diffusion.service.tables import jobs as table
from fair_diffusion.service.writes import QUEUE, End, add_event, end, tell

KEPT = 24 * 3600.0
"""Seconds for which a job and its result are kept after its end."""
ATTENDED = 4.0
"""Seconds for which a client is taken to be there after a server said so."""


class Jobs:
    """The jobs in a database.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._line, self._shared = Line(database), SharedWorkers(database)

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
        waits: bool = False,
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
            idempotency: a text of the client. The same text with the same body gives the job that is there. If it
                failed for a reason that may have passed, it is queued again.
            limits: of the key.
            most_waiting: jobs that may wait at once, of all models.
            kept: seconds for which it is kept after its end.
            asked: what the client sent, if the body says more, such as a seed that was drawn: by this a request under
                the same idempotency key is known to be the same one.
            waits: the client waits for it, see `comebacks.py`. PostgreSQL does not wait for its disk then.

        Returns:
            The job, and whether it is new.

        Raises:
            IdempotencyError: `idempotency` was used before, with another body.
            LimitError: a limit is reached.
            ValueError: the body is no JSON, or cost or images are out of range.
        """
        if not 0 < cost < float("inf") or images < 0:
            raise ValueError(f"cost is {cost} and images {images}; give a cost above 0 and no images below 0")
        told = body if asked is None else asked
        digest = digest_of(kind, told)
        before: Job | None = None
        if idempotency is not None:
            with self.database.looking() as connection:  # most of those who come again wait for nobody who writes
                before = _before(connection, key, idempotency, told)
            if before is not None and not before.may_pass:
                return before, False
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
            "attended": ATTENDED if waits else None,
        }
        own, most = values["id"], (limits or Limits(), most_waiting)
        kinds = self._shared.kinds(kind if before is None else before.kind)
        with self._line.standing(own):
            if idempotency is None and self._line.may_refuse(own):
                with self.database.looking() as connection:  # so most refusals wait for nobody who writes
                    check_room(connection, key, kind, images, *most, partial(self._line.ahead, own))
            with self._line.writing(durable=not waits) as connection:  # who waits tries again if the job is lost
                place = start(self.database, connection, key=key, kinds=kinds, priority=priority)
                if idempotency is not None and (before := _before(connection, key, idempotency, told)):
                    if not before.may_pass:
                        return before, False
                    check_room(connection, key, before.kind, 0, *most)  # its images were counted when it was put
                    return self._again(connection, before, kinds), False
                check_room(connection, key, kind, images, *most)
                row = connection.execute(_PUT, {**values, "start": place}).one()
                tell(connection, QUEUE)
                self._line.leave(own)
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
        """How many jobs of its queue go before a job that waits."""
        kinds = self._shared.kinds(job.kind)
        with self.database.reading() as connection:
            place = connection.scalar(select(table.c.start).where(table.c.id == job.id, is_queued))
            if place is None:
                return 0
            before = or_(table.c.priority > job.priority, (table.c.priority == job.priority) & (table.c.start < place))
            queue = (table.c.kind.in_(kinds), is_queued)
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

    def cancel(self, job: str, *, key: str | None = None, left: float | None = None) -> Job:
        """Cancel a job. One that waits has ended then; a running one is marked, and ends when its worker sees it.

        Args:
            job: its id.
            key: only if it is of this key.
            left: only if its client left at this time, and has not come back since.

        Returns:
            The job as it is then. One that had ended stays as it was.

        Raises:
            UnknownJobError: as in `get`.
        """
        with self.database.writing() as connection:
            row = connection.execute(_find(job, key).with_for_update()).first()
            if row is None:
                raise UnknownJobError(_unknown(job))
            if left is not None:
                if row.left != left:
                    return Job.of(row)
                connection.execute(update(table).where(table.c.id == job).values(left=None))
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
        kinds = self._shared.kinds(self.get(job, key=key).kind)
        with self.database.writing() as connection:
            row = connection.execute(_find(job, key)).first()
            if row is None:
                raise UnknownJobError(_unknown(job))
            return self._again(connection, Job.of(row), kinds)

    def _again(self, connection: Connection, job: Job, kinds: Sequence[str]) -> Job:
        """Queue a job that failed or was cancelled again, with the kinds that wait for its workers.

        `ValueError` if it did not fail and was not cancelled."""
        place = start(self.database, connection, key=job.key, kinds=kinds, priority=job.priority)
        again = {"state": QUEUED, "start": place, "attempts": 0, "cancelling": False}
        none = dict.fromkeys(("ended", "expires", "progress", "result", "reason", "left"))
        ended = update(table).where(table.c.id == job.id, table.c.state.in_([FAILED, CANCELLED]))
        row = connection.execute(ended.values(again | none).returning(table)).first()
        if row is None:
            state = connection.scalar(select(table.c.state).where(table.c.id == job.id))
            raise ValueError(f"job {job.id} is {state}; only one that failed or was cancelled can be tried again")
        add_event(connection, job.id, QUEUED, {})
        tell(connection, QUEUE)
        return Job.of(row)

    def expire(self) -> int:
        """Forget jobs that ended long ago, with their events and results. Returns how many."""
        old = (table.c.expires < now(), table.c.created < now() - MINUTE)  # the last minute counts for limits
        with self.database.writing() as connection:
            return connection.execute(delete(table).where(*old)).rowcount


# To build a statement takes longer than to run it, so those that every job needs are built once.
_PUT = insert(table).values(created=now(), left=now() + bindparam("attended", type_=Float())).returning(table)
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


def _before(connection: Connection, key: str, idempotency: str, told: dict[str, Any]) -> Job | None:
    """The job that a key put under an idempotency key, if there is one. `IdempotencyError` if it was another one.

    A request that names no model stays the same one when another model is the usual one meanwhile."""
    row = connection.execute(select(table).where(table.c.key == key, table.c.idempotency == idempotency)).first()
    if row is not None and row.digest != digest_of(row.kind, told):
        raise IdempotencyError("the idempotency key was used before, for another request; use a new one")
    return None if row is None else Job.of(row)


def _find(job: str, key: str | None) -> Any:
    found = select(table).where(table.c.id == job)
    return found if key is None else found.where(table.c.key == key)


def _unknown(job: str) -> str:
    return f"there is no job {job}; `fair-diffusion jobs list` shows those that there are"
