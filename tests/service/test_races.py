"""Several takers of one image at once: every prefix of a stream is within one image of its target."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import select, text

from fair_diffusion.allocation.ledger import Turn
from fair_diffusion.policy.target import Target, cells
from fair_diffusion.service.database import Database
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.streams import cell_name
from fair_diffusion.service.tables import turns

TAKERS, ROUNDS = 4, 200
SHARES = {3: (5, 3, 2), 7: (1, 2, 3, 4, 5, 6, 7)}
"""Shares of so many groups, as weights."""


def target(groups: int) -> Target:
    """A target in which so many combinations of gender and skin tone have a share."""
    names, weights = ("gender", "skin_tone"), SHARES[groups]
    shares = dict.fromkeys(cells(names), Fraction(0))
    shares |= {cell: Fraction(weight, sum(weights)) for cell, weight in zip(shares, weights, strict=False)}
    return Target(names, shares)


def take(ledger: DatabaseLedger, target: Target) -> Turn:
    return ledger.reserve(rule="nurse", target=target, n=1, model="pocket")


def settle(ledger: DatabaseLedger, turn: Turn) -> bool:
    shown = [cell for cell, quota in zip(turn.target.shares, turn.quotas, strict=True) if quota]
    return ledger.settle(turn, assigned=shown, perceived=shown, judged=shown)


def taken(database: Database) -> list[str]:
    """The cell of each turn of one image, in the order in which the turns were taken."""
    order = turns.c.expires if database.postgres else text("rowid")  # PostgreSQL's clock tells microseconds apart
    with database.reading() as connection:
        return [next(iter(quotas)) for quotas in connection.scalars(select(turns.c.quotas).order_by(order))]


def farthest(drawn: list[str], target: Target) -> Fraction:
    """How far any prefix is from the target, in images."""
    had, distances = Counter[str](), [Fraction(0)]
    for t, cell in enumerate(drawn, 1):
        had[cell] += 1
        distances.append(max(abs(share * t - had[cell_name(each)]) for each, share in target.shares.items()))
    return max(distances)


def at_once(url: str, work: Callable[[DatabaseLedger], None]) -> None:
    """Run `work` in four threads, each with a database that it opened itself."""

    def taker(_: int) -> None:
        database = Database(url)
        try:
            work(DatabaseLedger(database))
        finally:
            database.close()

    with ThreadPoolExecutor(TAKERS) as pool:
        list(pool.map(taker, range(TAKERS)))


@pytest.mark.parametrize("groups", SHARES)
def test_every_prefix_is_within_one_image_whoever_takes_at_once(url: str, groups: int) -> None:
    wanted, barrier = target(groups), Barrier(TAKERS)

    def taking(ledger: DatabaseLedger) -> None:
        for _ in range(ROUNDS):
            barrier.wait()
            take(ledger, wanted)

    at_once(url, taking)
    database = Database(url)
    drawn, rows = taken(database), DatabaseLedger(database).rows()
    database.close()
    assert len(drawn) == TAKERS * ROUNDS
    assert sum(row.share > 0 for row in rows) == groups == len(set(drawn))
    assert farthest(drawn, wanted) < 1


@pytest.mark.parametrize("groups", SHARES)
def test_it_holds_while_others_are_counted(url: str, groups: int) -> None:
    """In every round four take while the four of the round before are counted: each image is seen once."""
    wanted, barrier, off = target(groups), Barrier(TAKERS), list[Fraction]()
    watched = Database(url)

    def look() -> None:
        rows = DatabaseLedger(watched).rows()
        off.append(max(abs(row.deficit) for row in rows) if rows else Fraction(0))

    watch = Barrier(TAKERS, look)

    def working(ledger: DatabaseLedger) -> None:
        last: Turn | None = None
        for _ in range(ROUNDS // 2):
            barrier.wait()
            turn = take(ledger, wanted)
            assert last is None or settle(ledger, last)
            last = turn
            watch.wait()
        assert last is not None
        settle(ledger, last)

    at_once(url, working)
    rows = DatabaseLedger(watched).rows()
    watched.close()
    assert max(off) < 1
    assert {row.n for row in rows} == {TAKERS * ROUNDS // 2}
    assert not any(row.pending for row in rows)
    assert max(abs(row.deficit) for row in rows) < 1


def test_four_that_begin_a_stream_at_once_share_it(url: str) -> None:
    wanted, barrier = target(7), Barrier(TAKERS)

    def beginning(ledger: DatabaseLedger) -> None:
        for k in range(25):
            barrier.wait()
            ledger.reserve(rule=f"rule {k}", target=wanted, n=1, model="pocket")

    at_once(url, beginning)
    database = Database(url)
    rows = DatabaseLedger(database).rows()
    database.close()
    assert len({row.stream for row in rows}) == 25
    assert len(rows) == 25 * len(wanted.shares)
    assert sum(row.pending for row in rows) == 25 * TAKERS
    assert max(abs(row.deficit) for row in rows) < 1


def test_processes_share_a_stream(url: str) -> None:
    """Four processes take and count 50 images each, after one that waits for all of them."""
    script = Path(__file__).with_name("ledger_process.py")
    processes = [
        subprocess.Popen([sys.executable, script, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(TAKERS)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.communicate("go\n")
    assert [process.returncode for process in processes] == [0] * TAKERS
    database = Database(url)
    rows = DatabaseLedger(database).rows()
    database.close()
    assert {row.n for row in rows} == {TAKERS * 50}
    assert max(abs(row.deficit) for row in rows) < 1
