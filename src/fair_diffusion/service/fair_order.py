"""The fair order between API keys: start-time fair queueing (Goyal, Vin, Cheng 1996), over cost.

Every job gets a start when it is put: S = max(V, F). F is the end of the key's job before it, its start + its cost. V
is where the queue is: the least start of the jobs that wait, or the greatest start so far if none waits. Jobs are done
in the order of their starts. So between two keys that both have jobs waiting, what was done for one is never ahead of
what was done for the other by more than the costs of one job of each, and a key that was idle gains no credit.

Deficit round robin shares by cost as well, with a looser bound, but keeps a deficit for each key that every claim must
lock and write. Here the order is a column with an index, so claims need nothing in common and skip each other's rows.

Jobs of another kind or priority are another queue.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from fair_diffusion.service.database import Database
from fair_diffusion.service.tables import is_queued, jobs


def start(database: Database, connection: Connection, *, key: str, kind: str, priority: int) -> float:
    """The start of the next job of a key. The lock of the key is kept until the transaction ends.

    Without the lock, jobs that a key puts at once would all get the same start, and go before others'."""
    database.lock(connection, f"fair-diffusion: key {key}")
    row = connection.execute(_START, {"whose": key, "what": kind, "how": priority}).one()
    return max(map(float, row))


def _start() -> Select[Any]:
    """Where the queue is, and where the last job of the key ends."""
    queue = (jobs.c.kind == bindparam("what"), jobs.c.priority == bindparam("how"), jobs.c.start.is_not(None))
    last = select((jobs.c.start + jobs.c.cost).label("ended")).where(jobs.c.key == bindparam("whose"), *queue)
    end = last.order_by(jobs.c.start.desc()).limit(1).scalar_subquery()
    waiting = select(func.min(jobs.c.start)).where(*queue, is_queued)
    furthest = select(func.max(jobs.c.start)).where(*queue)
    here = func.coalesce(waiting.scalar_subquery(), furthest.scalar_subquery(), 0.0)
    return select(here, func.coalesce(end, 0.0))


_START = _start()  # to build it takes longer than to run it
