"""The driver of a campaign: it puts cells, a window at a time, and notes those that arrive.

It holds no pictures and no list of cells, so its memory does not grow with them. It may be ended at any time: what is
drawn lies in the work folder, and the same command goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from types import TracebackType
from typing import Protocol

from fair_diffusion.files.progress import Progress, silent
from fair_diffusion.scale.campaign import Campaign
from fair_diffusion.scale.cells import MOST, Cells, Ended, held
from fair_diffusion.service.claims import LEASE
from fair_diffusion.service.database import Database
from fair_diffusion.service.job import DONE, RUNNING
from fair_diffusion.service.worker import worker_name

WINDOW = 4000
"""Cells that are in the database at once: more than workers take between two looks."""
LOOK, LONGEST_LOOK = 0.1, 1.0
"""Seconds between two looks at the cells, at first and where nothing ends."""
MOST_FAILED = 10
"""A campaign ends when so many cells have failed: the rest would most likely fail, too."""
SEEN = 120.0
"""Seconds after which a part that is done must be seen: a network file system may show it late."""
ALONE = 60.0
"""Seconds without any cell at work after which it is said that there is no worker."""


class Workers(Protocol):
    """Whoever starts workers, as a context manager; its end stops them."""

    def __enter__(self) -> object:
        """Start workers."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop them."""

    def tend(self) -> None:
        """Replace those that died, and start more where there is room. `ValueError` if none can be started."""


class Elsewhere:
    """Workers that somebody else starts."""

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def tend(self) -> None:
        """They are somebody else's matter."""


def draw_campaign(
    campaign: Campaign,
    database: Database,
    workers: Workers,
    *,
    progress: Progress = silent,
    tell: Callable[[str], None] = lambda _: None,
    window: int = WINDOW,
    lease: float = LEASE,
) -> None:
    """Let workers draw what the work folder of a campaign lacks, and wait until it is there.

    Args:
        campaign: what is to be drawn.
        database: the jobs; workers have the same.
        workers: whoever starts them.
        progress: called with the number of images so far, and of all images.
        tell: says what somebody should know, in a line.
        window: cells in the database at once.
        lease: seconds for which the campaign is this driver's without renewing it.

    Raises:
        ValueError: another driver draws it, cells failed, or no worker could be started. What is drawn is kept.
        KeyboardInterrupt: it was interrupted, or cancelled in the database.
    """
    with held(database, campaign, worker_name(), lease=lease, tell=tell) as (job, holding):
        cells = Cells(database, job.id)
        driver = _Driver(campaign, cells, tell, window)
        try:
            with workers:
                pause = LOOK
                while not driver.over:
                    if holding.cancelled(job) or holding.lost(job):
                        raise KeyboardInterrupt
                    pause = LOOK if driver.step() else min(LONGEST_LOOK, 1.5 * pause)
                    progress(campaign.there, campaign.whole)
                    workers.tend()
                    if not driver.over:
                        time.sleep(pause)
        finally:
            driver.clear()
    driver.check()


class _Driver:
    """What the driver of one campaign knows."""

    def __init__(self, campaign: Campaign, cells: Cells, tell: Callable[[str], None], window: int) -> None:
        self._campaign, self._cells, self._tell, self._window = campaign, cells, tell, window
        self._failed: list[str] = []
        self._late: dict[str, float] = {}
        self._alone: float | None = time.monotonic()
        self._left = 1
        self._out: set[str] = set()  # those that were given out and have not ended; no more than the window
        self.clear()  # what an earlier driver left; it is put again if it is still missing

    def clear(self) -> None:
        """Withdraw the cells that wait, and forget those that have ended. What is drawn lies in the work folder.

        What does not lie there any more, because somebody deleted it, is drawn again."""
        self._cells.withdraw()
        while ended := self._cells.ended():
            for each in ended:
                self._campaign.visible(each.told)  # fetches it out of a store
            self._cells.forget(ended)

    @property
    def over(self) -> bool:
        """Whether nothing is left to be drawn."""
        return (not self._left and not self._campaign.waiting) or len(self._failed) >= MOST_FAILED

    def check(self) -> None:
        """`ValueError` if cells failed."""
        if self._failed:
            many = f"{len(self._failed)} cells" if len(self._failed) > 1 else "a cell"
            raise ValueError(f"{many} could not be drawn: {self._failed[0]}; mend that, and the same command goes on")

    def step(self) -> bool:
        """Note what has ended, and fill the window. Returns whether something ended."""
        noted = [each for each in self._cells.ended() if self._noted(each)]
        if noted:
            self._cells.forget(noted)
        states = self._cells.states()
        self._left = sum(states.values())
        while self._left < self._window and self._campaign.waiting:
            more = list(islice(self._campaign.missing(), min(MOST, self._window - self._left)))
            if not more:
                break
            self._cells.put(more)
            self._out.update(cell.name for cell in more)
            self._left += len(more)
        self._say_alone(bool(noted or states.get(RUNNING)))
        return bool(noted)

    def _noted(self, ended: Ended) -> bool:
        """Note the end of a cell; False if its part is not seen yet."""
        if ended.state != DONE:
            self._failed.append(ended.reason or f"it was {ended.state}")
            return True
        if not self._campaign.visible(ended.told):
            if time.monotonic() - self._late.setdefault(ended.id, time.monotonic()) < SEEN:
                return False
            self._failed.append(f"a worker drew it, and it is not in {self._campaign.work}, which workers must share")
            return True
        self._late.pop(ended.id, None)
        if ended.name in self._out:  # else an earlier driver gave it out, and it was there when this one looked
            self._campaign.arrived(ended.told, ended.result)
            self._out.discard(ended.name)
        return True

    def _say_alone(self, at_work: bool) -> None:
        """Say once that no worker is there."""
        if at_work:
            self._alone = time.monotonic()
        elif self._alone is not None and self._left and time.monotonic() - self._alone > ALONE:
            self._tell("no worker takes a cell; start some: fair-diffusion worker --cells --database …")
            self._alone = None
