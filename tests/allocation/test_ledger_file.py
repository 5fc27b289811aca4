"""The ledger's file: its schema, and one plain line with the mend for everything that can be wrong with it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event

from fair_diffusion.allocation import ledger_file
from fair_diffusion.allocation.ledger import Ledger, LedgerError
from fair_diffusion.policy.target import uniform

TONES = uniform("skin_tone")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def sql(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def fill(file: Path) -> Ledger:
    ledger = Ledger(file)
    for k in range(12):
        ledger.reserve(rule=f"rule {k}", target=TONES, n=1, model="pocket")
    return ledger


def test_the_migrations_make_the_tables_that_the_code_reads(file: Path) -> None:
    Ledger(file)
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, ledger_file.tables) == []
        assert context.get_current_heads() == (ledger_file.SCHEMA,)
    engine.dispose()
    config = Config()
    config.set_main_option("script_location", "fair_diffusion.allocation:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [ledger_file.SCHEMA]


def test_a_current_file_is_opened_without_alembic_and_while_another_writes(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = fill(file).rows()
    monkeypatch.setitem(__import__("sys").modules, "alembic", None)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert Ledger(file, create=False).rows() == rows


def test_a_migration_cut_short_leaves_nothing_and_is_done_anew(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    create_table = op.create_table

    def fail(name: str, *columns: object) -> None:
        if name == "turns":
            raise KeyboardInterrupt
        create_table(name, *columns)  # type: ignore[arg-type]

    monkeypatch.setattr(op, "create_table", fail)
    with pytest.raises(KeyboardInterrupt):
        Ledger(file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    monkeypatch.undo()
    assert Ledger(file).rows() == []


def test_the_write_ahead_log_is_switched_on_once_another_process_has_written(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger(file)
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("PRAGMA journal_mode = DELETE")
        writer.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("fair_diffusion.allocation.ledger_file.time.sleep", lambda seconds: writer.rollback())
        assert Ledger(file).rows() == []
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_names_of_any_kind_and_a_changed_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = Ledger("50%20 a?b#c ü.sqlite")
    monkeypatch.chdir("/")
    ledger.reserve(rule="ü \U0001f600 '; DROP TABLE streams", target=TONES, n=1, model="a\nb")
    assert {row.rule for row in ledger.rows()} == {"ü \U0001f600 '; DROP TABLE streams"}
    assert [path.name for path in tmp_path.iterdir()] == ["50%20 a?b#c ü.sqlite"]


def text(file: Path) -> None:
    file.write_text("These are a person's own notes, and no database at all.\n" * 40)


def foreign(file: Path) -> None:
    sql(file, "CREATE TABLE streams (id INTEGER)", "INSERT INTO streams VALUES (1)")


def foreign_alembic(file: Path) -> None:
    sql(file, "CREATE TABLE alembic_version (version_num TEXT)", "INSERT INTO alembic_version VALUES ('0001')")


def newer(file: Path) -> None:
    Ledger(file)
    sql(file, "UPDATE alembic_version SET version_num = '0999'")


def damaged(file: Path) -> None:
    fill(file)
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (text, "it is a file of another kind; name another file"),
        (foreign, "is the database of another program; name another file"),
        (foreign_alembic, "is the database of another program; name another file"),
        (
            newer,
            r"written by a newer fair-diffusion \(schema 0999; this one knows 0002\); upgrade fair-diffusion, or name",
        ),
        (damaged, "it is damaged; put a backup in its place, or move it away to begin anew"),
        (Path.mkdir, "it cannot be opened; name a file in a folder where you may write"),
    ],
)
def test_a_file_that_is_no_ledger_is_named_and_stays_as_it_was(
    make: Callable[[Path], None], message: str, file: Path
) -> None:
    make(file)
    before = None if file.is_dir() else file.read_bytes()
    for create in (True, False):
        with pytest.raises(LedgerError, match=message) as caught:
            Ledger(file, create=create)
        assert str(file) in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    assert (None if file.is_dir() else file.read_bytes()) == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_missing_or_empty_file_is_no_ledger_unless_it_may_be_made(file: Path) -> None:
    with pytest.raises(LedgerError, match="does not exist; the first request with this ledger makes it"):
        Ledger(file, create=False)
    assert not file.exists()
    file.touch()
    with pytest.raises(LedgerError, match="is empty; name the file of a ledger"):
        Ledger(file, create=False)
    assert file.read_bytes() == b""
    with pytest.raises(
        LedgerError, match=r"cannot be made .*No such file.*; name a file in a folder where you may write"
    ):
        Ledger(file.parent / "missing" / "ledger")


def test_a_locked_file_is_named_after_a_while(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = fill(file)
    monkeypatch.setattr(ledger_file, "BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match=r"another program has locked it .*; end that program, or try again"):
            ledger.reset()
        assert ledger.rows()
    assert ledger.reset() == 12


def test_a_read_only_file_is_named(file: Path) -> None:
    ledger = fill(file)
    event.listen(ledger._engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
    with pytest.raises(LedgerError, match="it may not be written; change the rights of the file and its folder"):
        ledger.reserve(rule="nurse", target=TONES, n=1, model="pocket")
    assert ledger.rows()


def test_a_file_deleted_meanwhile_is_missed_and_not_made_anew(file: Path) -> None:
    ledger = Ledger(file)
    file.unlink()
    with pytest.raises(LedgerError, match="it cannot be opened"):
        ledger.reserve(rule="nurse", target=TONES, n=1, model="pocket")
    assert not file.exists()


def test_migrating_leaves_the_loggers_alone(file: Path) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.getLogger("alembic").handlers)
    Ledger(file)
    assert (root.level, list(root.handlers), logging.getLogger("alembic").handlers) == before
