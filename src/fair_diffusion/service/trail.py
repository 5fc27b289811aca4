"""The audit trail: every change of a key, a limit or a policy, with its time and who made it. It is only added to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from fair_diffusion.service.database import Database, now
from fair_diffusion.service.tables import trail

COMMAND_LINE = "command line"
"""Who made a change with the command on a machine that has the database."""


@dataclass(frozen=True)
class Change:
    """One change.

    Attributes:
        time: when, in seconds since 1970.
        by: the id of the key that made it, or `COMMAND_LINE`.
        change: what happened, such as "key added".
        subject: the id of what changed.
        details: what it is now, and why.
    """

    time: float
    by: str
    change: str
    subject: str
    details: dict[str, Any]


def note(connection: Connection, *, by: str, change: str, subject: str, details: dict[str, Any]) -> None:
    """Add a change to the trail, in the transaction that makes it."""
    values = {"time": now(), "by": by, "change": change, "subject": subject, "details": details}
    connection.execute(insert(trail).values(values))


def changes(database: Database, *, subject: str | None = None, most: int = 1000) -> list[Change]:
    """The newest changes, the latest first; only those of `subject`, where one is given."""
    wanted = select(trail).order_by(trail.c.id.desc()).limit(most)
    if subject is not None:
        wanted = wanted.where(trail.c.subject == subject)
    with database.reading() as connection:
        rows = connection.execute(wanted).all()
    return [Change(row.time, row.by, row.change, row.subject, row.details) for row in rows]
