"""The threads of one process that are about to put a job, in the order in which they came."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection

from fair_diffusion.service.database import Database, DatabaseError
from fair_diffusion.service.limits import LimitError

LATELY = 1.0
"""Seconds for which a refusal lets one expect others."""


class Line:
    """Those who stand in line to write into a database.

    Args:
        database: where the jobs are.
    """

    def __init__(self, database: Database) -> None:
        self._database, self._turn = database, threading.Lock()
        self._jobs: list[str] = []
        self._refused = float("-inf")

    @contextmanager
    def standing(self, job: str) -> Iterator[None]:
        """Stand in line with a job that has no place in the queue yet."""
        self._jobs.append(job)
        try:
            yield
        except LimitError:
            self._refused = time.monotonic()
            raise
        finally:
            self.leave(job)

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """A transaction as `Database.writing`, in turn: threads take turns sooner than the database lets them.

        The turn and the database together may take as long as one transaction waits for others.

        Raises:
            DatabaseError: the turn did not come.
        """
        until = time.monotonic() + self._database.patience
        if not self._turn.acquire(timeout=self._database.patience):
            raise DatabaseError(f"{self._database.name}: no turn to write for {self._database.patience:g} seconds")
        try:
            with self._database.writing(durable=durable, within=max(0.0, until - time.monotonic())) as connection:
                yield connection
        finally:
            self._turn.release()

    def leave(self, job: str) -> None:
        """Stand in line no more: from the end of the transaction on, the job is in the queue."""
        with suppress(ValueError):
            self._jobs.remove(job)

    def ahead(self, job: str) -> int:
        """How many stand before a job."""
        return self._jobs.index(job)

    def may_refuse(self, job: str) -> bool:
        """Whether a look at the queue may tell that there is no place, before it is the job's turn."""
        return self.ahead(job) > 0 or time.monotonic() - self._refused < LATELY
