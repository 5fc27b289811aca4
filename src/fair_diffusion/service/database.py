"""The database of a service: SQLite in a file, or PostgreSQL by URL. One schema, upgraded when it is opened.

SQLite: write-ahead log; every change is one `BEGIN IMMEDIATE` transaction, so a writer is alone from its first read on.
A process that is killed loses nothing that was committed. A machine that loses power may lose the last commits, each
whole: the file stays sound, and jobs, turns and results go together.
PostgreSQL: READ COMMITTED; what must not run at once takes the lock of a row, or a named lock (`Database.lock`).
Times are the database's own (`now`), because the clocks of several machines differ.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Float, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, NoSuchModuleError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.functions import FunctionElement

from fair_diffusion.allocation.ledger_file import APPLICATION as LEDGER
from fair_diffusion.allocation.ledger_file import LedgerError
from fair_diffusion.service.bells import Bells
from fair_diffusion.service.database_name import shown_url
from fair_diffusion.service.sqlite_waits import begin, use_wal

SCHEMA = "0009"
"""The newest revision in `migrations/versions`, which this code reads and writes."""
APPLICATION = int.from_bytes(b"FDSV")
"""SQLite's `application_id` of our databases."""
BUSY_SECONDS = 30.0
POSTGRES = "postgresql+psycopg"
FRESH = 1.0
"""Seconds for which a connection to PostgreSQL is taken to be there still."""
RESTED = "fair_diffusion_rested"
"""Where a connection keeps since when it is not used."""
TOLD = "fair_diffusion_told"
"""Where a connection keeps the topics that are told when its transaction is done."""
_MENDS = {
    sqlite3.SQLITE_BUSY: f"another program has locked it for {BUSY_SECONDS:g} seconds; end that program, or try again",
    sqlite3.SQLITE_READONLY: "it may not be written; change the rights of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; name a file in a folder where you may write",
    sqlite3.SQLITE_NOTADB: "it is a file of another kind; name another file",
    sqlite3.SQLITE_CORRUPT: "it is damaged; put a backup in its place, or move it away to begin anew",
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_IOERR: "the disk reports an error; name a file on another disk",
}
_migrating = threading.Lock()  # alembic keeps the migration that it runs in a global


class DatabaseError(LedgerError):
    """A database that cannot be used. The message names it, what is wrong and the mend, and never the password."""


class now(FunctionElement[float]):
    """The database's clock, in seconds since 1970. It goes on within a transaction."""

    type = Float()
    inherit_cache = True


@compiles(now, "postgresql")
def _postgres_now(element: now, compiler: Any, **_: Any) -> str:
    return "extract(epoch FROM clock_timestamp())::double precision"


@compiles(now, "sqlite")
def _sqlite_now(element: now, compiler: Any, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


class Database:
    """An open database. Threads may share it; a process that is forked off opens its own.

    Args:
        url: "postgresql+psycopg://USER:PASSWORD@HOST/NAME", "sqlite:///FILE", or the path of an SQLite file.
        create: make the file, or the tables, if they do not exist; otherwise that is an error.
        keep_open: connections that stay open between transactions, at most. PostgreSQL has 100 for all as it comes, so
            those who are many, such as workers of campaigns, keep one.

    Attributes:
        engine: SQLAlchemy's.
        postgres: whether it is PostgreSQL.
        bells: of those who listen to an SQLite file; None on PostgreSQL, which has its own.
        name: how messages call it, without a password.

    Raises:
        ValueError: the URL is of another kind, or its driver is not installed.
        DatabaseError: the database cannot be used, or its schema is newer than this code.
    """

    def __init__(self, url: str | Path, *, create: bool = True, keep_open: int = 8) -> None:
        text = str(url)
        if "://" not in text:
            text = f"sqlite:///{Path(text).absolute()}"
        text = re.sub(r"^postgres(ql)?://", f"{POSTGRES}://", text)
        try:
            parsed = make_url(text)
        except ArgumentError:
            raise ValueError(f"the database is no URL; {_FORMS}") from None
        self.postgres = parsed.drivername == POSTGRES
        self.bells: Bells | None = None
        if self.postgres:
            self.name = shown_url(parsed.render_as_string(hide_password=True))
            self.engine = _postgres_engine(text, keep_open)
        elif parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:"):
            self.name = str(parsed.database)
            self.engine = _sqlite_engine(Path(self.name), create, keep_open)
            self.bells = Bells(Path(self.name))
        else:
            raise ValueError(f"the database is {shown_url(parsed.render_as_string(hide_password=True))!r}; {_FORMS}")
        self.url = text
        try:
            self._upgrade(create)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads the state of one moment. It waits for nobody."""
        with self._plain_errors(), self.engine.connect() as connection:
            if self.postgres:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """For statements of which each reads the state of its own moment: PostgreSQL answers each in one round trip."""
        with self._plain_errors(), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT") if self.postgres else connection

    @contextmanager
    def writing(self, *, durable: bool = True, within: float | None = None) -> Iterator[Connection]:
        """A transaction that changes something: all changes of the block take effect, or none.

        Those whom it tells (`writes.tell`) are told when it is done. With `durable=False` it does not wait for the disk
        of PostgreSQL: if that server loses power, the last half second of such changes may be gone. It waits `within`
        seconds for others who write, and `patience` if that is None."""
        options: dict[str, Any] = {} if self.postgres else {"begin": "BEGIN IMMEDIATE", "within": within}
        told: set[str] = set()
        with self._plain_errors(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            connection.info[TOLD] = told
            if self.postgres and not durable:
                connection.execute(_UNHURRIED)
            if self.postgres and within is not None and within < self.patience - 1.0:
                connection.execute(_PATIENCE, {"wait": f"{max(1, round(1000 * within))}ms"})
            yield connection
        if self.bells is not None and told:
            self.bells.ring(told)

    @property
    def patience(self) -> float:
        """Seconds for which a transaction waits for others who write, at most."""
        return BUSY_SECONDS

    def lock(self, connection: Connection, name: str) -> None:
        """Wait until no other transaction has the lock `name`, and keep it until this one ends."""
        if self.postgres:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))

    def close(self) -> None:
        """Close the connections that are at rest."""
        self.engine.dispose()

    def _upgrade(self, create: bool) -> None:
        """Run the missing migrations, all or none. If another process just ran them, there is nothing to do."""
        with self.reading() as connection:
            current = self._version(connection)
        if current == SCHEMA:
            return
        if current is None and not create:
            raise DatabaseError(f"{self.name} holds no tables of ours; the service makes them when it starts")
        with _migrating, self.writing() as connection:
            self.lock(connection, "fair-diffusion: migrations")
            if self._version(connection) != SCHEMA:
                self._migrate(connection)

    def _version(self, connection: Connection) -> str | None:
        """The revision of the schema; None in an empty database. `DatabaseError` if it belongs to another program."""
        if self.postgres:
            there = connection.scalar(select(func.to_regclass("alembic_version")))
            ours = there is not None and connection.scalar(select(func.to_regclass("activations"))) is not None
            if there is not None and not ours:
                raise DatabaseError(f"{self.name} holds the tables of another program; name another database")
        else:
            application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
            ours = application == APPLICATION
            if application == LEDGER:
                raise DatabaseError(f"{self.name} is the file of a ledger; name another file, and take the ledger over")
            if not ours and (
                application or connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
            ):
                raise DatabaseError(f"{self.name} is the database of another program; name another file")
        if not ours:
            return None
        return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())

    def _migrate(self, connection: Connection) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", "fair_diffusion.service:migrations")
        version = self._version(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if version is not None and version not in known:
            raise DatabaseError(
                f"{self.name} was written by a newer fair-diffusion (schema {version}; this one knows {SCHEMA}); "
                "upgrade fair-diffusion, or name another database"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if not self.postgres:
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION}")

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Turn the driver's errors into a `DatabaseError`."""
        try:
            yield
        except StatementError as error:
            if not isinstance(error, DBAPIError):  # a value that cannot be stored, such as NaN in a result
                raise ValueError(f"{error.orig}; nothing was stored") from error
            raise self._plain(error.orig) from error
        except (sqlite3.Error, PoolTimeoutError) as error:
            raise self._plain(error) from error

    def _plain(self, cause: BaseException | None) -> DatabaseError:
        """The driver's error as one line with the mend."""
        code = getattr(cause, "sqlite_errorcode", None)
        mend = _MENDS.get(code & 0xFF) if code is not None else None
        said = str(cause).strip().split("\n")[0]
        return DatabaseError(f"{self.name}: {mend or f'{said}; mend that, or name another database'}")


_UNHURRIED = text("SET LOCAL synchronous_commit = off")
_PATIENCE = text("SELECT set_config('lock_timeout', :wait, true)")
_FORMS = "give postgresql+psycopg://USER:PASSWORD@HOST/NAME, sqlite:///FILE, or the path of an SQLite file"
MOST_OPEN = 64
"""Connections of one process at once, at most."""
_ENGINE: dict[str, Any] = {
    "poolclass": QueuePool,
    "hide_parameters": True,  # prompts never reach a log
    "json_serializer": partial(json.dumps, allow_nan=False),
}


def _open(kept: int) -> dict[str, int]:
    """Of the pool: the connections that stay open, and those beyond them."""
    return {"pool_size": kept, "max_overflow": MOST_OPEN - kept}


def _postgres_engine(url: str, keep_open: int) -> Engine:
    try:
        engine = create_engine(url, connect_args={"connect_timeout": 10}, **_open(keep_open), **_ENGINE)
    except (ModuleNotFoundError, NoSuchModuleError):
        raise ValueError('PostgreSQL needs a driver: pip install "fair-diffusion[postgres]"') from None

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _: Any) -> None:
        # A machine that vanishes in a transaction must not keep its locks.
        bounds = {"lock_timeout": f"{BUSY_SECONDS:g}s", "idle_in_transaction_session_timeout": "60s"}
        connection.autocommit = True  # one round trip for all
        connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in bounds.items()))
        connection.autocommit = False

    @event.listens_for(engine, "checkin")
    def _rests(_: Any, record: Any) -> None:
        record.info[RESTED] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _is_there(connection: Any, record: Any, _: Any) -> None:
        # The database may have started anew meanwhile. Of a connection that was just used, one need not ask.
        if time.monotonic() - record.info.get(RESTED, float("inf")) > FRESH:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError from error  # the pool opens another one

    return engine


def _sqlite_engine(file: Path, create: bool, keep_open: int) -> Engine:
    """The engine of an SQLite file, which is made if it is not there."""
    if not file.exists():
        if not create:
            raise DatabaseError(
                f"{file} does not exist; `fair-diffusion serve` makes it when it starts: name the --data or --database "
                "of a service"
            )
        try:
            file.touch(mode=0o600)
        except OSError as error:
            raise DatabaseError(
                f"{file} cannot be made ({error.strerror}); name a file in a folder where you may write"
            ) from error
    address = file.absolute().as_uri() + "?mode=rw"  # a file that is deleted later is an error, not made anew

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            address, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")  # with a write-ahead log: no wait for the disk at each commit
        use_wal(connection, APPLICATION, BUSY_SECONDS)
        return connection

    engine = create_engine("sqlite://", creator=connect, **_open(keep_open), **_ENGINE)
    event.listen(engine, "begin", lambda connection: begin(connection, BUSY_SECONDS))
    return engine
