"""The jobs of one campaign in the database: its own row, which its driver holds, and its cells.

A cell is a row from when it is put to when the driver has noted its end. So the table has no more rows than a window of
cells, however many there are in all. What the rows cannot tell any more, the parts do.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fair_diffusion.scale.campaign import Campaign, Cell, Told
from fair_diffusion.service.claims import LEASE, Claims
from fair_diffusion.service.database import Database, now
from fair_diffusion.service.fair_order import start
from fair_diffusion.service.holding import Holding
from fair_diffusion.service.job import CANCELLED, DONE, ENDS, FAILED, QUEUED, Job
from fair_diffusion.service.jobs import Jobs, digest_of
from fair_diffusion.service.tables import is_queued
from fair_diffusion.service.tables import jobs as table

KIND = "cell"
"""The kind of the jobs that cell workers claim."""
MOST = 500
"""Rows that one statement reads or deletes."""


class Ended(NamedTuple):
    """A cell that has ended: its row, what was to be drawn, its state, what its worker said of it, why it failed."""

    id: str
    name: str
    told: Told
    state: str
    result: Told
    reason: str | None


class Cells:
    """The cells of one campaign.

    Args:
        database: where they are.
        campaign: the id of the campaign's row.
    """

    def __init__(self, database: Database, campaign: str) -> None:
        self._database, self._campaign = database, campaign
        self._own = (table.c.key == campaign, table.c.kind == KIND)

    def put(self, cells: Sequence[Cell]) -> None:
        """Let cells wait for workers. One that is there already stays as it is."""
        dialect = postgresql if self._database.postgres else sqlite
        statement: Any = dialect.insert(table).values(_VALUES).on_conflict_do_nothing()
        with self._database.writing() as connection:
            first = start(self._database, connection, key=self._campaign, kinds=[KIND], priority=0)
            rows = []
            for cell in cells:
                body = {"campaign": self._campaign, "name": cell.name, "cell": cell.told}
                rows.append(
                    {
                        "id": f"job_{uuid.uuid4().hex}",
                        "of": self._campaign,
                        "cost": float(max(1, cell.images)),
                        "images": cell.images,
                        "start": first,
                        "body": body,
                        "digest": digest_of(KIND, body),
                        "idempotency": cell.name,
                    }
                )
                first += max(1, cell.images)
            connection.execute(statement, rows)

    def states(self) -> dict[str, int]:
        """How many cells are in each state."""
        counted = select(table.c.state, func.count().label("number")).where(*self._own).group_by(table.c.state)
        with self._database.reading() as connection:
            return {row.state: row.number for row in connection.execute(counted)}

    def ended(self) -> list[Ended]:
        """Some of the cells that have ended."""
        columns = (table.c.id, table.c.body, table.c.state, table.c.result, table.c.reason)
        found = select(*columns).where(*self._own, table.c.state.in_(ENDS)).order_by(table.c.ended).limit(MOST)
        with self._database.reading() as connection:
            rows = connection.execute(found).all()
        return [
            Ended(row.id, row.body["name"], row.body["cell"], row.state, row.result or {}, row.reason) for row in rows
        ]

    def forget(self, ended: Sequence[Ended]) -> None:
        """Delete cells whose end was noted."""
        with self._database.writing() as connection:
            connection.execute(delete(table).where(table.c.id.in_([each.id for each in ended])))

    def withdraw(self) -> None:
        """Delete the cells that wait, and those that failed. A worker goes on with those that it has."""
        with self._database.writing() as connection:
            connection.execute(delete(table).where(*self._own, is_queued))
            connection.execute(delete(table).where(*self._own, table.c.state.in_([FAILED, CANCELLED])))


_VALUES = {
    "kind": KIND,
    "state": QUEUED,
    "key": bindparam("of"),
    "lane": bindparam("of"),
    "priority": 0,
    "created": now(),
    "kept": 24 * 3600.0,
    "token": 0,
    "attempts": 0,
    "cancelling": False,
    **{name: bindparam(name) for name in ("id", "cost", "images", "start", "digest", "idempotency")},
    "body": bindparam("body", type_=table.c.body.type),
}


@contextmanager
def held(
    database: Database, campaign: Campaign, worker: str, *, lease: float = LEASE, tell: Callable[[str], None]
) -> Iterator[tuple[Job, Holding]]:
    """Hold the row of a campaign, which is made if it is not there, for as long as the context lasts.

    A driver that was killed leaves a lease, which this one waits for.

    Raises:
        ValueError: another driver has it.
    """
    told = campaign.told()
    kind = f"{campaign.kind} {digest_of(campaign.kind, told)[:16]}"
    claims = Claims(database, worker, lease=lease)
    job, _ = Jobs(database).put(kind, told, key=campaign.kind, idempotency=kind, images=0)
    mine = _taken(database, claims, job, tell)
    with Holding(claims) as holding:
        holding.add(mine)
        try:
            yield mine, holding
            claims.end(mine, DONE)
        except BaseException:
            claims.release([mine])
            raise


def _taken(database: Database, claims: Claims, job: Job, tell: Callable[[str], None]) -> Job:
    """The row of a campaign, claimed."""
    until, told = time.monotonic() + claims.lease + 5.0, False
    while True:
        _again(database, job)
        if taken := claims.claim([job.kind]):
            return taken[0]
        if time.monotonic() > until:
            raise ValueError("another process draws the same; wait for its end, or end it and try again")
        if not told:
            tell(f"another process draws the same, or was killed; waiting for up to {claims.lease:g} seconds")
            told = True
        time.sleep(1.0)


def _again(database: Database, job: Job) -> None:
    """Let a campaign that has ended be drawn again: something of it is missing, or more is asked for."""
    values: dict[str, Any] = {"state": QUEUED, "attempts": 0, "cancelling": False, "start": 0.0}
    values |= dict.fromkeys(("ended", "expires", "result", "reason", "progress"))
    with database.writing() as connection:
        connection.execute(update(table).where(table.c.id == job.id, table.c.state.in_(ENDS)).values(values))
