"""Jobs whose clients went away and may come back for them, whichever server of the database they then ask."""

from __future__ import annotations

from sqlalchemy import select, update

from fair_diffusion.service.database import Database, now
from fair_diffusion.service.job import QUEUED, RUNNING, Job
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.tables import jobs


def leave(database: Database, job: str) -> float:
    """Note that the client of a job went away, and return when. It may come back, until somebody calls `give_up`."""
    with database.writing() as connection:
        left = update(jobs).where(jobs.c.id == job).values(left=now())
        return float(connection.scalar(left.returning(jobs.c.left)) or 0.0)


def come_back(database: Database, key: str, digest: str, *, within: float) -> tuple[Job | None, bool]:
    """The job of the same request that a client left, if there is one; nobody else gets it from then on.

    Args:
        database: where the jobs are.
        key: of the client.
        digest: of what it asks for, by `jobs.digest_of`.
        within: seconds since it left, at most.

    Returns:
        The job, and whether there is one of the same request at work whose client is there, or has not been missed.
    """
    same = (jobs.c.key == key, jobs.c.digest == digest)
    gone = select(jobs.c.id).where(*same, jobs.c.left > now() - within).order_by(jobs.c.created).limit(1)
    taken = update(jobs).where(jobs.c.id.in_(gone.with_for_update(skip_locked=True))).values(left=None)
    with database.writing() as connection:
        row = connection.execute(taken.returning(jobs)).first()
        if row is not None:
            return Job.of(row), False
        at_work = select(jobs.c.id).where(*same, jobs.c.state.in_([QUEUED, RUNNING])).limit(1)
        return None, connection.execute(at_work).first() is not None


def give_up(database: Database, job: str, left: float) -> None:
    """Cancel a job whose client has not come back since it left at this time.

    If it came back and left again, whoever waited for it then gives it up."""
    with database.writing() as connection:
        gone = update(jobs).where(jobs.c.id == job, jobs.c.left == left).values(left=None)
        if not connection.execute(gone).rowcount:
            return
    Jobs(database).cancel(job)
