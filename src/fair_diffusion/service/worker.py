"""The worker: it claims jobs of its models and draws them, in a process of its own beside the API.

On SIGTERM it claims no more, finishes what it has if the grace time allows, gives the rest back, and ends.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fair_diffusion.files.signature import Signature
from fair_diffusion.service import writes
from fair_diffusion.service.auditing import Audit, audits
from fair_diffusion.service.claims import ATTEMPTS, LEASE, Claims
from fair_diffusion.service.database import Database, DatabaseError
from fair_diffusion.service.drawing import Round
from fair_diffusion.service.figures import Figures
from fair_diffusion.service.holding import Holding
from fair_diffusion.service.images import Images
from fair_diffusion.service.job import Job
from fair_diffusion.service.models import Models
from fair_diffusion.service.policies import Policies
from fair_diffusion.service.rebalancing import Edit, edits
from fair_diffusion.service.served_model import Presence
from fair_diffusion.service.signals import Signals
from fair_diffusion.service.tools import Tools
from fair_diffusion.service.worker_kind import audit_kind_of, kind_of, model_of

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline

LOG = logging.getLogger("fair_diffusion.worker")
IDLE = 1.0
"""Seconds after which a worker looks for jobs although nobody told it of any."""


def worker_name() -> str:
    """A name for the worker of this process, for people."""
    return f"{socket.gethostname()} {os.getpid()} {os.urandom(3).hex()}"


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """How a worker works.

    Attributes:
        batch: images in one batch at most.
        linger: seconds that a batch which is not full waits for more jobs, while the worker is busy.
        grace: seconds in which it finishes what it has when it is to end.
        kept: seconds for which images are kept.
        keep_prompts: whether the prompt of a job that is done is kept.
        lease: seconds that it has a job without renewing it.
        attempts: how many workers a job may cost before it fails.
        signature: signs the images, where one is given.
    """

    batch: int = 8
    linger: float = 0.02
    grace: float = 20.0
    kept: float = 24 * 3600.0
    keep_prompts: bool = False
    lease: float = LEASE
    attempts: int = ATTEMPTS
    signature: Signature | None = None


class Worker:
    """Draws the jobs of a database until it is stopped.

    Args:
        database: where the jobs are.
        images: where pictures go.
        models: what it draws with; a loaded model is the only one.
        settings: how it works.
    """

    def __init__(
        self, database: Database, images: Images, models: Models | FairPipeline, settings: WorkerSettings | None = None
    ) -> None:
        self._database, self._settings = database, settings or WorkerSettings()
        self._name = worker_name()
        if isinstance(models, Models):
            self._models = models
        else:
            self._models = Models([lambda: models])
            self._models.open(self._settings.batch, measure=False)
        self._kinds = [kind_of(model.name) for model in self._models.served]
        self._audits = [audit_kind_of(model.name) for model in self._models.served]
        self._claims = Claims(database, self._name, lease=self._settings.lease, attempts=self._settings.attempts)
        self._holding = Holding(self._claims)
        self._woken = threading.Event()
        self._busy = False  # jobs come while others are drawn, so that waiting for more of them pays
        self._left = False  # more jobs may wait than were claimed last
        self._until: float | None = None
        self._images, self._policies = images, Policies(database)
        self._kind, self._figures = "", Figures()
        self._tools: Tools | None = None

    def stop(self) -> None:
        """Claim no more, finish what is at hand within the grace time, and end.

        A signal handler may call it: it takes no lock, so a worker at rest sees it within `IDLE` seconds."""
        self._until = self._until or time.monotonic() + self._settings.grace

    def run(self) -> None:
        """Work until `stop`."""
        signals = Signals(self._database)
        try:
            with (
                Presence(self._database, self._name, self._models.served, self._figures),
                self._holding,
                signals.listen(writes.QUEUE, self._woken.set),
            ):
                LOG.info("draws with %s", ", ".join(model.name for model in self._models.served))
                while self._until is None:
                    self._woken.clear()
                    if jobs := self._next_jobs():
                        self._busy = self._busy or len(jobs) > 1
                        tools = self._for(kind_of(model_of(jobs[0].kind)))
                        if audits(jobs[0]):
                            Audit(tools, jobs[0]).do()
                        elif edits(jobs[0]):
                            Edit(tools, jobs[0]).draw()
                        else:
                            Round(tools, jobs).draw()
                        del tools
                        self._busy = True
                    elif self._until is None:
                        self._busy = False
                        self._woken.wait(IDLE)
        finally:
            signals.close()

    def _for(self, kind: str) -> Tools:
        """The tools to draw jobs of this kind."""
        if self._tools is None or self._kind != kind:
            self._tools, self._kind = None, kind  # a model that is not used any more may have to leave memory
            model, pipe = self._models.take(kind)
            self._tools = Tools(
                pipe=pipe,
                claims=self._claims,
                holding=self._holding,
                images=self._images,
                policies=self._policies,
                model=model.name,
                batch=model.batch,
                kept=self._settings.kept,
                keep_prompts=self._settings.keep_prompts,
                signature=self._settings.signature,
                figures=self._figures,
                more=self._more,
                stopping=lambda: self._until is not None,
                give_up=lambda: self._until is not None and time.monotonic() > self._until,
            )
        return self._tools

    def _next_jobs(self) -> list[Job]:
        """The next drawings. Audits wait for drawings, so they are done when none waits."""
        return self._claimed(self._kinds, self._settings.batch) or self._claimed(self._audits, self._settings.batch)

    def _claimed(self, kinds: Sequence[str], most: int, lane: str | None = None) -> list[Job]:
        try:
            jobs = self._claims.claim(kinds, most=most, lane=lane)
            self._left = len(jobs) == most
            return jobs
        except DatabaseError as error:
            LOG.error("%s", error)
            time.sleep(IDLE)
            return []

    def _more(self, lane: str, most: int, *, linger: bool, in_turn: bool) -> list[Job]:
        """More jobs of a lane, as `tools.More` tells.

        One client alone, that asks for the next image when it has the last one, is not made to wait."""
        linger = linger and self._busy
        if not linger and not self._left and not self._woken.is_set():
            return []
        until = time.monotonic() + (self._settings.linger if linger else 0.0)
        while True:
            self._woken.clear()
            if in_turn and not self._next(lane):
                return []
            if jobs := self._claimed([self._kind], most, lane):
                self._busy = True
                return jobs
            left = until - time.monotonic()
            if left <= 0 or self._until is not None:
                return []
            self._woken.wait(left)

    def _next(self, lane: str) -> bool:
        """Whether the next job of all is one of a lane of the model at work."""
        try:
            return self._claims.next(self._kinds) == (self._kind, lane)
        except DatabaseError as error:
            LOG.error("%s", error)
            return False
