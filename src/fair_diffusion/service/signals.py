"""To learn at once that something changed: PostgreSQL tells it (LISTEN); for SQLite, whoever writes does (`bells.py`).

    with signals.listen(job.id, ring):     # first listen, then look, then wait: so no change is missed
        ...

One thread for each process listens for all who wait. What is told may be lost, with a connection for example, so
everybody is woken every second as well: whoever is woken looks, and waits again if nothing is new. Where there can be
no bell, an SQLite file is asked 200 times a second; a job's topic then rings for its events.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError

from fair_diffusion.service.bells import Bell
from fair_diffusion.service.database import Database, DatabaseError
from fair_diffusion.service.writes import CHANNEL, QUEUE

POLL = 1.0
"""Seconds after which everybody is woken, whatever was told."""
LOOK = 0.005
"""Seconds between two looks at an SQLite file where there is no bell."""
_LAST = "SELECT coalesce(max(rowid), 0) FROM events"


class Signals:
    """Wakes those who wait for changes of a database.

    Args:
        database: where the changes are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rings: dict[str, list[Callable[[], None]]] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def listen(self, topic: str, ring: Callable[[], None]) -> Iterator[None]:
        """Call `ring`, from another thread, whenever something of `topic` may have changed.

        Args:
            topic: the id of a job, or `writes.QUEUE` for new jobs.
            ring: returns at once, as `threading.Event().set` does.
        """
        with self._lock:
            self._rings.setdefault(topic, []).append(ring)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="signals", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._rings[topic].remove(ring)
                if not self._rings[topic]:
                    del self._rings[topic]

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._database.bells is not None:
            self._database.bells.ring([""])  # the thread need not wait for its next look
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                if self._database.bells is None:
                    self._listen()
                elif (bell := self._database.bells.hung()) is not None:
                    self._hear(bell)
                else:
                    self._watch()
            except (DatabaseError, DBAPIError, sqlite3.Error, OSError):
                self._ring(None)
                self._ended.wait(POLL)

    def _listen(self) -> None:
        """Ring for what PostgreSQL tells, until the connection breaks. It is none of the pool's: they never listen."""
        dialect, url = self._database.engine.dialect, self._database.engine.url
        arguments, options = dialect.create_connect_args(url)
        try:
            with closing(dialect.connect(*arguments, **options, connect_timeout=10)) as found:
                connection: Any = found
                connection.autocommit = True
                connection.execute(f"LISTEN {CHANNEL}")
                self._ring(None)  # what was told before
                while not self._ended.is_set():
                    told = list(connection.notifies(timeout=POLL, stop_after=1))
                    for topic in [notice.payload for notice in told] or [None]:
                        self._ring(topic)
        except dialect.loaded_dbapi.Error as error:
            raise OSError(str(error)) from error

    def _hear(self, bell: Bell) -> None:
        """Ring for what those tell who write to the SQLite file."""
        with bell:
            self._ring(None)  # what was told before
            while not self._ended.is_set():
                for topic in bell.wait(POLL) or [None]:
                    self._ring(topic)

    def _watch(self) -> None:
        """Ring when another connection wrote to the SQLite file: for jobs with new events, and for jobs that wait."""
        with closing(self._database.engine.raw_connection()) as connection:
            cursor, seen = connection.cursor(), None
            last = cursor.execute(_LAST).fetchone()[0]
            self._ring(None)  # what came before
            while not self._ended.wait(LOOK):
                version = cursor.execute("PRAGMA data_version").fetchone()[0]
                if version == seen:
                    continue
                seen = version
                told = cursor.execute("SELECT rowid, job FROM events WHERE rowid > ?", (last,)).fetchall()
                last = max((row for row, _ in told), default=min(last, cursor.execute(_LAST).fetchone()[0]))
                topics = {job for _, job in told}
                if cursor.execute("SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'queued')").fetchone()[0]:
                    topics.add(QUEUE)
                for topic in topics:
                    self._ring(topic)

    def _ring(self, topic: str | None) -> None:
        """Ring for those who listen to `topic`, or for everybody."""
        with self._lock:
            if topic is None:
                rings = [ring for some in self._rings.values() for ring in some]
            else:
                rings = list(self._rings.get(topic, ()))
        for ring in rings:
            ring()
