"""A worker that loads no model: it asks another server for images, several jobs at once, and reads what comes back."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.perception.vocabulary import known_groups
from fair_diffusion.policy import built_in
from fair_diffusion.service import writes
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database, DatabaseError
from fair_diffusion.service.holding import Holding
from fair_diffusion.service.images import Images
from fair_diffusion.service.policies import Policies
from fair_diffusion.service.proxying import Proxied, ProxyTools
from fair_diffusion.service.served_model import Presence, ServedModel
from fair_diffusion.service.signals import Signals
from fair_diffusion.service.upstream import Upstream
from fair_diffusion.service.worker import IDLE, WorkerSettings, worker_name
from fair_diffusion.service.worker_kind import kind_of

LOG = logging.getLogger("fair_diffusion.worker")
STEPS = 10
"""How many units of cost an image of usual quality has in the fair order."""
UNNAMED = "upstream"
"""What requests call the model of a server, if it is not named."""


def served(name: str | None, perceiver: Perceiver, judge: Perceiver) -> ServedModel:
    """The model of an upstream server, as requests know it.

    Raises:
        ValueError: perceiver and judge read no attribute in common.
    """
    read = [name for name, each in built_in().items() if known_groups(perceiver, each) and known_groups(judge, each)]
    if not read:
        raise ValueError("perceiver and judge read no attribute in common that has known groups")
    return ServedModel(
        name=name or UNNAMED,
        width=0,
        height=0,
        grain=1,
        steps=STEPS,
        guidance=0.0,
        attributes=read,
        passes=1,
        weights="",
        upstream=True,
    )


class ProxyWorker:
    """Does the jobs of an upstream server's model until it is stopped.

    Args:
        database: where the jobs are.
        images: where pictures go.
        upstream: the server, open.
        model: how requests know its model.
        perceiver: decides which images are drawn again.
        judge: scores.
        settings: how it works; `batch` is how many jobs it has at once.
    """

    def __init__(
        self,
        database: Database,
        images: Images,
        upstream: Upstream,
        model: ServedModel,
        perceiver: Perceiver,
        judge: Perceiver,
        settings: WorkerSettings | None = None,
    ) -> None:
        self._database, self._settings, self._model = database, settings or WorkerSettings(), model
        self._name = worker_name()
        self._woken = threading.Event()
        self._until: float | None = None
        claims = Claims(database, self._name, lease=self._settings.lease)
        self.tools = ProxyTools(
            upstream=upstream,
            perceiver=perceiver,
            judge=judge,
            claims=claims,
            holding=Holding(claims),
            images=images,
            policies=Policies(database),
            model=model.name,
            kept=self._settings.kept,
            keep_prompts=self._settings.keep_prompts,
            signature=self._settings.signature,
            stopping=lambda: self._until is not None,
            give_up=lambda: self._until is not None and time.monotonic() > self._until,
        )
        upstream.took = partial(self.tools.figures.took, "upstream")

    def stop(self) -> None:
        """Claim no more, finish what is at hand within the grace time, and end. A signal handler may call it."""
        self._until = self._until or time.monotonic() + self._settings.grace

    def run(self) -> None:
        """Work until `stop`."""
        signals, at_work = Signals(self._database), set[Future[None]]()
        try:
            with (
                Presence(self._database, self._name, [self._model], self.tools.figures),
                self.tools.holding,
                signals.listen(writes.QUEUE, self._woken.set),
                ThreadPoolExecutor(self._settings.batch, thread_name_prefix="job") as pool,
            ):
                LOG.info("asks an upstream server for %s", self._model.name)
                while self._until is None:
                    self._woken.clear()
                    at_work = {each for each in at_work if not each.done()}
                    if len(at_work) >= self._settings.batch or not self._begin(pool, at_work):
                        self._woken.wait(IDLE)
        finally:
            signals.close()

    def _begin(self, pool: ThreadPoolExecutor, at_work: set[Future[None]]) -> bool:
        """Begin the next job. False if none waits."""
        try:
            jobs = self.tools.claims.claim([kind_of(self._model.name)])
        except DatabaseError as error:
            LOG.error("%s", error)
            return False
        for job in jobs:
            self.tools.holding.add(job)
            begun = pool.submit(Proxied(self.tools, job).draw)
            begun.add_done_callback(lambda _: self._woken.set())
            at_work.add(begun)
        return bool(jobs)
