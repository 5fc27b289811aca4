"""A worker of campaigns: it claims cells, loads the model that they name, and draws them in mixed batches."""

from __future__ import annotations

import json
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from fair_diffusion.scale.campaign import Cell, Drawer, Told
from fair_diffusion.scale.cells import KIND
from fair_diffusion.scale.comparisons import ComparisonDrawer
from fair_diffusion.scale.suites import SuiteDrawer
from fair_diffusion.service.claims import ATTEMPTS, LEASE, Claims
from fair_diffusion.service.database import Database, DatabaseError
from fair_diffusion.service.holding import Holding
from fair_diffusion.service.job import DONE, FAILED, Job, LostError
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.tools import again, reason_of
from fair_diffusion.service.worker import worker_name

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline

LOG = logging.getLogger("fair_diffusion.worker")
REST, LONGEST = 1.0, 5.0
"""Seconds, about, after which a worker at rest looks for cells: at first, and when it found none for some time."""
BEAT = 10.0
"""Seconds between two looks whether a cell is still this worker's: a thousand workers ask one database."""


ROUND = 64
"""Cells of one campaign in a row. Then the fair order between campaigns decides, and a cell whose worker died has its
turn."""


def load(loading: Mapping[str, Any]) -> FairPipeline:
    """The model with its readers that these options of loading name."""
    from fair_diffusion.pipeline import FairPipeline

    named = dict(loading)
    return FairPipeline.from_pretrained(named.pop("model"), **named)


def open_drawer(kind: str, told: Told, pipe: FairPipeline) -> Drawer:
    """What draws the cells of a campaign of this kind. `ValueError` if this worker cannot."""
    return SuiteDrawer(told, pipe) if kind == "suite" else ComparisonDrawer(told, pipe)


@dataclass(frozen=True, kw_only=True)
class CellSettings:
    """How a worker of campaigns works.

    Attributes:
        placing: options of loading that hold here, whatever a campaign says: device, memory and the like.
        idle: seconds without a cell after which it ends; None: it waits for ever.
        grace: seconds in which it finishes what it has when it is to end.
        lease: seconds that it has a cell without renewing it.
        attempts: how many workers a cell may cost before it fails.
    """

    placing: Mapping[str, Any] = field(default_factory=dict)
    idle: float | None = None
    grace: float = 20.0
    lease: float = LEASE
    attempts: int = ATTEMPTS


class CellWorker:
    """Draws the cells of a database until it is stopped.

    Args:
        database: where they are.
        settings: how it works.
        load: loads a model by the options of loading.
        open_drawer: gives what draws the cells of a campaign.
    """

    def __init__(
        self,
        database: Database,
        settings: CellSettings | None = None,
        *,
        load: Callable[[Mapping[str, Any]], FairPipeline] = load,
        open_drawer: Callable[[str, Told, FairPipeline], Drawer] = open_drawer,
    ) -> None:
        self._settings = settings or CellSettings()
        asked = self._settings
        self._claims = Claims(database, worker_name(), lease=asked.lease, attempts=asked.attempts)
        self._holding = Holding(self._claims, beat=BEAT)
        self._jobs, self._load, self._open = Jobs(database), load, open_drawer
        self._until: float | None = None
        self._lane, self._loaded = "", ""
        self._drawer: Drawer | None = None
        self._pipe: FairPipeline | None = None

    def stop(self) -> None:
        """Claim no more, finish what is at hand within the grace time, and end. A signal handler may call it."""
        self._until = self._until or time.monotonic() + self._settings.grace

    def run(self) -> None:
        """Work until `stop`, or until there was nothing to do for long."""
        rested, rest = time.monotonic(), REST
        with self._holding:
            while self._until is None:
                if taken := self._claimed():
                    self._draw(taken)
                    rested, rest = time.monotonic(), REST
                elif self._settings.idle is not None and time.monotonic() - rested > self._settings.idle:
                    return
                else:
                    time.sleep(rest * random.uniform(0.5, 1.5))  # not all workers at once
                    rest = min(LONGEST, 1.5 * rest)

    def _claimed(self, lane: str | None = None) -> list[Job]:
        """The next cell in the fair order; with a lane, of this campaign, so that no model is loaded in vain."""
        try:
            return self._claims.claim([KIND], lane=lane)
        except DatabaseError as error:
            LOG.error("%s", error)
            time.sleep(REST)
            return []

    def _draw(self, taken: Sequence[Job]) -> None:
        """Draw cells of one campaign, and more of it while there are."""
        for job in taken:
            self._holding.add(job)
        try:
            drawer = self._drawer_of(taken[0].lane)
        except DatabaseError as error:  # no fault of the cells
            LOG.error("%s", error)
            self._release(taken)
            time.sleep(REST)
            return
        except Exception as error:
            LOG.error("%s cannot be drawn here: %s", taken[0].lane, type(error).__name__)
            for job in taken:
                self._end(job, FAILED, reason=_said(error))
            return
        _Round(self, drawer, taken).draw()

    def _drawer_of(self, lane: str) -> Drawer:
        """What draws the cells of a campaign; its model is loaded if it is another one than the last one."""
        if self._drawer is not None and self._lane == lane:
            return self._drawer
        self._drawer, self._lane = None, ""
        campaign = self._jobs.get(lane)
        loading = {**campaign.body["loading"], **self._settings.placing}
        named = json.dumps(loading, sort_keys=True)
        if self._pipe is None or self._loaded != named:
            self._pipe, self._loaded = None, ""  # the one before leaves memory first
            self._pipe, self._loaded = self._load(loading), named
        self._drawer = self._open(campaign.kind.partition(" ")[0], campaign.body, self._pipe)
        self._lane = lane
        return self._drawer

    def _release(self, jobs: Sequence[Job]) -> None:
        """Give cells back, for any worker to draw."""
        for job in jobs:
            with suppress(DatabaseError):  # its lease then runs out
                self._claims.release([job])
            self._holding.drop(job)

    def _end(self, job: Job, state: str, **ended: Any) -> None:
        """End a cell. If the database refuses it for long, it is left to whoever claims it."""
        try:
            again(partial(self._claims.end, job, state, **ended))
            LOG.info("%s %s", job.id, state)
        except (LostError, DatabaseError) as error:
            LOG.warning("%s was not ended: %s", job.id, type(error).__name__)
        finally:
            self._holding.drop(job)


class _Round:
    """Draws some cells of one campaign, and more of it while they come, until the worker is to end."""

    def __init__(self, worker: CellWorker, drawer: Drawer, taken: Sequence[Job], *, alone: bool = False) -> None:
        self._worker, self._drawer, self._waiting = worker, drawer, deque(taken)
        self._lane = taken[0].lane
        self._alone = alone or taken[0].attempts > 1  # the one that kills its workers is found so
        self._at_work: dict[str, Job] = {}
        self._begun = 0

    def draw(self) -> None:
        """Draw until no cell is left, and give back what the worker has then. An error of one cell ends it alone."""
        try:
            for cell, result in self._drawer.draw(self._cells(), self._on_step):
                self._worker._end(self._at_work.pop(cell.name), DONE, result=result)
        except KeyboardInterrupt:
            LOG.info("%s cells are given back", len(self._at_work))
        except Exception as error:
            self._failed(error)
        self._worker._release((*self._at_work.values(), *self._waiting))

    def _cells(self) -> Iterator[Cell]:
        """The cells, each claimed when it is taken."""
        while self._worker._until is None:
            if not self._waiting:
                if self._alone or self._begun >= ROUND:
                    return
                for job in self._worker._claimed(self._lane):
                    self._worker._holding.add(job)
                    self._waiting.append(job)
            if not self._waiting:
                return
            job = self._waiting.popleft()
            name = str(job.body["name"])
            self._at_work[name] = job
            self._begun += 1
            yield Cell(name=name, images=job.images, told=job.body["cell"])

    def _on_step(self, _: Any) -> None:
        """End the round where nobody waits for it any more, or where the time is over."""
        worker, holding = self._worker, self._worker._holding
        late = worker._until is not None and time.monotonic() > worker._until
        vain = self._at_work and all(holding.lost(job) or holding.cancelled(job) for job in self._at_work.values())
        if late or vain:
            raise KeyboardInterrupt

    def _failed(self, error: Exception) -> None:
        """One cell cannot be drawn. Each is drawn alone then; one that fails alone has failed."""
        left = list(self._at_work.values())
        LOG.error("%s among %s cells", type(error).__name__, len(left))
        if len(left) == 1:
            self._worker._end(left[0], FAILED, reason=_said(error))
            left = []
        self._at_work = {}
        for job in left:
            _Round(self._worker, self._drawer, [job], alone=True).draw()


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else reason_of(error)
