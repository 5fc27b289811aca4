"""The fair order between API keys: start-time fair queueing (Goyal, Vin, Cheng 1996), over cost.

Every job gets a start when it is put: S = max(V, F). F is the end of the key's job before it, its start + its cost. V
is where the queue is: the least start of the jobs that wait, or the greatest start so far if none waits. Jobs are done
in the order of their starts. So between two keys that both have jobs waiting, what was done for one is never ahead of
what was done for the other by more than the costs of one job of each, and a key that was idle gains no credit.

Deficit round robin shares by cost as well, with a looser bound, but keeps a deficit for each key that every claim must
lock and write. Here the order is a column with an index, so claims need nothing in common and skip each other's rows.

The kinds that the same workers do are one queue (`shared_workers.py`): a key that asks for many of them has one share.
Other kinds, and jobs of another priority, are another queue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Select, Text, bindparam, column, func, select, update, values
from sqlalchemy.sql.dml import ReturningUpdate

from fair_diffusion.service.database import Database, now
from fair_diffusion.service.job import RUNNING
from fair_diffusion.service.tables import is_queued, jobs

_ORDER = (jobs.c.priority.desc(), jobs.c.start, jobs.c.created, jobs.c.id)


def start(database: Database, connection: Connection, *, key: str, kinds: Sequence[str], priority: int) -> float:
    """The start of the next job of a key. The lock of the key is kept until the transaction ends.

    Without the lock, jobs that a key puts at once would all get the same start, and go before others'.

    Args:
        database: where the jobs are.
        connection: in a writing transaction.
        key: of the job.
        kinds: that are one queue with it, and its own.
        priority: of the job.
    """
    database.lock(connection, f"fair-diffusion: key {key}")
    row = connection.execute(_start(tuple(kinds)), {"whose": key, "how": priority}).one()
    return max(map(float, row))


# To build a statement takes longer than to run it, so those that every job needs are built once.
@lru_cache(maxsize=1024)
def _start(kinds: tuple[str, ...]) -> Select[Any]:
    """Where the queue is, and where the last job of the key ends. Each kind is looked up in an index."""
    kind, every = _each(kinds)
    queue = (jobs.c.kind == kind.c.kind, jobs.c.priority == bindparam("how"), jobs.c.start.is_not(None))
    last = select(jobs.c.start + jobs.c.cost).where(jobs.c.key == bindparam("whose"), *queue)
    end = last.order_by(jobs.c.start.desc()).limit(1)
    waiting = select(func.min(jobs.c.start)).where(*queue, is_queued)
    furthest = select(func.max(jobs.c.start)).where(*queue)
    here = func.coalesce(every(func.min, waiting), every(func.max, furthest), 0.0)
    return select(here, func.coalesce(every(func.max, end), 0.0))


@lru_cache(maxsize=1024)
def claiming(kind: str, most: int, lane: str | None) -> ReturningUpdate[Any]:
    """Claim the next jobs for the worker `by` and for `seconds`. Jobs that another one is just claiming are skipped."""
    waiting = select(jobs.c.id).where(is_queued, jobs.c.kind == kind)
    if lane is not None:
        waiting = waiting.where(jobs.c.lane == lane, jobs.c.attempts == 0)
    chosen = waiting.order_by(*_ORDER).limit(most).with_for_update(skip_locked=True).cte("chosen")
    mine = {
        "state": RUNNING,
        "worker": bindparam("by"),
        "token": jobs.c.token + 1,
        "attempts": jobs.c.attempts + 1,
        "began": func.coalesce(jobs.c.began, now()),
        "lease": now() + bindparam("seconds"),
    }
    return update(jobs).where(jobs.c.id.in_(select(chosen.c.id))).values(mine).returning(jobs)


@lru_cache(maxsize=1024)
def firsts_of(kinds: tuple[str, ...]) -> Select[Any]:
    """Kind, lane and attempts of the next job of each kind, in the order of the queue that they are together."""
    kind, _ = _each(kinds)
    first = select(jobs.c.id).where(is_queued, jobs.c.kind == kind.c.kind).order_by(*_ORDER).limit(1)
    firsts = select(first.correlate(kind).scalar_subquery()).select_from(kind)
    return select(jobs.c.kind, jobs.c.lane, jobs.c.attempts).where(jobs.c.id.in_(firsts)).order_by(*_ORDER)


def _each(kinds: tuple[str, ...]) -> tuple[CTE, Callable[[Any, Select[Any]], ColumnElement[Any]]]:
    """Kinds as a table, and what takes the least or greatest of what a statement finds for each."""
    table = values(column("kind", Text), name="each").data([(kind,) for kind in kinds]).cte("kinds")

    def over(best: Any, found: Select[Any]) -> ColumnElement[Any]:
        return select(best(found.correlate(table).scalar_subquery())).select_from(table).scalar_subquery()

    return table, over
