"""What all routes of one server share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Annotated, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from fair_diffusion.service.attendance import Attendance
from fair_diffusion.service.database import Database
from fair_diffusion.service.images import Images
from fair_diffusion.service.job import Event, Job
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.keys import CLIENT, OPERATOR, RATER, ROLES, Key, Keys
from fair_diffusion.service.metrics import Metrics
from fair_diffusion.service.policies import Policies
from fair_diffusion.service.problems import forbidden, overloaded
from fair_diffusion.service.served_model import ServedModel, served_models
from fair_diffusion.service.settings import Settings
from fair_diffusion.service.signals import Signals

T = TypeVar("T")
PUTTERS = 16
"""Threads that put jobs: they wait for others who write. What only reads has the other threads."""
TICK = 1.0
"""Seconds after which whoever waits for a job looks whether the client is still there."""


class Server:
    """The parts of one server.

    Args:
        settings: how it works.
        database: of the service.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings, self.database = settings, database
        self.jobs, self.keys, self.policies = Jobs(database), Keys(database), Policies(database)
        self.images = Images(database, settings.images_place)
        self.signals, self.metrics = Signals(database), Metrics(database)
        self.attendance = Attendance(database)
        self._putters, self._places = CapacityLimiter(PUTTERS), asyncio.Semaphore(PUTTERS)
        self._until: float | None = None
        self._known: tuple[float, list[ServedModel]] = float("-inf"), []

    def end(self) -> None:
        """Answer those who wait for jobs within the grace time; tell the others that they are to try again."""
        self._until = time.monotonic() + self.settings.grace

    async def putting(self, do: Callable[[], T]) -> T:
        """Do what puts a job, in a thread of those that do nothing else.

        Raises:
            Problem: 503, none was free for as long as a transaction waits for others.
        """
        try:
            async with asyncio.timeout(self.database.patience):
                await self._places.acquire()
        except TimeoutError:
            raise overloaded("the server cannot use its database at the moment; try again") from None
        try:
            return await to_thread.run_sync(do, limiter=self._putters)
        finally:
            self._places.release()

    async def follow(self, job: Job, *, after: int = 0) -> AsyncIterator[tuple[Job, list[Event]]]:
        """A job and its new events whenever something of it changed, and every `TICK`; the last time when it ended.

        Raises:
            Problem: 503, the server ends.
        """
        loop, bell = asyncio.get_running_loop(), asyncio.Event()

        def ring() -> None:
            with suppress(RuntimeError):  # the server is ending
                loop.call_soon_threadsafe(bell.set)

        with self.signals.listen(job.id, ring):
            while True:
                bell.clear()
                job, events = await run_in_threadpool(self.jobs.look, job.id, after=after)
                after = events[-1].number if events else after
                yield job, events
                if job.over:
                    return
                if self._until is not None and time.monotonic() > self._until:
                    raise overloaded("the server is ending; try again")
                with suppress(TimeoutError):
                    await asyncio.wait_for(bell.wait(), TICK)

    def models(self) -> list[ServedModel]:
        """The models that workers draw with, or drew with lately."""
        found = served_models(self.database)
        self._known = time.monotonic(), found
        return found

    def models_lately(self) -> list[ServedModel]:
        """The same as they were a moment ago, at most."""
        at, found = self._known
        return found if time.monotonic() - at < TICK else self.models()

    def clean(self) -> None:
        """Forget jobs and images whose time is over, and give up the jobs of servers that vanished."""
        self.attendance.find_forsaken()
        self.jobs.expire()
        self.images.expire()

    def close(self) -> None:
        """Let everything go."""
        self.attendance.close()
        self.signals.close()
        self.database.close()


# They are coroutines, because FastAPI sends plain functions through its threads, which takes longer than they do.
async def _server(request: Request) -> Server:
    found: Server = request.app.state.server
    return found


async def _anybody(request: Request) -> Key:
    found: Key = request.state.key
    return found


async def _asker(request: Request) -> Key:
    key = await _anybody(request)
    if key.role == RATER:
        raise forbidden("this key may only label; images need a key of role client or operator")
    return key


async def _labeller(request: Request) -> Key:
    key = await _anybody(request)
    if key.role == CLIENT:
        raise forbidden(f"this key may not label; that needs a key of role {RATER} or {OPERATOR}")
    return key


async def _operator(request: Request) -> Key:
    key = await _anybody(request)
    if key.role != OPERATOR:
        raise forbidden("this needs a key of role operator")
    return key


Here = Annotated[Server, Depends(_server)]
"""The server, as a parameter of a route."""
Anybody = Annotated[Key, Depends(_anybody)]
"""The caller's key."""
Asker = Annotated[Key, Depends(_asker)]
"""The caller's key, which may ask for images."""
Labeller = Annotated[Key, Depends(_labeller)]
"""The caller's key, which may label pictures."""
Operator = Annotated[Key, Depends(_operator)]
"""The caller's key, which may instruct and set the policy."""
_ROLES = {_anybody: ROLES, _asker: (CLIENT, OPERATOR), _labeller: (OPERATOR, RATER), _operator: (OPERATOR,)}


def roles_of(route: APIRoute) -> tuple[str, ...]:
    """The roles whose keys a route takes; none if it needs no key."""
    calls = (each.call for each in route.dependant.dependencies)
    return next((_ROLES[call] for call in calls if call in _ROLES), ())
