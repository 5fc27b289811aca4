"""The database: made, upgraded, refused with the mend; its migrations agree with its tables."""

from __future__ import annotations

import ast
import sqlite3
import time
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select, text, update

from fair_diffusion.allocation.ledger import Ledger, LedgerError
from fair_diffusion.policy.target import Cell, Target, uniform
from fair_diffusion.service.answers import shares_so_far
from fair_diffusion.service.database import SCHEMA, Database, DatabaseError, now
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.served_model import ServedModel, served_models
from fair_diffusion.service.settings import Settings
from fair_diffusion.service.tables import tables, trail, turns, workers
from fair_diffusion.service.takeover import take_over_ledger, take_over_once
from fair_diffusion.service.trail import changes

HALF = uniform("gender")
MODEL = ServedModel(
    name="m", width=64, height=64, grain=8, steps=4, guidance=2.0, attributes=["gender"], passes=2, weights="w"
)


def test_the_migrations_make_the_tables(database: Database) -> None:
    with database.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), tables)
    if not database.postgres:  # alembic cannot read the order of an index out of SQLite
        differences = [each for each in differences if each[1].name != "jobs_queue"]
    assert differences == []


def test_what_is_called_the_newest_schema_is_the_newest_migration(database: Database) -> None:
    """Otherwise an older database would be used as it is."""
    config = Config()
    config.set_main_option("script_location", "fair_diffusion.service:migrations")
    with database.reading() as connection:
        made = connection.scalar(text("SELECT version_num FROM alembic_version"))
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA == made


def test_its_clock_is_in_seconds_since_1970(database: Database) -> None:
    with database.writing() as connection:
        first, second = (connection.scalar(select(now())) for _ in range(2))
    assert first is not None
    assert second is not None
    assert abs(first - time.time()) < 60
    assert first <= second


def test_it_is_opened_again_as_it_was(url: str) -> None:
    for _ in range(2):
        database = Database(url, create=False) if _ else Database(url)
        DatabaseLedger(database).reserve(rule="nurse", target=HALF, n=1, model="pocket")
        database.close()
    database = Database(url)
    assert sum(row.pending for row in DatabaseLedger(database).rows()) == 2
    database.close()


@pytest.mark.parametrize("keep_open", [1, 3])
def test_so_many_connections_stay_open(url: str, keep_open: int) -> None:
    mine = Database(url)
    if not mine.postgres:
        pytest.skip("a file has no connections to run out of")
    other, counted = (
        Database(url, keep_open=keep_open),
        text("SELECT count(*) FROM pg_stat_activity WHERE datname = :own"),
    )
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(other.reading())
    left, until = 0, time.monotonic() + 10  # a server process ends a moment after its client is gone
    while left != 1 + keep_open and time.monotonic() < until:
        with mine.reading() as connection:
            left = connection.scalar(counted, {"own": mine.engine.url.database}) or 0
    mine.close()
    other.close()
    assert left == 1 + keep_open


def test_a_newer_schema_is_refused(url: str) -> None:
    database = Database(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(
        DatabaseError, match=rf"schema 9999; this one knows {SCHEMA}\); upgrade fair-diffusion, or name"
    ):
        Database(url)


def test_a_change_takes_effect_whole_or_not_at_all(database: Database) -> None:
    def broken() -> None:
        with database.writing() as connection:
            values = {"time": 0, "by": "", "change": "", "subject": "", "details": {}}
            connection.execute(insert(trail).values(values))
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert changes(database) == []


def test_errors_of_the_driver_are_one_plain_line(database: Database) -> None:
    with pytest.raises(DatabaseError, match="name another database") as error, database.writing() as connection:
        connection.execute(text("SELECT * FROM nothing"))
    assert "\n" not in str(error.value)


def test_a_connection_that_was_cut_while_it_rested_is_replaced(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when PostgreSQL starts anew. One that was used a moment ago is not asked for: that error is the caller's."""
    database, other = Database(url), Database(url)
    if database.postgres:
        for rest in (0.0, 3600.0):
            monkeypatch.setattr("fair_diffusion.service.database.FRESH", rest)
            with other.writing() as connection:
                others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                connection.execute(text(f"{others} AND datname = current_database()"))
            if rest:
                with pytest.raises(DatabaseError):
                    changes(database)
            assert changes(database) == []
    database.close()
    other.close()


def test_only_what_may_be_lost_does_not_wait_for_the_disk(database: Database) -> None:
    if database.postgres:
        with database.writing() as connection:
            connection.execute(text("SET synchronous_commit = on"))  # of this session, which is used again
        for durable, said in ((False, "off"), (True, "on")):
            with database.writing(durable=durable) as connection:
                assert connection.scalar(text("SHOW synchronous_commit")) == said


def test_a_worker_of_a_newer_version_is_known_by_what_is_known(database: Database) -> None:
    told = {**asdict(MODEL), "speed": "of light"}
    del told["created"], told["ready"], told["away"]
    with database.writing() as connection:
        connection.execute(insert(workers).values(name="newer", model=told, seen=now()))
    assert served_models(database) == [replace(MODEL, created=served_models(database)[0].created)]


@pytest.mark.parametrize("wrong", ["mysql://host/x", "sqlite://", "://", "postgresql+psycopg2://host/x"])
def test_other_databases_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"give postgresql\+psycopg://"):
        Database(wrong)


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="name another database") as error:
        Database(f"postgresql://u:secret@/x?host={tmp_path}")
    assert "secret" not in str(error.value)
    in_query = f"postgresql:///x?host={tmp_path}&user=u&password=secret"
    with pytest.raises(DatabaseError, match="name another database") as error:
        Database(in_query)
    assert "secret" not in str(error.value)
    assert f"host={tmp_path}" in str(error.value).replace("%2F", "/")
    shown = Settings(database=in_query, images="s3://bucket/x?secret_key=abc&region=eu").shown()
    assert (shown["database"], shown["images"]) == (
        in_query.replace("=secret", "=***"),
        "s3://bucket/x?secret_key=***&region=eu",
    )


def test_upgrades_only_add_so_processes_of_an_older_version_go_on() -> None:
    """New columns can be left out by those who do not know them."""
    config = Config()
    config.set_main_option("script_location", "fair_diffusion.service:migrations")
    added = 0
    for script in ScriptDirectory.from_config(config).walk_revisions():
        code = ast.parse(Path(script.path).read_text())
        for call in (each for each in ast.walk(code) if isinstance(each, ast.Call)):
            done = ast.unparse(call.func)
            if not done.startswith("op."):
                continue
            assert done in ("op.create_table", "op.create_index", "op.add_column", "op.execute"), script.revision
            if done == "op.add_column":
                column, added = ast.unparse(call.args[1]), added + 1
                assert "nullable=False" not in column or "server_default" in column, script.revision
    assert added >= 5


def test_files_of_others_are_refused_and_stay_as_they_were(tmp_path: Path) -> None:
    other, ledger, words = tmp_path / "other.sqlite", tmp_path / "ledger.sqlite", tmp_path / "words.txt"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE t (x)")
    Ledger(ledger)
    words.write_text("no database, and longer than the head of one" * 20)
    for file, said in ((other, "another program"), (ledger, "the file of a ledger"), (words, "another kind")):
        before = file.read_bytes()
        with pytest.raises(DatabaseError, match=said):
            Database(file)
        assert file.read_bytes() == before
    with pytest.raises(DatabaseError, match="does not exist"):
        Database(tmp_path / "none.sqlite", create=False)
    assert not (tmp_path / "none.sqlite").exists()
    with pytest.raises(DatabaseError, match="cannot be made"):
        Database(tmp_path / "no" / "folder.sqlite")


def test_a_new_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    Database(tmp_path / "service.sqlite").close()
    assert (tmp_path / "service.sqlite").stat().st_mode & 0o077 == 0


def test_a_ledger_file_is_taken_over_with_counts_and_open_turns(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    old, man = Ledger(file), Cell(("man",))
    turn = old.reserve(rule="nurse", target=HALF, n=5, model="pocket")
    old.settle(turn, assigned=[man] * 2, perceived=[man, None], judged=[None, man])
    old.reserve(rule="nurse", target=HALF, n=3, model="pocket")
    waiting = old.reserve(rule="doctor", target=uniform("skin_tone"), n=4, model="other")
    before = file.read_bytes()
    assert take_over_ledger(database, file) == 2
    assert file.read_bytes() == before
    ledger = DatabaseLedger(database)
    compared = (
        "rule",
        "model",
        "attributes",
        "group",
        "share",
        "asked",
        "perceived",
        "judged",
        "pending",
        "deficit",
        "n",
    )
    for ours, theirs in zip(ledger.rows(), old.rows(), strict=True):
        assert [getattr(ours, name) for name in compared] == [getattr(theirs, name) for name in compared]
    draws = [each.reserve(rule="nurse", target=HALF, n=7, model="pocket").quotas for each in (ledger, old)]
    assert draws[0] == draws[1]
    assert ledger.settle(waiting, assigned=[], perceived=[], judged=[])
    assert [change.change for change in changes(database)] == ["ledger taken over"]


def test_a_ledger_is_taken_over_once(database: Database, tmp_path: Path) -> None:
    old = Ledger(tmp_path / "ledger.sqlite")
    for rule in ("teacher", "nurse"):
        old.reserve(rule=rule, target=HALF, n=1, model="pocket")
    ledger = DatabaseLedger(database)
    ledger.reserve(rule="nurse", target=HALF, n=1, model="pocket")
    with pytest.raises(ValueError, match="has a stream of rule 'nurse' and model 'pocket' already, so nothing"):
        take_over_ledger(database, old.file)
    assert {row.rule for row in ledger.rows()} == {"nurse"}
    with pytest.raises(LedgerError, match="does not exist"):
        take_over_ledger(database, tmp_path / "none")


def test_a_server_takes_a_ledger_over_once_and_goes_on_with_its_own_counts(database: Database, tmp_path: Path) -> None:
    old = Ledger(tmp_path / "ledger.sqlite")
    old.reserve(rule="nurse", target=HALF, n=3, model="pocket")
    assert [take_over_once(database, old.file) for _ in range(2)] == [1, 0]
    assert "/" not in str(changes(database))
    (tmp_path / "other").mkdir()
    other = Ledger(tmp_path / "other" / "ledger.sqlite")
    other.reserve(rule="doctor", target=HALF, n=1, model="pocket")
    assert take_over_once(database, other.file) == 1


def test_a_turn_that_was_taken_while_the_clock_was_ahead_runs_out_all_the_same(database: Database) -> None:
    ledger = DatabaseLedger(database, lease=100)
    ledger.reserve(rule="nurse", target=HALF, n=2, model="pocket")
    with database.writing() as connection:
        connection.execute(update(turns).values(expires=now() + 100_000))
    assert sum(row.pending for row in ledger.rows()) == 0


def test_an_answer_tells_of_the_streams_of_its_job_alone(database: Database) -> None:
    ledger = DatabaseLedger(database)
    cell = next(iter(HALF.shares))
    for rule, model in (("nurse", "pocket"), ("nurse", "other"), ("doctor", "pocket"), ("nurse", "pocket")):
        turn = ledger.reserve(rule=rule, target=HALF, n=2, model=model)
        ledger.settle(turn, assigned=[cell], perceived=[None], judged=[cell])
    women = Target(HALF.attributes, {c: Fraction(c == cell) for c in HALF.shares})  # what an operator tries beside it
    turn = ledger.reserve(rule="nurse", target=women, n=1, model="pocket")
    ledger.settle(turn, assigned=[cell], perceived=[cell], judged=[cell])
    (told,) = shares_so_far(database, [{"rule": "nurse", "attributes": "gender", "target": HALF.key}], "pocket")
    assert (told["rule"], told["attributes"], told["n"]) == ("nurse", "gender", 2)
    assert list(told["groups"].values())[:2] == [
        {"target": 0.5, "asked": 2, "judged": 2, "perceived": 0},
        {"target": 0.5, "asked": 0, "judged": 0, "perceived": 0},
    ]
    assert shares_so_far(database, [], "pocket") == []


def test_the_ledger_settles_once_renews_and_expires_by_the_databases_clock(database: Database) -> None:
    ledger = DatabaseLedger(database, lease=100)
    first, second = (ledger.reserve(rule="nurse", target=HALF, n=4, model="pocket") for _ in range(2))
    with database.writing() as connection:
        connection.execute(update(turns).values(expires=now() - 1))
    assert sum(row.pending for row in ledger.rows()) == 0
    ledger.renew(first)
    assert sum(row.pending for row in ledger.rows()) == 4
    cell = next(iter(HALF.shares))
    assert ledger.settle(second, assigned=[cell], perceived=[None], judged=[None])
    assert not ledger.settle(second, assigned=[cell], perceived=[None], judged=[None])
    ledger.release(first)
    assert not ledger.settle(first, assigned=[cell], perceived=[None], judged=[None])
    assert [row.asked for row in ledger.rows()] == [1, 0, 0]
    assert ledger.rows()[1].deficit == Fraction(1, 2)
    ledger.reserve(rule="doctor", target=HALF, n=1, model="pocket")
    with database.writing() as connection:
        connection.execute(update(turns).values(expires=now() - 31 * 24 * 3600))
    assert (ledger.forget_expired(), ledger.forget_expired()) == (1, 0)
    with pytest.raises(ValueError, match="no rule 'nurs'; did you mean"):
        ledger.reset("nurs")
    assert (ledger.reset("nurse"), ledger.reset()) == (1, 1)
    assert ledger.rows() == []


def test_wrong_turns_are_refused(database: Database) -> None:
    ledger = DatabaseLedger(database)
    turn = ledger.reserve(rule="nurse", target=HALF, n=1, model="pocket")
    for assigned, said in (([("woman",)] * 2, "at most the 1 images"), ([("nobody",)], "give a cell of the target")):
        with pytest.raises(ValueError, match=said):
            ledger.settle(turn, assigned=assigned, perceived=assigned, judged=assigned)
    for n in (0, True, 1.5):
        with pytest.raises(ValueError, match="give at least 1 image"):
            ledger.reserve(rule="nurse", target=HALF, n=n, model="pocket")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="above 0"):
        DatabaseLedger(database, lease=0)
