"""The worker: it claims jobs of one model and draws them, in a process of its own beside the API.

On SIGTERM it claims no more, finishes what it has if the grace time allows, gives the rest back, and ends.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fair_diffusion.files.signature import Signature
from fair_diffusion.service import writes
from fair_diffusion.service.claims import LEASE, Claims
from fair_diffusion.service.database import Database, DatabaseError
from fair_diffusion.service.drawing import Round
from fair_diffusion.service.holding import Holding
from fair_diffusion.service.images import Images
from fair_diffusion.service.job import Job
from fair_diffusion.service.policies import Policies
from fair_diffusion.service.rebalancing import Edit, edits
from fair_diffusion.service.served_model import Presence, ServedModel
from fair_diffusion.service.signals import Signals
from fair_diffusion.service.tools import Tools
from fair_diffusion.service.worker_kind import kind_of

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline

LOG = logging.getLogger("fair_diffusion.worker")
IDLE = 1.0
"""Seconds after which a worker looks for jobs although nobody told it of any."""


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
        signature: signs the images, where one is given.
    """

    batch: int = 8
    linger: float = 0.02
    grace: float = 20.0
    kept: float = 24 * 3600.0
    keep_prompts: bool = False
    lease: float = LEASE
    signature: Signature | None = None


class Worker:
    """Draws the jobs of a database until it is stopped.

    Args:
        database: where the jobs are.
        images: where pictures go.
        pipe: the loaded model.
        settings: how it works.
    """

    def __init__(
        self, database: Database, images: Images, pipe: FairPipeline, settings: WorkerSettings | None = None
    ) -> None:
        self._database, self._settings = database, settings or WorkerSettings()
        self._name = f"{socket.gethostname()} {os.getpid()} {os.urandom(3).hex()}"
        self._model = ServedModel.of(pipe)
        self._claims = Claims(database, self._name, lease=self._settings.lease)
        self._holding = Holding(self._claims)
        self._woken = threading.Event()
        self._busy = False  # jobs come while others are drawn, so that waiting for more of them pays
        self._until: float | None = None
        self._tools = Tools(
            pipe=pipe,
            claims=self._claims,
            holding=self._holding,
            images=images,
            policies=Policies(database),
            model=self._model.name,
            batch=self._settings.batch,
            kept=self._settings.kept,
            keep_prompts=self._settings.keep_prompts,
            signature=self._settings.signature,
            more=self._more,
            stopping=lambda: self._until is not None,
            give_up=lambda: self._until is not None and time.monotonic() > self._until,
        )

    def stop(self) -> None:
        """Claim no more, finish what is at hand within the grace time, and end.

        A signal handler may call it: it takes no lock, so a worker at rest sees it within `IDLE` seconds."""
        self._until = self._until or time.monotonic() + self._settings.grace

    def run(self) -> None:
        """Work until `stop`."""
        signals = Signals(self._database)
        try:
            with (
                Presence(self._database, self._name, self._model),
                self._holding,
                signals.listen(writes.QUEUE, self._woken.set),
            ):
                LOG.info("draws with %s", self._model.name)
                while self._until is None:
                    self._woken.clear()
                    if jobs := self._claimed(self._settings.batch):
                        self._busy = self._busy or len(jobs) > 1
                        if edits(jobs[0]):
                            Edit(self._tools, jobs[0]).draw()
                        else:
                            Round(self._tools, jobs).draw()
                        self._busy = True
                    elif self._until is None:
                        self._busy = False
                        self._woken.wait(IDLE)
        finally:
            signals.close()

    def _claimed(self, most: int, lane: str | None = None) -> list[Job]:
        try:
            return self._claims.claim([kind_of(self._model.name)], most=most, lane=lane)
        except DatabaseError as error:
            LOG.error("%s", error)
            time.sleep(IDLE)
            return []

    def _more(self, lane: str, most: int) -> list[Job]:
        """More jobs of a lane; while there are none, wait for them, but not longer than a batch lingers.

        One client alone, that asks for the next image when it has the last one, is not made to wait."""
        until = time.monotonic() + (self._settings.linger if self._busy else 0.0)
        while True:
            self._woken.clear()
            if jobs := self._claimed(most, lane):
                return jobs
            left = until - time.monotonic()
            if left <= 0 or self._until is not None:
                return []
            self._woken.wait(left)
