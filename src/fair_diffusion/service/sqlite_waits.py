"""To wait for another writer of an SQLite file. SQLite itself looks at longer and longer intervals, up to a tenth of a
second, and sometimes not at all."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import Any

from sqlalchemy import Connection

WRITER = 0.001
"""Seconds between two looks whether another one still writes."""
SWITCH = 0.02
"""The same while the file is switched to its write-ahead log."""


def begin(connection: Connection, seconds: float) -> None:
    """Begin a transaction, by the statement that the option `begin` of the connection says.

    Args:
        connection: of SQLAlchemy.
        seconds: for which it waits for another writer, if the option `within` says no other number.
    """
    options = connection.get_execution_options()
    statement, within = options.get("begin", "BEGIN"), options.get("within")
    raw: Any = connection.connection.driver_connection
    until = time.monotonic() + (seconds if within is None else within)
    raw.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                raw.execute(statement)
                return
            except sqlite3.OperationalError as error:
                if not _busy(error) or time.monotonic() > until:
                    raise
                time.sleep(WRITER)
    finally:
        raw.execute(f"PRAGMA busy_timeout = {1000 * seconds:.0f}")


def use_wal(connection: sqlite3.Connection, application: int, seconds: float) -> None:
    """Switch to the write-ahead log. While another process writes, SQLite refuses at once, so this function waits.

    A file of another program stays as it was.

    Args:
        connection: to the file.
        application: the `application_id` of our files.
        seconds: for which it waits for another writer.
    """
    until = time.monotonic() + seconds
    with closing(connection.cursor()) as cursor:
        while True:
            try:
                if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                    empty = not cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                    if empty or cursor.execute("PRAGMA application_id").fetchone()[0] == application:
                        cursor.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if not _busy(error) or time.monotonic() > until:
                    raise
                time.sleep(SWITCH)


def _busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
