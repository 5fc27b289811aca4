"""The ledger: proportions that hold across requests, processes and restarts, not only within one request.

For each rule, target and model it keeps one stream (`stream.py`) in an SQLite file. A request takes a *turn*:

    turn = ledger.reserve(rule="nurse", target=target, n=1, model="pocket")     # turn.quotas: images per cell
    ...                                                                         # generate
    ledger.settle(turn, assigned=..., perceived=..., judged=...)                # or ledger.release(turn)

Images of a turn under way count as assigned. Settled images count as the perceiver read them, or as assigned if it was
not sure. So the next turn makes up for a miss. The judge's counts are kept and shown, and decide nothing.

A turn under way is one row of the file, and whoever deletes the row counts the turn. So a turn counts once or not at
all, whichever process is killed at whatever time. A turn that is not settled, released or renewed within its lease no
longer counts as under way. Nor does a turn that expires later than one lease from now: the clock was ahead when it was
reserved.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path

from sqlalchemy import Connection, Text, bindparam, cast, delete, insert, select, update

from fair_diffusion.allocation.ledger_file import LedgerError, cells, open_file, plain_errors, reading, streams, turns
from fair_diffusion.allocation.ledger_file import writing as transaction
from fair_diffusion.allocation.ledger_rows import StreamRow, cells_of, lot_of, quotas_of, streams_of
from fair_diffusion.allocation.stream import deficits, next_cells
from fair_diffusion.policy.attributes import suggestion
from fair_diffusion.policy.target import Cell, Target

__all__ = ["LEASE", "Ledger", "LedgerError", "Row", "Turn"]

LEASE = 15 * 60.0
"""Seconds for which a turn counts as under way after it is reserved or renewed."""
KEPT = 30 * 24 * 3600.0
"""Seconds for which a turn can still be settled after its lease ran out."""
SKEW = 60.0
"""Seconds by which the clocks of two processes may differ."""


@dataclass(frozen=True)
class Turn:
    """The share of one request in a stream.

    Attributes:
        id: the turn's row in the file.
        target: of the stream.
        quotas: images for each cell of `target.shares`, in order.
    """

    id: str
    target: Target
    quotas: list[int]


@dataclass(frozen=True)
class Row:
    """One group of a stream, or one combination of groups. Counts are images.

    Attributes:
        stream: the number of the stream.
        rule, model, attributes: of the stream.
        group: the group or combination.
        share: its share in the target.
        asked: settled images, by assignment.
        perceived: settled images, by the perceiver's readings.
        judged: settled images, by the judge's readings.
        pending: images under way.
        deficit: how many images the group lacks; the next turn goes by it.
        n: settled images of the whole stream. The rest up to `n` was read as unknown.
    """

    stream: int
    rule: str
    model: str
    attributes: str
    group: str
    share: Fraction
    asked: int
    perceived: int
    judged: int
    pending: int
    deficit: Fraction
    n: int


class Ledger:
    """The ledger in a file. Threads may share a ledger, and processes may share a file.

    Every method raises `LedgerError`, an `OSError` with the mend, if the file cannot be used.

    Args:
        file: the SQLite file.
        create: make the file if it does not exist; otherwise that is an error.
        lease: seconds that a turn may take before it must be renewed.

    Raises:
        ValueError: the lease is not above 0 and finite.
        LedgerError: the file cannot be used.
    """

    def __init__(self, file: str | Path, *, create: bool = True, lease: float = LEASE) -> None:
        if not 0 < lease < float("inf"):
            raise ValueError(f"lease is {lease}: give a number of seconds above 0")
        self.file, self.lease = Path(file).absolute(), lease
        self._engine = open_file(Path(file), create=create)

    def reserve(self, *, rule: str, target: Target, n: int, model: str) -> Turn:
        """Reserve the next `n` images of the stream of `rule`, `target` and `model`.

        If the target of a rule changes, a new stream begins, so that old counts never distort a new target.

        Raises:
            ValueError: `n` is not a whole number, 1 or more.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"n is {n!r}: give at least 1 image")
        turn = uuid.uuid4().hex
        with self._writing() as connection:
            now = _now()
            connection.execute(delete(turns).where(turns.c.expires < now - KEPT))
            stream, lot = _stream(connection, rule, target, model)
            named = select(cells).where(cells.c.stream == stream).order_by(cells.c.position)
            held = cells_of(connection.execute(named))
            pending = _pending(connection, now)[stream]
            counts = [cell["counted"] + pending[cell["name"]] for cell in held]
            chosen = next_cells([Fraction(cell["share"]) for cell in held], counts, n, lot)
            quotas = Counter(held[k]["name"] for k in chosen)
            values = {"id": turn, "stream": stream, "quotas": quotas, "expires": now + self.lease, "lease": self.lease}
            connection.execute(insert(turns).values(values))
        return Turn(turn, target, [quotas[_name(cell)] for cell in target.shares])

    def settle(
        self,
        turn: Turn,
        *,
        assigned: Sequence[Cell],
        perceived: Sequence[Cell | None],
        judged: Sequence[Cell | None],
    ) -> bool:
        """Count the images that came out of a turn, which may be fewer than reserved; the rest is given back.

        An expired turn can be settled for 30 days.

        Args:
            turn: as `reserve` gave it.
            assigned: the cell that each image was to show.
            perceived: the cell that the perceiver read in each image, None for unknown.
            judged: the same for the judge.

        Returns:
            True if the turn is counted now. False, without any change, if it was settled, released or reset before.

        Raises:
            ValueError: there are more images than reserved, the lists differ in length, or an assigned cell is not in
                the target.
        """
        if not len(assigned) == len(perceived) == len(judged) <= sum(turn.quotas):
            raise ValueError(
                f"{len(assigned)} assigned, {len(perceived)} perceived and {len(judged)} judged cells: "
                f"give one of each per image, for at most the {sum(turn.quotas)} images of the turn"
            )
        if strange := [cell for cell in assigned if cell not in turn.target.shares]:
            raise ValueError(f"assigned is {strange[0]}: give a cell of the target, {turn.target}")
        counted = [
            seen if seen in turn.target.shares else asked for asked, seen in zip(assigned, perceived, strict=True)
        ]
        found = {"asked": assigned, "perceived": perceived, "judged": judged, "counted": counted}
        more = [
            {"cell": _name(cell), **{f"more_{column}": list(seen).count(cell) for column, seen in found.items()}}
            for cell in turn.target.shares
        ]
        with self._writing() as connection:
            stream = connection.scalar(delete(turns).where(turns.c.id == turn.id).returning(turns.c.stream))
            if stream is None:
                return False
            here = (cells.c.stream == stream, cells.c.name == bindparam("cell"))
            added = {column: cells.c[column] + bindparam(f"more_{column}") for column in found}
            connection.execute(update(cells).where(*here).values(added), more)
            return True

    def release(self, turn: Turn) -> None:
        """Give the turn back, as if it had never been reserved. A settled turn stays as it is."""
        with self._writing() as connection:
            connection.execute(delete(turns).where(turns.c.id == turn.id))

    def renew(self, turn: Turn) -> None:
        """Restart the lease of a turn that takes long. A settled or released turn stays as it is."""
        with self._writing() as connection:
            values = {"expires": _now() + self.lease, "lease": self.lease}
            connection.execute(update(turns).where(turns.c.id == turn.id).values(values))

    def rows(self) -> list[Row]:
        """Every group of every stream, in the order in which the streams began."""
        with plain_errors(self.file), reading(self._engine) as connection:
            pending = _pending(connection, _now())
            named = select(streams, cells).join(cells).order_by(streams.c.id, cells.c.position)
            held = streams_of(connection.execute(named))
        rows: list[Row] = []
        for stream, group in groupby(held, key=lambda cell: cell["id"]):
            rows += _rows(list(group), pending[stream])
        return rows

    def reset(self, rule: str | None = None) -> int:
        """Forget all streams, or only those of `rule`, with their turns under way.

        Returns:
            How many streams are forgotten.

        Raises:
            ValueError: the ledger has no stream of `rule`.
        """
        with self._writing() as connection:
            if rule is None:
                return connection.execute(delete(streams)).rowcount
            known = connection.scalars(select(streams.c.rule).distinct()).all()
            if rule not in known:
                mend = suggestion(rule, tuple(known)) if known else "it is empty"
                raise ValueError(f"{self.file.name} has no rule {rule!r}; {mend}")
            return connection.execute(delete(streams).where(streams.c.rule == rule)).rowcount

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with plain_errors(self.file), transaction(self._engine) as connection:
            yield connection


def _now() -> float:
    return time.time()


def _name(cell: Cell) -> str:
    return " + ".join(cell)


def _stream(connection: Connection, rule: str, target: Target, model: str) -> tuple[int, int]:
    """The number and the lot seed of a stream, which is begun if it does not exist.

    Shares are kept exactly, as "1/3".
    """
    key = {
        "rule": rule,
        "model": model,
        "attributes": " × ".join(target.attributes),
        "target": target.key,
    }
    known = connection.execute(select(streams.c.id, streams.c.lot).filter_by(**key)).first()
    if known:
        return known.id, lot_of(known.lot)
    lot = secrets.randbelow(2**31)
    stream = connection.execute(insert(streams).values(**key, lot=lot).returning(streams.c.id)).scalar_one()
    none = dict.fromkeys(("asked", "perceived", "judged", "counted"), 0)
    connection.execute(
        insert(cells),
        [
            {"stream": stream, "position": k, "name": _name(cell), "share": str(share), **none}
            for k, (cell, share) in enumerate(target.shares.items())
        ],
    )
    return stream, lot


def _pending(connection: Connection, now: float) -> defaultdict[int, Counter[str]]:
    """Images under way by stream and cell: reserved, with a lease that has not run out."""
    pending: defaultdict[int, Counter[str]] = defaultdict(Counter)
    under_way = (turns.c.expires > now, turns.c.expires - turns.c.lease <= now + SKEW)
    for stream, quotas in connection.execute(select(turns.c.stream, cast(turns.c.quotas, Text)).where(*under_way)):
        pending[stream].update(quotas_of(quotas))
    return pending


def _rows(held: Sequence[StreamRow], pending: Counter[str]) -> list[Row]:
    """The rows of one stream from its cells."""
    shares = [Fraction(cell["share"]) for cell in held]
    lacking = deficits(shares, [cell["counted"] + pending[cell["name"]] for cell in held])
    return [
        Row(
            stream=cell["id"],
            rule=cell["rule"],
            model=cell["model"],
            attributes=cell["attributes"],
            group=cell["name"],
            share=share,
            asked=cell["asked"],
            perceived=cell["perceived"],
            judged=cell["judged"],
            pending=pending[cell["name"]],
            deficit=deficit,
            n=sum(cell["asked"] for cell in held),
        )
        for cell, share, deficit in zip(held, shares, lacking, strict=True)
    ]
