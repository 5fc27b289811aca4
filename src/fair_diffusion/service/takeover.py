"""Take the ledger in a file over into the database of a service: its streams, their counts and its open turns."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from fair_diffusion.allocation import ledger_file
from fair_diffusion.service.database import Database
from fair_diffusion.service.tables import cells, streams, trail, turns
from fair_diffusion.service.trail import COMMAND_LINE, note

TAKEN = "ledger taken over"
KEY = ("rule", "model", "attributes", "target")


def take_over_ledger(database: Database, file: Path, *, by: str = COMMAND_LINE) -> int:
    """Copy all streams of a ledger's file into the database, or none.

    The file stays as it is. Nothing should draw with it any more: what it counts from then on is not taken over.

    Args:
        database: where the streams go.
        file: a file that `generate --ledger` made.
        by: who does it, for the trail.

    Returns:
        How many streams were taken over.

    Raises:
        LedgerError: the file cannot be used.
        ValueError: the database has one of the streams already.
    """
    engine = ledger_file.open_file(file, create=False)
    with ledger_file.plain_errors(file), ledger_file.reading(engine) as connection:
        held = connection.execute(select(ledger_file.streams).order_by(ledger_file.streams.c.id)).all()
        counted = _rows(connection.execute(select(ledger_file.cells)))
        under_way = _rows(connection.execute(select(ledger_file.turns)))
    with database.writing() as connection:
        for stream in held:
            key = {name: getattr(stream, name) for name in KEY}
            if connection.execute(select(streams.c.id).filter_by(**key)).first():
                raise ValueError(
                    f"the database has a stream of rule {stream.rule!r} and model {stream.model!r} already, so nothing "
                    f"of {file} was taken over; take it over once, into a database that has not drawn by its rules"
                )
            made = insert(streams).values(**key, lot=stream.lot).returning(streams.c.id)
            new = connection.execute(made).scalar_one()
            for table, rows in ((cells, counted), (turns, under_way)):
                ours = [_for(table, row, new) for row in rows if row["stream"] == stream.id]
                if ours:
                    connection.execute(insert(table), ours)
        details = {"streams": len(held), "place": _place(file)}
        note(connection, by=by, change=TAKEN, subject=file.name, details=details)
    return len(held)


def take_over_once(database: Database, file: Path) -> int:
    """The same, unless the trail says that this file was taken over before. Returns how many streams are new.

    A server that is started again with the same options goes on with its own counts."""
    taken = (trail.c.change == TAKEN, trail.c.subject == file.name)
    with database.reading() as connection:
        before = connection.scalars(select(trail.c.details).where(*taken)).all()
    if any(details.get("place") == _place(file) for details in before):
        return 0
    return take_over_ledger(database, file)


def _place(file: Path) -> str:
    """A hash of where the file is: the trail shows no paths."""
    return hashlib.sha256(str(file.resolve()).encode()).hexdigest()


def _rows(found: Any) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in found]


def _for(table: Any, row: dict[str, Any], stream: int) -> dict[str, Any]:
    """A row of the file as one of the database's table: of the new stream, and without columns that it lacks."""
    return {name: value for name, value in row.items() if name in table.c} | {"stream": stream}
