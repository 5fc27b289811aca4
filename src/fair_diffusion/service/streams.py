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

from sqlalchemy import BindParameter, Connection, Float, and_, bindparam, delete, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from fair_diffusion.allocation.ledger import SKEW, Turn
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
            [_cell([record.counted[name] for name in names]) for record in records],
            [_cell([record.judged[name] for name in names]) for record in records],
        )

    def changes(self) -> dict[str, dict[str, int]]:
        """For each cell that has more images now, by its name: how many more by each column of `COLUMNS`."""
        shares = self.turn.target.shares
        counted = [seen if seen in shares else asked for asked, seen in zip(self.assigned, self.perceived, strict=True)]
        columns = zip(COLUMNS, (self.assigned, self.perceived, self.judged, counted), strict=True)
        found = {column: Counter(read) for column, read in columns}
        rows = {cell_name(cell): {column: counts[cell] for column, counts in found.items()} for cell in shares}
        return {name: row for name, row in rows.items() if any(row.values())}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A turn that somebody wants.

    Attributes:
        rule, target, model: of the stream.
        n: images.
        lease: seconds for which the turn counts as under way.
        job: the job whose turn it is, instead of a lease. If the job has one in this stream, that is its turn.
        natural: what the images show by themselves, if they are drawn already (None: unknown): the turn is of these
            groups as far as the stream leaves a choice.
    """

    rule: str
    target: Target
    n: int
    model: str
    lease: float | None = None
    job: str | None = None
    natural: Sequence[Cell | None] = ()

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, int) or self.n < 1:
            raise ValueError(f"n is {self.n!r}: give at least 1 image")

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What the stream is known by. Shares are kept exactly, as "1/3"."""
        return self.rule, self.model, " × ".join(self.target.attributes), self.target.key


def take(connection: Connection, wanted: Sequence[Wanted]) -> list[Turn] | None:
    """Take turns, in this order; None if a stream had to be begun: call it again then, in a new transaction.

    A transaction locks the streams that exist in the order of their ids, or it begins streams and locks none after
    that. So no two wait for each other.

    Args:
        connection: in a writing transaction.
        wanted: what is wanted.
    """
    if not wanted:
        return []
    by_key = {each.key: each for each in wanted}
    known = {tuple(row[2:]): (row.id, row.lot) for row in connection.execute(_FIND, {"keys": list(by_key)})}
    if len(known) < len(by_key):
        for key in sorted(by_key.keys() - known.keys()):
            _begin(connection, key, by_key[key].target)
        return None
    ids = [stream for stream, _ in known.values()]
    held = _held_turns(connection, [each.job for each in wanted if each.job is not None])
    cells_of: dict[int, list[Any]] = defaultdict(list)
    for row in connection.execute(_CELLS, {"ids": ids}):
        cells_of[row.stream].append(row)
    under_way, taken, new = pending(connection, ids), list[Turn](), list[dict[str, Any]]()
    for each in wanted:
        stream, lot = known[each.key]
        order = [cell_name(cell) for cell in each.target.shares]
        before = held.get((each.job, stream))
        if before is None:
            rows, waiting = cells_of[stream], under_way[stream]
            counts = [row.counted + waiting[row.name] for row in rows]
            shares = [Fraction(row.share) for row in rows]
            natural = [cell_name(cell) for cell in each.natural if cell is not None]
            wished = [k for name in natural for k, row in enumerate(rows) if row.name == name]
            quotas = dict(Counter(rows[k].name for k in next_cells(shares, counts, each.n, lot, wished)))
            waiting.update(quotas)
            before = held[each.job, stream] = uuid.uuid4().hex, quotas
            new.append({"id": before[0], "stream": stream, "job": each.job, "quotas": quotas, "seconds": each.lease})
        identity, quotas = before
        taken.append(Turn(identity, each.target, [quotas.get(name, 0) for name in order]))
    if new:
        connection.execute(_TAKE, new)
    return taken


def count(connection: Connection, counted: Iterable[Counted], *, jobs: Collection[str] = ()) -> set[str]:
    """Count what came out of turns, and end them. A turn counts once: whoever deletes its row counts it.

    Args:
        connection: in a writing transaction.
        counted: what came out. A turn that was settled, released or reset before is left alone.
        jobs: all turns of these jobs end, also those of which nothing came out.

    Returns:
        The ids of the turns that are counted now.
    """
    found = {each.turn.id: each for each in counted}
    if not found and not jobs:
        return set()
    which = {"ids": list(found), "of": list(jobs)}
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, which)  # in one order for all transactions, so that no two wait for each other
    ended = connection.execute(_END, which).all()
    more: defaultdict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    for row in ended:
        if row.id in found:
            for name, counts in found[row.id].changes().items():
                more[row.stream, name].update(counts)
    if more:
        none = dict.fromkeys(COLUMNS, 0)
        rows = [
            {"of": stream, "cell": name, **{f"more_{column}": n for column, n in (none | counts).items()}}
            for (stream, name), counts in more.items()
        ]
        connection.execute(_ADD, rows)
    return {row.id for row in ended if row.id in found}


def pending(connection: Connection, of: Sequence[int] | None = None) -> defaultdict[int, Counter[str]]:
    """Images under way by stream and cell: of turns whose job lives or whose lease has not run out.

    Args:
        connection: in a transaction.
        of: the streams; all if None.
    """
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    rows = connection.execute(_UNDER_WAY) if of is None else connection.execute(_UNDER_WAY_IN, {"ids": of})
    for stream, quotas in rows:
        found[stream].update(quotas)
    return found


def cell_name(cell: Cell) -> str:
    """How a cell is called in the tables."""
    return " + ".join(cell)


def _held_turns(
    connection: Connection, jobs: Sequence[str]
) -> dict[tuple[str | None, int], tuple[str, dict[str, int]]]:
    """The turns that jobs have already: their ids and quotas, by job and stream."""
    if not jobs:
        return {}
    return {(row.job, row.stream): (row.id, row.quotas) for row in connection.execute(_HELD, {"jobs": jobs})}


def _begin(connection: Connection, key: tuple[str, ...], target: Target) -> None:
    """Begin a stream, unless another transaction just did."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    begun = dialect.insert(streams).values(**dict(zip(_KEY, key, strict=True)), lot=secrets.randbelow(2**31))
    stream = connection.scalar(begun.on_conflict_do_nothing().returning(streams.c.id))
    if stream is None:
        return
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


# To build a statement takes longer than to run it, so they are built once.
def _any(name: str) -> BindParameter[Any]:
    """A list as a parameter, for `in_`."""
    return bindparam(name, expanding=True)


_KEY = ("rule", "model", "attributes", "target")
_FIND = (
    select(streams.c.id, streams.c.lot, *(streams.c[name] for name in _KEY))
    .where(tuple_(*(streams.c[name] for name in _KEY)).in_(_any("keys")))
    .order_by(streams.c.id)
    .with_for_update()
)
_CELLS = select(cells).where(cells.c.stream.in_(_any("ids"))).order_by(cells.c.stream, cells.c.position)
_HELD = select(turns).where(turns.c.job.in_(_any("jobs")))
_TAKE = insert(turns).values(
    id=bindparam("id"),
    stream=bindparam("stream"),
    job=bindparam("job"),
    quotas=bindparam("quotas", type_=turns.c.quotas.type),
    expires=now() + bindparam("seconds", type_=Float()),
    lease=bindparam("seconds", type_=Float()),
)
_UNDER_WAY = select(turns.c.stream, turns.c.quotas).where(
    or_(turns.c.job.is_not(None), and_(turns.c.expires > now(), turns.c.expires - turns.c.lease <= now() + SKEW))
)
_UNDER_WAY_IN = _UNDER_WAY.where(turns.c.stream.in_(_any("ids")))
_OURS = or_(turns.c.id.in_(_any("ids")), turns.c.job.in_(_any("of")))
_LOCK = (
    select(streams.c.id)
    .where(streams.c.id.in_(select(turns.c.stream).where(_OURS)))
    .order_by(streams.c.id)
    .with_for_update()
)
_END = delete(turns).where(_OURS).returning(turns.c.id, turns.c.stream)
_ADD = (
    update(cells)
    .where(cells.c.stream == bindparam("of"), cells.c.name == bindparam("cell"))
    .values({column: cells.c[column] + bindparam(f"more_{column}") for column in COLUMNS})
)
