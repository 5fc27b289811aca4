"""The ledger in the database of a service: the same as `allocation.ledger.Ledger`, shared by many machines."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby

from sqlalchemy import delete, select, update

from fair_diffusion.allocation.ledger import KEPT, LEASE, Row, Turn
from fair_diffusion.allocation.stream import deficits
from fair_diffusion.policy.attributes import suggestion
from fair_diffusion.policy.target import Cell, Target
from fair_diffusion.service.database import Database, now
from fair_diffusion.service.streams import Counted, Wanted, count, pending, take
from fair_diffusion.service.tables import cells, streams, turns


class DatabaseLedger:
    """A ledger for `FairPipeline`, and for whoever shows or resets streams. Jobs take their turns by `Claims.reserve`.

    Every method raises `DatabaseError`, a `LedgerError`, if the database cannot be used.

    Args:
        database: where the streams are.
        lease: seconds that a turn may take before it must be renewed.

    Raises:
        ValueError: the lease is not above 0 and finite.
    """

    def __init__(self, database: Database, *, lease: float = LEASE) -> None:
        if not 0 < lease < float("inf"):
            raise ValueError(f"lease is {lease}: give a number of seconds above 0")
        self.database, self.lease = database, lease

    def reserve(self, *, rule: str, target: Target, n: int, model: str) -> Turn:
        """Reserve the next `n` images of the stream of `rule`, `target` and `model`. `ValueError` if n is below 1."""
        wanted = [Wanted(rule=rule, target=target, n=n, model=model, lease=self.lease)]
        while True:
            with self.database.writing() as connection:
                taken = take(connection, wanted)
            if taken is not None:
                return taken[0]

    def settle(
        self,
        turn: Turn,
        *,
        assigned: Sequence[Cell],
        perceived: Sequence[Cell | None],
        judged: Sequence[Cell | None],
    ) -> bool:
        """Count the images that came out of a turn, as `Ledger.settle` does.

        Returns:
            True if the turn is counted now. False, without any change, if it was settled, released or reset before.

        Raises:
            ValueError: what came out does not fit the turn.
        """
        counted = Counted(turn, assigned, perceived, judged)
        with self.database.writing() as connection:
            return bool(count(connection, [counted]))

    def release(self, turn: Turn) -> None:
        """Give the turn back, as if it had never been reserved. A settled turn stays as it is."""
        with self.database.writing() as connection:
            connection.execute(delete(turns).where(turns.c.id == turn.id))

    def renew(self, turn: Turn) -> None:
        """Restart the lease of a turn that takes long. A settled or released turn stays as it is."""
        with self.database.writing() as connection:
            values = {"expires": now() + self.lease, "lease": self.lease}
            connection.execute(update(turns).where(turns.c.id == turn.id, turns.c.job.is_(None)).values(values))

    def forget_expired(self) -> int:
        """Delete turns whose lease ran out 30 days ago; until then they can be settled. Returns how many."""
        with self.database.writing() as connection:
            return connection.execute(delete(turns).where(turns.c.expires < now() - KEPT)).rowcount

    def rows(self) -> list[Row]:
        """Every group of every stream, in the order in which the streams began."""
        wanted = select(streams, cells).join(cells).order_by(streams.c.id, cells.c.position)
        with self.database.reading() as connection:
            held = connection.execute(wanted).all()
            under_way = pending(connection)
        found: list[Row] = []
        for stream, part in groupby(held, key=lambda cell: cell.id):
            group = list(part)
            shares = [Fraction(cell.share) for cell in group]
            waiting = [under_way[stream][cell.name] for cell in group]
            lacking = deficits(shares, [cell.counted + more for cell, more in zip(group, waiting, strict=True)])
            found += [
                Row(
                    stream=stream,
                    rule=cell.rule,
                    model=cell.model,
                    attributes=cell.attributes,
                    group=cell.name,
                    share=share,
                    asked=cell.asked,
                    perceived=cell.perceived,
                    judged=cell.judged,
                    pending=more,
                    deficit=deficit,
                    n=sum(cell.asked for cell in group),
                )
                for cell, share, more, deficit in zip(group, shares, waiting, lacking, strict=True)
            ]
        return found

    def reset(self, rule: str | None = None) -> int:
        """Forget all streams, or only those of `rule`, with their turns under way. Returns how many streams.

        Raises:
            ValueError: the ledger has no stream of `rule`.
        """
        with self.database.writing() as connection:
            if rule is None:
                return connection.execute(delete(streams)).rowcount
            known = connection.scalars(select(streams.c.rule).distinct()).all()
            if rule not in known:
                mend = suggestion(rule, tuple(known)) if known else "it is empty"
                raise ValueError(f"the ledger has no rule {rule!r}; {mend}")
            return connection.execute(delete(streams).where(streams.c.rule == rule)).rowcount
