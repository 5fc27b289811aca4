"""The clients that wait on one server for their jobs, and what becomes of the jobs of those who went away."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from fair_diffusion.service.comebacks import BACK, attend, forsaken, give_up, leave
from fair_diffusion.service.database import Database
from fair_diffusion.service.job import UnknownJobError
from fair_diffusion.service.jobs import Jobs

LOG = logging.getLogger("fair_diffusion.api")
BEAT = 1.5
"""Seconds between two times that the database is told who waits."""
LONGEST = 2.0
"""Seconds for which the end of a server waits until the last ones are noted."""


class Attendance:
    """Tells the database in a thread of its own which clients wait, who has an answer, and who went away.

        with attendance.waiting(job.id, back=True):
            ... wait for the job, and make the answer

    Whatever ends the block otherwise than its own end is a client that went away, or was told to try again.

    Args:
        database: where the jobs are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock, self._woken = threading.Lock(), threading.Event()
        self._waiting = Counter[str]()
        self._answered = set[str]()
        self._gone = dict[str, bool]()  # whether its client may come back
        self._left = dict[str, tuple[float, float]]()  # when it was left, and when that is known for good
        self._thread: threading.Thread | None = None
        self._beaten = float("-inf")
        self._ended = False

    @contextmanager
    def waiting(self, job: str, *, back: bool) -> Iterator[None]:
        """The time in which a client waits for a job and its answer.

        Args:
            job: its id.
            back: whether the client may come back for it. If not, the job is cancelled when the client is gone.
        """
        with self._lock:
            self._wake()
            self._waiting[job] += 1
            self._answered.discard(job)
            self._gone.pop(job, None)
            self._left.pop(job, None)
        answered = False
        try:
            yield
            answered = True
        finally:
            with self._lock:
                self._waiting -= Counter([job])
                if job in self._waiting:  # another one waits for the same job
                    pass
                elif answered:
                    self._answered.add(job)
                else:
                    self._gone[job] = back
                    self._woken.set()

    @property
    def jobs(self) -> set[str]:
        """The jobs that clients wait for here, or have answers of, however late the database is told of it."""
        with self._lock:
            return {*self._waiting, *self._answered}

    def find_forsaken(self) -> None:
        """Give up the jobs of servers that vanished, unless somebody comes back for them in time."""
        found = forsaken(self._database)
        with self._lock:
            if found:
                self._wake()
            for job, left in found:
                self._left[job] = left, time.monotonic() + BACK

    def close(self) -> None:
        """Note the last ones, and end."""
        self._ended = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join(LONGEST)

    def _wake(self) -> None:
        """Let the thread work that has nothing to do yet. What is just put is known to be waited for."""
        if self._idle:
            self._beaten = time.monotonic()
            self._woken.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="attendance", daemon=True)
            self._thread.start()

    @property
    def _idle(self) -> bool:
        return not (self._waiting or self._answered or self._gone or self._left)

    def _run(self) -> None:
        ended = False
        while not ended:
            self._woken.wait(None if self._idle else max(0.0, self._beaten + BEAT - time.monotonic()))
            self._woken.clear()
            ended = self._ended
            for tell in (self._tell_of_waiting, self._tell_of_gone, self._give_up):
                try:
                    tell()
                except Exception as error:  # it is told the next time; a job that nobody attends to is left by then
                    LOG.warning("%s: %s", type(error).__name__, error)
                    self._beaten = time.monotonic()

    def _tell_of_gone(self) -> None:
        with self._lock:
            gone = dict(self._gone)
        for job, back in gone.items():
            left = leave(self._database, job) if back else None
            if not back:
                with suppress(UnknownJobError):
                    Jobs(self._database).cancel(job)
            with self._lock:
                if self._gone.pop(job, None) is not None and left is not None:
                    self._left[job] = left, time.monotonic() + BACK

    def _tell_of_waiting(self) -> None:
        if time.monotonic() < self._beaten + BEAT and not self._ended:
            return
        with self._lock:
            waiting, answered = set(self._waiting), set(self._answered)
        self._beaten = time.monotonic()
        if waiting or answered:
            attend(self._database, waiting, answered - waiting)
            with self._lock:
                self._answered -= answered

    def _give_up(self) -> None:
        with self._lock:
            due = {job: left for job, (left, until) in self._left.items() if time.monotonic() > until}
        for job, left in due.items():
            with suppress(UnknownJobError):
                give_up(self._database, job, left)
            with self._lock:
                self._left.pop(job, None)
