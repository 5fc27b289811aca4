"""Jobs as workers see them: claim, renew, write, end. Every write checks that the job is still this worker's.

    claims = Claims(database, worker="host 4711")
    for job in claims.claim(["draw"], most=8):
        turn = claims.reserve(job, rule=…, target=…, n=1, model="pocket")
        …
        claims.end(job, result={…}, counted=[Counted.of(turn, records)])

A job is a worker's for the time of its lease, which `Holding` renews. If the lease runs out, another worker may claim
the job, and gets the turns that it has. A job whose worker died is claimed alone the next time, so that the others of
its batch live, and the one that kills is found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, tuple_, update

from fair_diffusion.allocation.ledger import SKEW, Turn
from fair_diffusion.policy.target import Cell, Target
from fair_diffusion.service import writes
from fair_diffusion.service.database import Database, now
from fair_diffusion.service.fair_order import claiming, firsts_of
from fair_diffusion.service.job import CANCELLED, DONE, FAILED, QUEUED, Job, LostError
from fair_diffusion.service.streams import Counted, Wanted, count, take
from fair_diffusion.service.tables import is_running, jobs

LEASE = 30.0
"""Seconds that a worker has a job without renewing it."""
ATTEMPTS = 3
"""How many workers a job may cost."""
SWEEP = 1.0
"""Seconds after which a worker looks again for jobs whose worker died."""


@dataclass(frozen=True)
class Ended:
    """The end of a job, as `Claims.end` takes it."""

    job: Job
    state: str = DONE
    _: KW_ONLY
    result: dict[str, Any] | None = None
    reason: str | None = None
    counted: Sequence[Counted] = ()
    body: dict[str, Any] | None = None


class Claims:
    """The jobs that one worker has.

    Args:
        database: where the jobs are.
        worker: the name of the worker, for people.
        lease: seconds that it has a job without renewing it.
        attempts: how many workers a job may cost before it fails.
    """

    def __init__(self, database: Database, worker: str, *, lease: float = LEASE, attempts: int = ATTEMPTS) -> None:
        self.database, self.worker, self.lease, self.attempts = database, worker, lease, attempts
        self._swept = float("-inf")

    def claim(self, kinds: Sequence[str], *, most: int = 1, lane: str | None = None) -> list[Job]:
        """Take the next job, and more of its kind and lane that may be done with it, in the fair order.

        Args:
            kinds: what this worker does; they are one queue.
            most: how many jobs at most.
            lane: fill up a batch of this lane: take only its jobs, and none whose worker died.

        Returns:
            The jobs, all of one lane; none if none waits.
        """
        if time.monotonic() - self._swept > SWEEP:
            self.sweep()
        with self.database.writing(durable=False) as connection:  # a claim that is lost is made again
            firsts = connection.execute(firsts_of(tuple(kinds))) if len(kinds) > 1 else ()
            for kind in [row.kind for row in firsts] or kinds[:1]:
                taken = self._take(connection, kind, 1 if lane is None else most, lane)
                if taken and lane is None and most > 1 and taken[0].attempts == 1:
                    taken += self._take(connection, kind, most - 1, taken[0].lane)
                if taken:
                    return taken
        return []

    def next(self, kinds: Sequence[str]) -> tuple[str, str] | None:
        """Kind and lane of the job that `claim` would take; None if none waits, or one whose worker died."""
        with self.database.looking() as connection:
            row = connection.execute(firsts_of(tuple(kinds))).first()
        return None if row is None or row.attempts else (row.kind, row.lane)

    def renew(self, held: Iterable[Job]) -> dict[str, bool]:
        """Restart the lease of jobs.

        Returns:
            For each job that is still this worker's, by its id: whether somebody cancelled it.
        """
        ours = [(job.id, job.token) for job in held]
        if not ours:
            return {}
        here = (tuple_(jobs.c.id, jobs.c.token).in_(ours), is_running)
        renewed = update(jobs).where(*here).values(lease=now() + self.lease)
        with self.database.writing() as connection:
            rows = connection.execute(renewed.returning(jobs.c.id, jobs.c.cancelling)).all()
        return {row.id: bool(row.cancelling) for row in rows}

    def look(self, held: Iterable[Job]) -> dict[str, bool]:
        """The same as `renew` gives, without renewing: it writes nothing."""
        ours = [(job.id, job.token) for job in held]
        found = select(jobs.c.id, jobs.c.cancelling).where(tuple_(jobs.c.id, jobs.c.token).in_(ours))
        with self.database.looking() as connection:
            rows = connection.execute(found.where(is_running)).all() if ours else []
        return {row.id: bool(row.cancelling) for row in rows}

    def reserve(
        self, job: Job, *, rule: str, target: Target, n: int, model: str, natural: Sequence[Cell | None] = ()
    ) -> Turn:
        """Take a turn for a job; if the job has one in this stream already, of a worker before, that one.

        The turn lasts as long as the job. Every end of the job counts it or gives it back.

        Raises:
            LostError: the job is not this worker's any more.
        """
        wanted = Wanted(rule=rule, target=target, n=n, model=model, job=job.id, natural=natural)
        turns = self.reserve_all([job], [wanted])
        if job.id not in turns:
            raise LostError(_lost(job))
        return turns[job.id][0]

    def reserve_all(self, held: Sequence[Job], wanted: Sequence[Wanted]) -> dict[str, list[Turn]]:
        """Take the turns of several jobs in one transaction, in the order in which they are wanted.

        Args:
            held: the jobs.
            wanted: their turns, each with its job.

        Returns:
            For each job that is still this worker's and wants turns, by its id: its turns.
        """
        while True:
            with self.database.writing() as connection:
                ours = self._ours(connection, held)
                mine = [each for each in wanted if each.job in ours]
                taken = take(connection, mine)
            if taken is not None:
                found: dict[str, list[Turn]] = {}
                for each, turn in zip(mine, taken, strict=True):
                    found.setdefault(str(each.job), []).append(turn)
                return found

    def progress(self, job: Job, progress: dict[str, Any]) -> None:
        """Write how far a job is. `LostError` if it is not this worker's any more."""
        with self.database.writing(durable=False) as connection:
            changed = connection.execute(update(jobs).where(*_held(job)).values(progress=progress))
            if not changed.rowcount:
                raise LostError(_lost(job))

    def event(self, job: Job, kind: str, data: dict[str, Any]) -> int:
        """Append an event, and wake who waits for it. Returns its number. `LostError` as in `progress`."""
        with self.database.writing() as connection:
            if not self._ours(connection, [job]):
                raise LostError(_lost(job))
            return writes.add_event(connection, job.id, kind, data)

    def end(
        self,
        job: Job,
        state: str = DONE,
        *,
        result: dict[str, Any] | None = None,
        reason: str | None = None,
        counted: Iterable[Counted] = (),
        body: dict[str, Any] | None = None,
    ) -> None:
        """End a job: its state, its result and the counts of its turns change together, or not at all.

        Args:
            job: a job of this worker.
            state: "done", "failed" or "cancelled".
            result: what came out. A cancelled job keeps the images that were finished.
            reason: why it failed.
            counted: what came out of its turns; the turns that are not named are given back.
            body: what is kept of the body, if not all of it.

        Raises:
            LostError: the job is not this worker's any more. Nothing is counted.
        """
        ended = Ended(job, state, result=result, reason=reason, counted=tuple(counted), body=body)
        if job.id not in self.end_all([ended]):
            raise LostError(_lost(job))

    def end_all(self, ended: Sequence[Ended], also: Callable[[Connection], None] | None = None) -> set[str]:
        """End several jobs in one transaction, each as `end` does.

        Args:
            ended: how they end.
            also: done first in the same transaction, such as to note whose the images are.

        Returns:
            The ids of those that ended. The others are not this worker's any more, and nothing of them is counted.
        """
        with self.database.writing() as connection:
            if also is not None:
                also(connection)
            ours = self._ours(connection, [each.job for each in ended])
            mine = [each for each in ended if each.job.id in ours]
            count(connection, [one for each in mine for one in each.counted], jobs=ours)
            writes.end(connection, [writes.End(e.job.id, e.state, e.result, e.reason, e.body) for e in mine])
        return ours

    def release(self, held: Iterable[Job]) -> None:
        """Put jobs back into the queue, where they were, as a worker that stops does. They keep their turns.

        A job that is not this worker's any more is left alone. A cancelled one ends."""
        for job in held:
            with self.database.writing() as connection:
                row = connection.execute(select(jobs.c.cancelling).where(*_held(job)).with_for_update()).first()
                if row is not None:
                    self._again(connection, job.id, bool(row.cancelling), attempts=jobs.c.attempts - 1)

    def sweep(self) -> int:
        """Put the jobs of dead workers back into the queue; those that cost too many workers fail. Returns how many."""
        longest = max(LEASE, self.lease) + SKEW  # a lease that ends later was given while the clock was ahead
        expired = (is_running, or_(jobs.c.lease < now(), jobs.c.lease > now() + longest))
        dead = select(jobs.c.id, jobs.c.attempts, jobs.c.cancelling).where(*expired)
        self._swept = time.monotonic()
        with self.database.reading() as connection:
            found = connection.scalars(select(jobs.c.id).where(*expired)).all()
        swept = 0
        for job in found:  # in a transaction of its own, so that none waits for a stream while it has another
            with self.database.writing() as connection:
                row = connection.execute(dead.where(jobs.c.id == job).with_for_update(skip_locked=True)).first()
                if row is None:
                    continue
                swept += 1
                if row.attempts >= self.attempts and not row.cancelling:
                    reason = f"its worker died or stopped answering, {row.attempts} times"
                    count(connection, [], jobs=[job])
                    writes.end(connection, [writes.End(job, FAILED, reason=reason)])
                else:
                    self._again(connection, job, bool(row.cancelling))
        return swept

    def _take(self, connection: Connection, kind: str, most: int, lane: str | None) -> list[Job]:
        """Claim jobs that wait, in the fair order."""
        mine = {"by": self.worker, "seconds": self.lease}
        rows = connection.execute(claiming(kind, most, lane), mine).all()
        return [Job.of(row) for row in sorted(rows, key=lambda row: (row.start, row.created))]

    def _ours(self, connection: Connection, held: Sequence[Job]) -> set[str]:
        """Lock the rows of jobs, in one order for all. Returns the ids of those that are still this worker's."""
        tokens = {job.id: job.token for job in held}
        rows = connection.execute(_RUNNING, {"ids": list(tokens)})
        return {row.id for row in rows if row.token == tokens[row.id]}

    def _again(self, connection: Connection, job: str, cancelling: bool, **values: Any) -> None:
        """Put a job back into the queue, or end it if it was cancelled."""
        if cancelling:
            count(connection, [], jobs=[job])
            writes.end(connection, [writes.End(job, CANCELLED)])
            return
        back = {"state": QUEUED, "worker": None, "lease": None, **values}
        connection.execute(update(jobs).where(jobs.c.id == job).values(back))
        writes.tell(connection, writes.QUEUE)


# To build a statement takes longer than to run it, so those that every job needs are built once.
_RUNNING = (
    select(jobs.c.id, jobs.c.token)
    .where(jobs.c.id.in_(bindparam("ids", expanding=True)), is_running)
    .order_by(jobs.c.id)
    .with_for_update()
)


def _held(job: Job) -> tuple[Any, ...]:
    return jobs.c.id == job.id, jobs.c.token == job.token, is_running


def _lost(job: Job) -> str:
    return f"job {job.id} is not this worker's any more; what it did is not counted"
