"""Jobs whose clients wait for them, went away, or come back for them, whichever server of the database they then ask.

`jobs.left` says when the client of a job is gone. A server that waits for a job with its client moves that time ahead
again and again (`attend`). So a server that was killed, or cannot reach the database, has left its jobs by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Select, bindparam, or_, select, update

from fair_diffusion.service.database import Database, now
from fair_diffusion.service.job import DONE, QUEUED, RUNNING, Job
from fair_diffusion.service.jobs import ATTENDED, Jobs
from fair_diffusion.service.tables import is_queued, is_running, jobs

BACK = 10.0
"""Seconds in which a client may come back for a job that it left."""


def attend(database: Database, waiting: Collection[str], answered: Collection[str] = ()) -> None:
    """Note that the clients of some jobs wait for them, and that those of others have their answer.

    A waiting job that is just written is noted the next time; its client is taken to be there until then."""
    if waiting:
        with database.writing(durable=False) as connection:  # it is said again and again
            connection.execute(_ATTEND, {"ids": list(waiting)})
    if answered:  # by themselves: they may wait for others, and hold nothing then
        with database.writing() as connection:
            connection.execute(_ANSWERED, {"ids": list(answered)})


def leave(database: Database, job: str) -> float | None:
    """Note that the client of a job went away, and return when; None if somebody has the answer, or gave the job up."""
    with database.writing() as connection:
        waited = update(jobs).where(jobs.c.id == job, jobs.c.left.is_not(None)).values(left=now())
        left = connection.scalar(waited.returning(jobs.c.left))
    return None if left is None else float(left)


def come_back(
    database: Database, key: str, digests: Sequence[str], *, within: float, but: Collection[str] = ()
) -> tuple[Job | None, bool]:
    """The job of the same request that a client left, if there is one; nobody else gets it from then on.

    Args:
        database: where the jobs are.
        key: of the client.
        digests: of what it asks for, by `jobs.digest_of`: one for each model that it may have been meant for.
        within: seconds since it left, at most.
        but: jobs whose clients are known to be there.

    Returns:
        The job, and whether there is one of the same request at work whose client is there, or has not been missed.
    """
    same = (jobs.c.key == key, jobs.c.digest.in_(digests))
    wanted = (jobs.c.state.in_([QUEUED, RUNNING, DONE]), jobs.c.cancelling.is_(False))  # one that failed is put anew
    left = (jobs.c.left > now() - within, jobs.c.left <= now(), jobs.c.id.not_in(but))
    gone = select(jobs.c.id).where(*same, *wanted, *left).order_by(jobs.c.created).limit(1)
    there = or_(jobs.c.state.in_([QUEUED, RUNNING]), jobs.c.left > now())
    with database.looking() as connection:  # it is asked again and again
        if connection.execute(gone).first() is None:
            return None, connection.execute(select(jobs.c.id).where(*same, there).limit(1)).first() is not None
    one = gone.with_for_update(skip_locked=True).cte("one")  # PostgreSQL may run a subquery for each row
    taken = update(jobs).where(jobs.c.id.in_(select(one.c.id))).values(left=now() + ATTENDED)
    with database.writing() as connection:
        row = connection.execute(taken.returning(jobs)).first()
    return (None, True) if row is None else (Job.of(row), False)


def give_up(database: Database, job: str, left: float) -> None:
    """Cancel a job whose client has not come back since it left at this time.

    If it came back and left again, whoever waited for it then gives it up. `UnknownJobError` if there is no such job.
    """
    Jobs(database).cancel(job, left=left)


def forsaken(database: Database) -> list[tuple[str, float]]:
    """Leave the jobs whose servers vanished long ago, and return each with when it was left.

    They are to be given up like others: a server that is there after all attends to its jobs again in that time."""
    long_ago = jobs.c.left < now() - 2 * BACK
    with database.looking() as connection:
        found = [
            *connection.scalars(select(jobs.c.id).where(is_queued, long_ago)),
            *connection.scalars(select(jobs.c.id).where(is_running, long_ago)),
        ]
    if not found:
        return []
    at_rest = _at_rest(jobs.c.id.in_(found), long_ago)
    left = update(jobs).where(jobs.c.id.in_(at_rest)).values(left=now()).returning(jobs.c.id, jobs.c.left)
    with database.writing() as connection:
        return [(row.id, float(row.left)) for row in connection.execute(left)]


def _at_rest(*those: ColumnElement[bool]) -> Select[tuple[str]]:
    """Ids of those jobs that nobody else is just writing: who waits for no row is in nobody's way on PostgreSQL.

    The lock is that of an update, which lets others add events and turns of these jobs."""
    locked = select(jobs.c.id).where(*those).with_for_update(skip_locked=True, key_share=True)
    return select(locked.cte("at_rest").c.id)


# Built once: to build a statement takes longer than to run it.
_THESE = jobs.c.id.in_(bindparam("ids", expanding=True))
_ATTEND = update(jobs).where(jobs.c.id.in_(_at_rest(_THESE))).values(left=now() + ATTENDED)
_ANSWERED = update(jobs).where(_THESE).values(left=None)
