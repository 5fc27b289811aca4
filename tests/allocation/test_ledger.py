"""The ledger: what is asked next, what counts, and that neither two processes nor a killed one change that."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from fair_diffusion.allocation.ledger import KEPT, LEASE, Ledger, Row, Turn
from fair_diffusion.allocation.stream import deficits, next_cells
from fair_diffusion.policy import Cell, Target
from fair_diffusion.policy.target import cells, complete, uniform

TONES = uniform("skin_tone")
GENDER = complete(("gender",), {("woman",): Fraction(1, 3), ("man",): Fraction(2, 3)})
HALF = uniform("gender")
JOINT = Target(
    ("gender", "skin_tone"),
    {(a, b): GENDER.shares[a,] * TONES.shares[b,] for a, b in cells(("gender", "skin_tone"))},
)
WORKER = Path(__file__).with_name("ledger_worker.py")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the ledger, as a list of one number that a test moves on."""
    now = [1e9]
    monkeypatch.setattr("fair_diffusion.allocation.ledger._now", lambda: now[0])
    return now


def ask(ledger: Ledger, target: Target = TONES, n: int = 1, rule: str = "nurse", model: str = "pocket") -> Turn:
    return ledger.reserve(rule=rule, target=target, n=n, model=model)


def asked(turn: Turn) -> list[Cell]:
    return [cell for cell, quota in zip(turn.target.shares, turn.quotas, strict=True) for _ in range(quota)]


def comply(ledger: Ledger, turn: Turn) -> bool:
    return ledger.settle(turn, assigned=asked(turn), perceived=asked(turn), judged=asked(turn))


def counts(ledger: Ledger, column: str) -> dict[str, int]:
    return {row.group: getattr(row, column) for row in ledger.rows() if getattr(row, column)}


def sql(file: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as connection, connection:
        return connection.execute(statement).fetchall()


def test_any_prefix_of_single_images_is_within_one_image_of_the_target(file: Path) -> None:
    ledger, had = Ledger(file), Counter[Cell]()
    for t in range(1, 41):
        turn = ask(ledger, JOINT)
        had.update(asked(turn))
        comply(ledger, turn)
        assert max(abs(share * t - had[cell]) for cell, share in JOINT.shares.items()) < 1
    assert ledger.rows()[0].n == 40


def test_one_request_or_many_give_the_same_counts(tmp_path: Path) -> None:
    one, many = Ledger(tmp_path / "one"), Ledger(tmp_path / "many")
    for ledger in (one, many):
        ledger.release(ask(ledger, GENDER))
        sql(ledger.file, "UPDATE streams SET lot = 7")
    singles = [asked(ask(one, GENDER))[0] for _ in range(12)]
    assert Counter(singles) == Counter(asked(ask(many, GENDER, 5)) + asked(ask(many, GENDER, 7)))
    assert counts(one, "pending") == counts(many, "pending")


def test_streams_do_not_all_begin_with_the_same_group(file: Path) -> None:
    ledger = Ledger(file)
    first = Counter(asked(ask(ledger, HALF, rule=f"rule {k}"))[0] for k in range(30))
    assert set(first) == {("woman",), ("man",)}  # one alone: once in 2²⁹ runs


def test_rule_target_and_model_each_have_a_stream_of_their_own(file: Path) -> None:
    ledger = Ledger(file)
    nearly, third, half = complete(("gender",), {("woman",): Fraction(3333, 10000)}), Fraction(1, 3), Fraction(1, 2)
    for target, name, model in ((GENDER, "a", "m"), (nearly, "a", "m"), (HALF, "b", "m"), (HALF, "b", "other")):
        ask(ledger, target, 6, rule=name, model=model)
    taken = {(row.rule, row.model, row.share): row.pending for row in ledger.rows() if row.group == "woman"}
    assert list(taken) == [
        ("a", "m", third),
        ("a", "m", nearly.shares["woman",]),
        ("b", "m", half),
        ("b", "other", half),
    ]
    assert list(taken.values()) == [2, 2, 3, 3]


def test_the_same_target_in_another_order_is_the_same_stream(file: Path) -> None:
    ledger = Ledger(file)
    turned = Target(GENDER.attributes, dict(reversed(GENDER.shares.items())))
    ask(ledger, GENDER, 30)
    assert ask(ledger, turned, 30).quotas == [0, 20, 10]
    assert counts(ledger, "pending") == {"woman": 20, "man": 40}


def test_shares_are_kept_exactly(file: Path) -> None:
    ask(Ledger(file), GENDER)
    assert [row.share for row in Ledger(file).rows()] == [Fraction(1, 3), Fraction(2, 3), 0]
    assert sql(file, "SELECT share FROM cells ORDER BY position") == [("1/3",), ("2/3",), ("0",)]


def test_what_the_perceiver_saw_is_made_up_for(file: Path) -> None:
    ledger = Ledger(file)
    turn = ask(ledger, HALF, 10)
    ledger.settle(turn, assigned=asked(turn), perceived=[("man",)] * 10, judged=[None] * 10)
    assert ask(ledger, HALF, 10).quotas == [10, 0, 0]
    assert counts(ledger, "asked") == {"woman": 5, "man": 5}
    assert counts(ledger, "perceived") == {"man": 10}


def test_unknown_counts_as_asked_and_a_group_without_a_share_as_nothing(file: Path) -> None:
    ledger = Ledger(file)
    turn = ask(ledger, HALF, 4)
    seen = [("androgynous",), None, None, ("nobody",)]
    ledger.settle(turn, assigned=asked(turn), perceived=seen, judged=[None] * 4)
    assert asked(turn)[0] == ("woman",)
    assert ask(ledger, HALF).quotas == [1, 0, 0]
    deficit = {row.group: row.deficit for row in ledger.rows()}
    assert deficit == {"woman": 0, "man": 0, "androgynous": -1}


def test_the_judge_never_steers(file: Path) -> None:
    ledger = Ledger(file)
    turn = ask(ledger, HALF, 10)
    ledger.settle(turn, assigned=asked(turn), perceived=asked(turn), judged=[("man",)] * 10)
    assert ask(ledger, HALF, 10).quotas == [5, 5, 0]
    assert counts(ledger, "judged") == {"man": 10}


def test_a_partial_settle_gives_the_rest_back(file: Path) -> None:
    ledger = Ledger(file)
    turn = ask(ledger, GENDER, 9)
    assert ledger.settle(turn, assigned=[("woman",)] * 3, perceived=[("woman",)] * 3, judged=[None] * 3)
    assert counts(ledger, "asked") == {"woman": 3}
    assert counts(ledger, "pending") == {}
    assert ask(ledger, GENDER, 6).quotas == [0, 6, 0]
    assert ledger.settle(ask(ledger), assigned=[], perceived=[], judged=[])


def test_a_turn_counts_once_or_not_at_all(file: Path) -> None:
    ledger = Ledger(file)
    turn, other = ask(ledger), ask(ledger)
    assert comply(ledger, turn)
    assert not comply(ledger, turn)
    ledger.release(turn)
    ledger.renew(turn)
    ledger.release(other)
    assert not comply(ledger, other)
    assert sum(counts(ledger, "asked").values()) == 1
    assert counts(ledger, "pending") == {}


def test_a_lease_runs_out_unless_renewed_and_a_late_settle_counts_once(file: Path, clock: list[float]) -> None:
    ledger = Ledger(file)
    kept, lost = ask(ledger, GENDER, 3), ask(ledger, GENDER, 3)
    clock[0] += LEASE - 1
    ledger.renew(kept)
    clock[0] += 2
    assert counts(ledger, "pending") == {"woman": 1, "man": 2}
    again = ask(ledger, GENDER, 3)
    assert comply(ledger, again)
    assert comply(ledger, kept)
    assert comply(ledger, lost)
    assert not comply(ledger, lost)
    assert counts(ledger, "asked") == {"woman": 3, "man": 6}


def test_a_clock_that_jumped_ahead_holds_no_turn_longer_than_its_lease(file: Path, clock: list[float]) -> None:
    """Of a turn that claims to expire later than a lease from now, it is over. It can be settled."""
    ledger, slow = Ledger(file), Ledger(file, lease=7 * LEASE)
    clock[0] += 365 * 24 * 3600
    late = ask(ledger, GENDER, 3)
    assert sum(counts(ledger, "pending").values()) == 3
    clock[0] -= 365 * 24 * 3600
    assert counts(ledger, "pending") == {}
    long = ask(slow, GENDER, 3)  # its lease is longer than ours, and holds
    assert sum(counts(ledger, "pending").values()) == 3
    ledger.release(long)
    clock[0] -= 1  # what clocks are adjusted by ends no lease
    turn = ask(ledger, GENDER, 3)
    clock[0] -= 1
    assert sum(counts(ledger, "pending").values()) == 3
    assert comply(ledger, late)
    assert comply(ledger, turn)
    ledger.renew(late)
    assert sum(counts(ledger, "asked").values()) == 6


def test_a_ledger_without_leases_goes_on(file: Path, clock: list[float]) -> None:
    """A file of the first schema is migrated; its turns under way have the usual lease."""
    ledger = Ledger(file)
    turn = ask(ledger, GENDER, 3)
    sql(file, "ALTER TABLE turns DROP COLUMN lease")
    sql(file, "UPDATE alembic_version SET version_num = '0001'")
    again = Ledger(file)
    assert sum(counts(again, "pending").values()) == 3
    assert comply(again, turn)
    assert sum(counts(again, "asked").values()) == 3


def test_a_turn_forgotten_for_a_month_is_gone(file: Path, clock: list[float]) -> None:
    ledger = Ledger(file)
    turn = ask(ledger)
    clock[0] += LEASE + KEPT + 1
    ask(ledger)
    assert not comply(ledger, turn)
    assert sql(file, "SELECT count(*) FROM turns") == [(1,)]


def test_reset_forgets_one_rule_or_all_with_what_is_under_way(file: Path) -> None:
    ledger = Ledger(file)
    turn = ask(ledger, rule="nurse")
    ask(ledger, GENDER, rule="doctor")
    ask(ledger, TONES, rule="doctor")
    with pytest.raises(ValueError, match=r"no rule 'nurs'; did you mean 'nurse'\?"):
        ledger.reset("nurs")
    assert ledger.reset("doctor") == 2
    assert {row.rule for row in ledger.rows()} == {"nurse"}
    assert ledger.reset() == 1
    assert not comply(ledger, turn)
    assert ledger.rows() == []
    assert [sql(file, f"SELECT count(*) FROM {table}") for table in ("cells", "turns")] == [[(0,)], [(0,)]]
    with pytest.raises(ValueError, match="no rule 'nurse'; it is empty"):
        ledger.reset("nurse")


def test_wrong_arguments_are_named(file: Path) -> None:
    ledger = Ledger(file)
    with pytest.raises(ValueError, match="n is 0: give at least 1 image"):
        ask(ledger, n=0)
    with pytest.raises(ValueError, match="lease is 0: give a number of seconds above 0"):
        Ledger(file, lease=0)
    turn = ask(ledger, GENDER, 2)
    man, old = ("man",), ("old",)
    with pytest.raises(ValueError, match=r"3 assigned, 3 perceived and 3 judged cells: .* at most the 2 images"):
        ledger.settle(turn, assigned=[man] * 3, perceived=[man] * 3, judged=[man] * 3)
    with pytest.raises(ValueError, match="2 assigned, 1 perceived and 2 judged cells: give one of each per image"):
        ledger.settle(turn, assigned=[man] * 2, perceived=[man], judged=[man] * 2)
    with pytest.raises(ValueError, match=r"assigned is \('old',\): give a cell of the target, gender"):
        ledger.settle(turn, assigned=[old], perceived=[man], judged=[man])
    assert comply(ledger, turn)


class LedgerMachine(RuleBasedStateMachine):
    """Any order of requests, outcomes, failures and waiting, against counts kept by hand."""

    turns: Bundle[Turn] = Bundle("turns")
    groups = st.sampled_from(list(GENDER.shares))
    now = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("fair_diffusion.allocation.ledger._now", lambda: self.now)
        self.kept: dict[str, Counter[Cell]] = {name: Counter() for name in ("asked", "perceived", "judged", "counted")}
        self.open: dict[str, tuple[Turn, float]] = {}

    @initialize(lot=st.integers(0, 2**31 - 1))
    def begin(self, lot: int) -> None:
        self.file, self.lot = Path(self.folder.name) / "ledger", lot
        self.ledger = Ledger(self.file)
        self.ledger.release(ask(self.ledger, GENDER))
        sql(self.file, f"UPDATE streams SET lot = {lot}")

    def pending(self) -> Counter[Cell]:
        return Counter(cell for turn, expires in self.open.values() if expires > self.now for cell in asked(turn))

    @rule(target=turns, n=st.integers(1, 9))
    def reserve(self, n: int) -> Turn:
        had = [self.kept["counted"][cell] + self.pending()[cell] for cell in GENDER.shares]
        turn = ask(self.ledger, GENDER, n)
        chosen = next_cells(list(GENDER.shares.values()), had, n, self.lot)
        assert turn.quotas == [chosen.count(k) for k in range(3)]
        self.open[turn.id] = turn, self.now + LEASE
        return turn

    @rule(turn=turns, data=st.data())
    def settle(self, turn: Turn, data: st.DataObject) -> None:
        some = asked(turn)[: data.draw(st.integers(0, sum(turn.quotas)))]
        perceived, judged = (
            data.draw(st.lists(st.none() | self.groups, min_size=len(some), max_size=len(some))) for _ in range(2)
        )
        now = self.ledger.settle(turn, assigned=some, perceived=perceived, judged=judged)
        assert now == (turn.id in self.open)
        if now:
            del self.open[turn.id]
            self.kept["asked"].update(some)
            self.kept["perceived"].update(cell for cell in perceived if cell)
            self.kept["judged"].update(cell for cell in judged if cell)
            self.kept["counted"].update(seen or cell for seen, cell in zip(perceived, some, strict=True))

    @rule(turn=consumes(turns))
    def release(self, turn: Turn) -> None:
        self.ledger.release(turn)
        self.open.pop(turn.id, None)

    @rule(turn=turns)
    def renew(self, turn: Turn) -> None:
        self.ledger.renew(turn)
        if turn.id in self.open:
            self.open[turn.id] = turn, self.now + LEASE

    @rule(seconds=st.sampled_from([LEASE / 2, LEASE + 1]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.ledger = Ledger(self.file)

    @invariant()
    def rows_show_what_was_kept(self) -> None:
        had = [self.kept["counted"][cell] + self.pending()[cell] for cell in GENDER.shares]
        lacking = deficits(list(GENDER.shares.values()), had)
        n = self.kept["asked"].total()
        assert self.ledger.rows() == [
            Row(
                stream=1,
                rule="nurse",
                model="pocket",
                attributes="gender",
                group=cell[0],
                share=share,
                **{name: self.kept[name][cell] for name in ("asked", "perceived", "judged")},
                pending=self.pending()[cell],
                deficit=deficit,
                n=n,
            )
            for (cell, share), deficit in zip(GENDER.shares.items(), lacking, strict=True)
        ]

    def teardown(self) -> None:
        self.patch.undo()
        self.folder.cleanup()


LedgerMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
test_any_order_of_events_keeps_the_counts = LedgerMachine.TestCase


@contextmanager
def worker(verb: str, file: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of ledger_worker.py that is ready to begin."""
    command = [sys.executable, "-W", "error", str(WORKER), verb, str(file), str(os.getpid())]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def finish(process: subprocess.Popen[str]) -> str:
    """What it wrote; it must have ended well and silently."""
    out, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (0, "")
    return out


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def whole(file: Path) -> bool:
    return sql(file, "PRAGMA integrity_check") == [("ok",)]


def test_two_processes_at_once_lose_and_double_nothing(file: Path) -> None:
    ledger = Ledger(file)
    ledger.release(ask(ledger))
    # The order in which turns were committed, noted by the database itself.
    sql(file, "CREATE TABLE noted (place INTEGER PRIMARY KEY, quotas TEXT)")
    sql(file, "CREATE TRIGGER note AFTER INSERT ON turns BEGIN INSERT INTO noted (quotas) VALUES (new.quotas); END")
    with worker("serve", file) as one, worker("serve", file) as other:
        begin(one)
        begin(other)
        assert [finish(process).count("settled") for process in (one, other)] == [50, 50]
    assert counts(ledger, "asked") == counts(ledger, "perceived") == {cell[0]: 20 for cell in TONES.shares}
    assert counts(ledger, "pending") == {}
    ((lot,),) = sql(file, "SELECT lot FROM streams")
    order = [name for (name,) in sql(file, "SELECT key FROM noted, json_each(noted.quotas) ORDER BY place")]
    names = [cell[0] for cell in TONES.shares]
    assert order == [names[k] for k in next_cells(list(TONES.shares.values()), [0] * 5, 100, lot)]
    assert all(abs(t / 5 - order[:t].count(name)) < 1 for t in range(101) for name in names)
    assert whole(file)


def test_a_worker_ends_when_the_process_that_started_it_is_killed(file: Path) -> None:
    start = (
        "import os, subprocess, sys\n"
        "worker = subprocess.Popen([sys.executable, *sys.argv[1:], str(os.getpid())], stdin=subprocess.PIPE)\n"
        "worker.communicate(b'\\n')\n"
    )
    command = [sys.executable, "-c", start, str(WORKER), "endless", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        try:
            assert [line(parent), line(parent)] == ["ready", "settled"]
            parent.kill()
            parent.communicate(timeout=60)  # the worker holds the same pipe, which ends when both are gone
        finally:
            with suppress(ProcessLookupError):
                os.killpg(parent.pid, signal.SIGKILL)
    assert parent.returncode == -signal.SIGKILL
    assert whole(file)


def test_many_processes_may_make_the_file_at_once(file: Path) -> None:
    with worker("reserve", file) as a, worker("reserve", file) as b, worker("reserve", file) as c:
        for process in (a, b, c):
            begin(process)
        for process in (a, b, c):
            assert line(process) == "reserved"
            assert finish(process) == ""
    assert sum(counts(Ledger(file), "pending").values()) == 3
    assert sql(file, "PRAGMA journal_mode") == [("wal",)]
    assert sql(file, "SELECT count(*) FROM streams") == [(1,)]


def test_a_killed_process_gives_its_turn_back_when_the_lease_runs_out(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with worker("reserve", file) as process:
        begin(process)
        assert line(process) == "reserved"
    assert process.returncode == -9
    ledger = Ledger(file)
    first = counts(ledger, "pending")
    assert sum(first.values()) == 1
    assert comply(ledger, ask(ledger, n=4))
    assert counts(ledger, "asked") == {cell[0]: 1 for cell in TONES.shares if cell[0] not in first}
    monkeypatch.setattr("fair_diffusion.allocation.ledger._now", lambda: time.time() + LEASE)
    assert comply(ledger, ask(ledger))
    assert counts(ledger, "asked") == {cell[0]: 1 for cell in TONES.shares}
    assert whole(file)


def test_kill_in_the_midst_of_writing_loses_and_doubles_nothing(file: Path) -> None:
    done = unsure = 0
    for k in range(4):
        with worker("endless", file) as process:
            begin(process)
            seen = sum(line(process) == "settled" for _ in range(1 + 3 * k))
            process.kill()
            rest = process.communicate()[0].count("settled")
        assert process.returncode == -9
        done, unsure = done + seen + rest, unsure + 1
        total = sum(counts(Ledger(file), "asked").values())
        # The last image may be settled and the process killed before it could say so.
        assert done <= total <= done + unsure
        assert counts(Ledger(file), "asked") == counts(Ledger(file), "judged")
    assert sql(file, "SELECT count(*) FROM turns")[0][0] <= unsure
    assert whole(file)


def test_threads_may_share_a_ledger(file: Path) -> None:
    ledger = Ledger(file)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: comply(ledger, ask(ledger)), range(20)))
    assert counts(ledger, "asked") == {cell[0]: 4 for cell in TONES.shares}
