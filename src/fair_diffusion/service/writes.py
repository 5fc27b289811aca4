"""What clients and workers both write of a job, within a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, text, update

from fair_diffusion.service.database import TOLD, now
from fair_diffusion.service.tables import events, jobs

CHANNEL = "fair_diffusion"
QUEUE = "queue"
"""The topic of new jobs; the topic of a job is its id."""

# To build a statement takes longer than to run it, so those that every job needs are built once.
_NUMBER = select(func.coalesce(func.max(events.c.number), 0) + 1).where(events.c.job == bindparam("of"))
_EVENT = insert(events).values(
    job=bindparam("of"),
    number=_NUMBER.scalar_subquery(),
    kind=bindparam("what"),
    data=bindparam("told", type_=events.c.data.type),
    time=now(),
)
_NUMBERED = _EVENT.returning(events.c.number)
_TELL = text(f"SELECT pg_notify('{CHANNEL}', topic) FROM unnest(CAST(:topics AS text[])) AS topic")
_END = (
    update(jobs)
    .where(jobs.c.id == bindparam("of"))
    .values(
        state=bindparam("to"),
        ended=now(),
        expires=now() + jobs.c.kept,
        worker=None,
        lease=None,
        result=bindparam("came", type_=jobs.c.result.type),
        reason=bindparam("why"),
    )
)
_END_WITH_BODY = _END.values(body=bindparam("rest", type_=jobs.c.body.type))


def tell(connection: Connection, *topics: str) -> None:
    """Wake those who listen to these topics, as soon as the transaction is done."""
    if connection.dialect.name != "postgresql":
        connection.info[TOLD].update(topics)
    elif topics:
        connection.execute(_TELL, {"topics": list(topics)})


def add_event(connection: Connection, job: str, kind: str, data: dict[str, Any]) -> int:
    """Append an event to a job, whose row the transaction has locked. Returns its number."""
    number = connection.execute(_NUMBERED, {"of": job, "what": kind, "told": data}).scalar_one()
    tell(connection, job)
    return int(number)


class End(NamedTuple):
    """The end of a job: its state, its result, why it failed, and its body if not all of it is kept."""

    job: str
    state: str
    result: dict[str, Any] | None = None
    reason: str | None = None
    body: dict[str, Any] | None = None


def end(connection: Connection, ends: Sequence[End]) -> None:
    """Write the ends of jobs, whose rows the transaction has locked. Turns are the caller's to count or delete."""
    for statement, some in (
        (_END, [each for each in ends if each.body is None]),
        (_END_WITH_BODY, [each for each in ends if each.body is not None]),
    ):
        if some:
            connection.execute(statement, [_row(each) for each in some])
    told = [{"of": e.job, "what": e.state, "told": {} if e.reason is None else {"reason": e.reason}} for e in ends]
    if told:
        connection.execute(_EVENT, told)
        tell(connection, *(e.job for e in ends))


def _row(ended: End) -> dict[str, Any]:
    row = {"of": ended.job, "to": ended.state, "came": ended.result, "why": ended.reason}
    return row if ended.body is None else {**row, "rest": ended.body}
