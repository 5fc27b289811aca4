"""The lease of the jobs at hand, renewed by a thread of its own: loading and decoding have no steps."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import DatabaseError
from fair_diffusion.service.job import Job

BEAT = 0.5
"""Seconds between two looks whether a job was cancelled."""


class Holding:
    """Keeps the jobs of a worker, as a context manager; its end stops renewing them.

        with Holding(claims) as holding:
            holding.add(job)
            ... if holding.cancelled(job) or holding.lost(job): stop
            holding.drop(job)

    Args:
        claims: the worker's.
        beat: seconds between two looks whether a job was cancelled.
    """

    def __init__(self, claims: Claims, *, beat: float = BEAT) -> None:
        self._claims, self._beat = claims, beat
        self._held: dict[str, Job] = {}
        self._since: dict[str, float] = {}
        self._cancelled: set[str] = set()
        self._lost: set[str] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    @property
    def jobs(self) -> list[Job]:
        """The jobs at hand."""
        with self._lock:
            return list(self._held.values())

    def add(self, job: Job) -> None:
        """Keep a job that was just claimed."""
        with self._lock:
            self._held[job.id] = job
            self._since.setdefault(job.id, time.monotonic())
            if job.cancelling:
                self._cancelled.add(job.id)

    def drop(self, job: Job) -> None:
        """Keep a job no longer: it has ended, or was given back."""
        with self._lock:
            for kept in (self._held, self._since, self._cancelled, self._lost):
                kept.pop(job.id, None) if isinstance(kept, dict) else kept.discard(job.id)

    def seconds(self, job: Job) -> float:
        """For how long the job is at hand; 0 if it is not."""
        now = time.monotonic()
        return now - self._since.get(job.id, now)

    def cancelled(self, job: Job) -> bool:
        """Whether somebody cancelled the job. Asks no database, so a callback of every step may ask."""
        return job.id in self._cancelled

    def lost(self, job: Job) -> bool:
        """Whether the job is not this worker's any more: what is done for it is in vain."""
        return job.id in self._lost

    def __enter__(self) -> Holding:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        """Renew every third of a lease; look for cancelled jobs in between. A database that fails is asked again."""
        every = self._claims.lease / 3
        renewed = time.monotonic()
        while not self._ended.wait(min(self._beat, every)):
            held = self.jobs
            if not held:
                renewed = time.monotonic()
                continue
            due = time.monotonic() - renewed > every
            try:
                found = self._claims.renew(held) if due else self._claims.look(held)
            except DatabaseError:
                continue
            if due:
                renewed = time.monotonic()
            with self._lock:
                for job in held:
                    if job.id not in self._held:
                        continue
                    if job.id not in found:
                        self._lost.add(job.id)
                    elif found[job.id]:
                        self._cancelled.add(job.id)
