"""What clients and workers both write of a job, within a transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from fair_diffusion.service.database import now
from fair_diffusion.service.tables import events, jobs

CHANNEL = "fair_diffusion"
QUEUE = "queue"
"""The topic of new jobs; the topic of a job is its id."""


_NUMBER = select(func.coalesce(func.max(events.c.number), 0) + 1).where(events.c.job == bindparam("of"))
_EVENT = (
    insert(events)
    .values(
        job=bindparam("of"),
        number=_NUMBER.scalar_subquery(),
        kind=bindparam("what"),
        data=bindparam("told", type_=events.c.data.type),
        time=now(),
    )
    .returning(events.c.number)
)


def tell(connection: Connection, topic: str) -> None:
    """Wake those who listen to `topic`, as soon as the transaction is done. On SQLite they look by themselves."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_notify(CHANNEL, topic)))


def add_event(connection: Connection, job: str, kind: str, data: dict[str, Any]) -> int:
    """Append an event to a job, whose row the transaction has locked. Returns its number."""
    number = connection.execute(_EVENT, {"of": job, "what": kind, "told": data}).scalar_one()
    tell(connection, job)
    return int(number)


def end(connection: Connection, job: str, state: str, **values: Any) -> None:
    """Write the end of a job, whose row the transaction has locked. Its turns are the caller's to count or delete."""
    ended = {"state": state, "ended": now(), "expires": now() + jobs.c.kept, "worker": None, "lease": None, **values}
    connection.execute(update(jobs).where(jobs.c.id == job).values(ended))
    add_event(connection, job, state, {} if values.get("reason") is None else {"reason": values["reason"]})
