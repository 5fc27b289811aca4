"""The file of a ledger: SQLite in WAL mode. Alembic migrates its schema, and errors are one plain line with the mend.

Every change is one `BEGIN IMMEDIATE` transaction. A writer has the file to itself from its first read on, and others
wait for up to 30 seconds. A process that is killed half-way leaves the file as it was before. A connection lives for
one transaction, so threads may share a ledger, and it survives a fork.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from fair_diffusion.files.schema import wrong

SCHEMA = "0002"
"""The newest revision in `migrations/versions`, which this code reads and writes."""
APPLICATION = int.from_bytes(b"FDLG")
"""SQLite's `application_id` of our files, by which the file of another program is never taken for a ledger."""
BUSY_SECONDS = 30.0

tables = MetaData()
streams = Table(
    "streams",
    tables,
    Column("id", Integer, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("attributes", Text, nullable=False),  # "gender × skin_tone"
    Column("target", Text, nullable=False),  # "man 1/2, woman 1/2": exact, and the same for the same target
    Column("lot", Integer, nullable=False),  # the seed that breaks ties
    UniqueConstraint("rule", "model", "attributes", "target"),
)
cells = Table(
    "cells",
    tables,
    Column("stream", ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),  # "woman + dark"
    Column("share", Text, nullable=False),  # "1/3"
    Column("asked", Integer, nullable=False),
    Column("perceived", Integer, nullable=False),
    Column("judged", Integer, nullable=False),
    Column("counted", Integer, nullable=False),  # as perceived, else as asked; the next choice goes by it
)
turns = Table(
    "turns",
    tables,
    Column("id", Text, primary_key=True),
    Column("stream", ForeignKey("streams.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("quotas", JSON, nullable=False),  # {"woman": 2}
    Column("expires", Float, nullable=False),  # seconds since 1970
    Column("lease", Float, nullable=False, server_default="900"),  # seconds: how far ahead it may expire
)

_BACKUP = "put a backup in its place, or move it away to begin anew"
_MENDS = {
    sqlite3.SQLITE_BUSY: f"another program has locked it for {BUSY_SECONDS:g} seconds; end that program, or try again",
    sqlite3.SQLITE_READONLY: "it may not be written; change the rights of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; name a file in a folder where you may write",
    sqlite3.SQLITE_NOTADB: "it is a file of another kind; name another file",
    sqlite3.SQLITE_CORRUPT: f"it is damaged; {_BACKUP}",
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_IOERR: "the disk reports an error; name a file on another disk",
}
_migrating = threading.Lock()  # alembic keeps the migration that it runs in a global


class LedgerError(OSError):
    """A ledger's file that cannot be used. The message names the file, what is wrong and the mend."""


def open_file(file: Path, *, create: bool) -> Engine:
    """Return the engine of the ledger in `file`, after making the file or migrating its schema if needed.

    A file that is no ledger stays as it was.

    Raises:
        LedgerError: the file cannot be used, or it does not exist and `create` is False.
    """
    if not file.exists():
        if not create:
            raise LedgerError(f"{file} does not exist; the first request with this ledger makes it")
        try:
            file.touch()
        except OSError as error:
            raise LedgerError(
                f"{file} cannot be made ({error.strerror}); name a file in a folder where you may write"
            ) from error
    address = file.absolute().as_uri() + "?mode=rw"  # a file that is deleted later is an error, not made anew

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            address, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    with plain_errors(file):
        with reading(engine) as connection:
            current = _version(connection, file) == SCHEMA
        if not current:
            with _migrating, writing(engine) as connection:
                _migrate(connection, file, create)
        _use_wal(engine)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads the file as it is now. It waits for nobody."""
    with engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction with exclusive writing: all changes of the block take effect, or none."""
    with engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection, connection.begin():
        yield connection


@contextmanager
def plain_errors(file: Path) -> Iterator[None]:
    """Turn SQLite's errors about `file` into a `LedgerError`."""
    try:
        yield
    except ValidationError as error:
        raise LedgerError(f"{file}: it is damaged ({wrong(error)}); {_BACKUP}") from error
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", None)
        mend = _MENDS.get(code & 0xFF) if code is not None else None
        raise LedgerError(f"{file}: {mend or f'{cause}; move it away to begin anew'}") from error


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _version(connection: Connection, file: Path) -> str | None:
    """The revision of the schema; None in an empty file.

    Raises:
        LedgerError: the file belongs to another program.
    """
    application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    if application == APPLICATION:
        return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())
    if application or connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one():
        raise LedgerError(f"{file} is the database of another program; name another file")
    return None


def _migrate(connection: Connection, file: Path, create: bool) -> None:
    """Run the missing migrations, all or none. If another process just ran them, there is nothing to do."""
    version = _version(connection, file)
    if version == SCHEMA:
        return
    if version is None and not create:
        raise LedgerError(f"{file} is empty; name the file of a ledger")
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "fair_diffusion.allocation:migrations")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise LedgerError(
            f"{file} was written by a newer fair-diffusion (schema {version}; this one knows {SCHEMA}); "
            "upgrade fair-diffusion, or name another file"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION}")


def _use_wal(engine: Engine) -> None:
    """Switch to the write-ahead log, in which readers and the writer do not wait for each other.

    While another process writes, SQLite refuses the switch at once instead of waiting, so this function waits.
    """
    until = time.monotonic() + BUSY_SECONDS
    with closing(engine.raw_connection()) as connection:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.02)
