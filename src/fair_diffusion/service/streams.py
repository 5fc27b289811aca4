"""The streams of the ledger within a transaction: take a turn, count what came out of turns.

Whoever takes a turn or counts one locks the stream's row first, so that turns of one stream are chosen one after the
other, each by what the ones before left. SQLite has one writer at a time and needs no lock; the statement is the same.
"""

from __future__ import annotations

import secrets
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fair_diffusion.allocation.ledger import Turn
from fair_diffusion.allocation.stream import next_cells
from fair_diffusion.policy.target import Cell, Target
from fair_diffusion.service.database import now
from fair_diffusion.service.tables import cells, streams, turns

if TYPE_CHECKING:
    from fair_diffusion.result import Record

COLUMNS = ("asked", "perceived", "judged", "counted")


@dataclass(frozen=True)
class Counted:
    """What came out of a turn: for each image its cell as assigned, and as perceiver and judge read it.

    Fewer images than the turn has give the rest back. None is unknown.
    """

    turn: Turn
    assigned: Sequence[Cell]
    perceived: Sequence[Cell | None]
    judged: Sequence[Cell | None]

    def __post_init__(self) -> None:
        images = len(self.assigned)
        if not images == len(self.perceived) == len(self.judged) <= sum(self.turn.quotas):
            raise ValueError(
                f"{images} assigned, {len(self.perceived)} perceived and {len(self.judged)} judged cells: "
                f"give one of each per image, for at most the {sum(self.turn.quotas)} images of the turn"
            )
        shares = self.turn.target.shares
        if strange := [cell for cell in self.assigned if cell not in shares]:
            raise ValueError(f"assigned is {strange[0]}: give a cell of the target, {self.turn.target}")

    @classmethod
    def of(cls, turn: Turn, records: Sequence[Record]) -> Counted:
        """What came out, by the records of the images."""
        names = turn.target.attributes
        return cls(
            turn,
            [tuple(record.assigned[name] for name in names) for record in records],
            [_cell([record.perceived[name] for name in names]) for record in records],
            [_cell([record.judged[name] for name in names]) for record in records],
        )

    def changes(self) -> list[dict[str, Any]]:
        """For each cell that has more images now: its name, and how many by each column of `COLUMNS`."""
        shares = self.turn.target.shares
        counted = [seen if seen in shares else asked for asked, seen in zip(self.assigned, self.perceived, strict=True)]
        columns = zip(COLUMNS, (self.assigned, self.perceived, self.judged, counted), strict=True)
        found = {column: Counter(read) for column, read in columns}
        rows = [
            {"cell": cell_name(cell), **{f"more_{column}": counts[cell] for column, counts in found.items()}}
            for cell in shares
        ]
        return [row for row in rows if any(row[f"more_{column}"] for column in COLUMNS)]


def take(
    connection: Connection,
    *,
    rule: str,
    target: Target,
    n: int,
    model: str,
    lease: float | None = None,
    job: str | None = None,
) -> Turn:
    """Take the next `n` images of a stream, which is begun if it does not exist.

    Args:
        connection: in a writing transaction.
        rule, target, model: of the stream.
        n: images.
        lease: seconds for which the turn counts as under way.
        job: the job whose turn it is, instead of a lease. If the job has one in this stream, that is returned.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n is {n!r}: give at least 1 image")
    stream, lot = _stream(connection, rule, target, model)
    order = [cell_name(cell) for cell in target.shares]
    if job is not None:
        held = connection.execute(_HELD, {"by": job, "of": stream}).first()
        if held is not None:
            return Turn(held.id, target, [held.quotas.get(name, 0) for name in order])
    rows = connection.execute(_CELLS, {"of": stream}).all()
    under_way = pending(connection, [stream])[stream]
    counts = [row.counted + under_way[row.name] for row in rows]
    quotas = Counter(rows[k].name for k in next_cells([Fraction(row.share) for row in rows], counts, n, lot))
    identity = uuid.uuid4().hex
    expires = None if lease is None else now() + lease
    values = {"id": identity, "stream": stream, "job": job, "quotas": dict(quotas), "expires": expires}
    connection.execute(insert(turns).values(values))
    return Turn(identity, target, [quotas[name] for name in order])


def count(connection: Connection, counted: Iterable[Counted], *, job: str | None = None) -> set[str]:
    """Count what came out of turns, and end them. A turn counts once: whoever deletes its row counts it.

    Args:
        connection: in a writing transaction.
        counted: what came out. A turn that was settled, released or reset before is left alone.
        job: all turns of this job end, also those of which nothing came out.

    Returns:
        The ids of the turns that are counted now.
    """
    found = {each.turn.id: each for each in counted}
    if not found and job is None:
        return set()
    ours = turns.c.id.in_(found) if job is None else or_(turns.c.job == job, turns.c.id.in_(found))
    # In one order for all transactions, so that no two wait for each other.
    connection.execute(
        select(streams.c.id)
        .where(streams.c.id.in_(select(turns.c.stream).where(ours)))
        .order_by(streams.c.id)
        .with_for_update()
    )
    ended = connection.execute(delete(turns).where(ours).returning(turns.c.id, turns.c.stream)).all()
    changes = [{"of": row.stream, **change} for row in ended if row.id in found for change in found[row.id].changes()]
    if changes:
        connection.execute(_ADD, changes)
    return {row.id for row in ended if row.id in found}


# To build a statement takes longer than to run it, so those that every turn needs are built once.
_CELLS = select(cells).where(cells.c.stream == bindparam("of")).order_by(cells.c.position)
_HELD = select(turns).where(turns.c.job == bindparam("by"), turns.c.stream == bindparam("of"))
_KEY = ("rule", "model", "attributes", "target")
_FIND = (
    select(streams.c.id, streams.c.lot)
    .where(*(streams.c[name] == bindparam(f"of_{name}") for name in _KEY))
    .with_for_update()
)
_ADD = (
    update(cells)
    .where(cells.c.stream == bindparam("of"), cells.c.name == bindparam("cell"))
    .values({column: cells.c[column] + bindparam(f"more_{column}") for column in COLUMNS})
)


def pending(connection: Connection, of: Collection[int] | None = None) -> defaultdict[int, Counter[str]]:
    """Images under way by stream and cell: of turns whose job lives or whose lease has not run out.

    Args:
        connection: in a transaction.
        of: the streams; all if None.
    """
    under_way = select(turns.c.stream, turns.c.quotas).where(or_(turns.c.job.is_not(None), turns.c.expires > now()))
    if of is not None:
        under_way = under_way.where(turns.c.stream.in_(of))
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for stream, quotas in connection.execute(under_way):
        found[stream].update(quotas)
    return found


def cell_name(cell: Cell) -> str:
    """How a cell is called in the tables."""
    return " + ".join(cell)


def _stream(connection: Connection, rule: str, target: Target, model: str) -> tuple[int, int]:
    """The number and the lot seed of a stream, whose row is locked. Shares are kept exactly, as "1/3"."""
    key = {
        "rule": rule,
        "model": model,
        "attributes": " × ".join(target.attributes),
        "target": ", ".join(sorted(f"{cell_name(cell)} {share}" for cell, share in target.shares.items())),
    }
    wanted = {f"of_{name}": key[name] for name in _KEY}
    known = connection.execute(_FIND, wanted).first()
    if known is None:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        begun = dialect.insert(streams).values(**key, lot=secrets.randbelow(2**31)).on_conflict_do_nothing()
        if connection.execute(begun.returning(streams.c.id)).first() is not None:
            _begin_cells(connection, connection.execute(_FIND, wanted).one().id, target)
        known = connection.execute(_FIND, wanted).one()
    return known.id, known.lot


def _begin_cells(connection: Connection, stream: int, target: Target) -> None:
    none = dict.fromkeys(COLUMNS, 0)
    connection.execute(
        insert(cells),
        [
            {"stream": stream, "position": k, "name": cell_name(cell), "share": str(share), **none}
            for k, (cell, share) in enumerate(target.shares.items())
        ],
    )


def _cell(labels: Sequence[str | None]) -> Cell | None:
    known = tuple(label for label in labels if label is not None)
    return known if len(known) == len(labels) else None
