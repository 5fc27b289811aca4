"""A pipeline for campaigns that draws in no time: every second image of an occupation is a woman, of nurses all are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from audit_examples import record, write_run

from fair_diffusion.request import Request
from fair_diffusion.scale.campaign import Campaign
from fair_diffusion.scale.cell_worker import CellSettings, CellWorker
from fair_diffusion.scale.suites import SuiteCampaign
from fair_diffusion.service.database import Database

LOADING = {"model": "fake"}
QUICK = CellSettings(lease=0.6, grace=0.0, attempts=100)


@dataclass
class Drawn:
    """What was drawn for one request."""

    records: list[dict[str, Any]]
    seconds: float = 0.1
    interrupted: bool = False

    def save(self, folder: Path) -> None:
        """Write it as a run."""
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(f"{folder} is not empty any more; name a new folder")
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".part-", dir=folder.parent) as part:
            write_run(Path(part) / "run", self.records)
            (Path(part) / "run").replace(folder)


class FakePipe:
    """Draws a request after a pause, and notes which; `breaks` holds prompts that cannot be drawn."""

    weights = "none"

    def __init__(self, pause: float = 0.0, breaks: Iterable[str] = ()) -> None:
        self.calls: list[tuple[str, int]] = []
        self.pause, self.breaks = pause, set(breaks)

    def with_usual(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """No model, so nothing is usual."""
        return dict(given)

    def each(self, requests: Iterable[Request], *, on_step: Any = None) -> Iterator[tuple[int, Drawn]]:
        """One request after the other."""
        for k, request in enumerate(requests):
            until = time.monotonic() + self.pause
            while True:
                if on_step is not None:
                    on_step(SimpleNamespace(steps=25, step=0, images=[]))
                if time.monotonic() >= until:
                    break
                time.sleep(0.01)
            if request.prompt in self.breaks:
                raise ValueError(f"{request.prompt!r} cannot be drawn")
            self.calls.append((request.prompt, request.seed))
            shown = ["woman" if "nurse" in request.prompt or i % 2 else "man" for i in range(request.n)]
            about = {"prompt": request.prompt, "method": "none", "rule": None}
            yield k, Drawn([record(i, group, seed=request.seed + i, **about) for i, group in enumerate(shown)])


class Threads:
    """Workers as threads, for the driver."""

    def __init__(self, database: Database, *pipes: FakePipe, settings: CellSettings = QUICK) -> None:
        self.workers = [CellWorker(database, settings, load=_loads(pipe)) for pipe in pipes]
        self._threads = [threading.Thread(target=worker.run) for worker in self.workers]

    def __enter__(self) -> Threads:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.stop()
        for thread in self._threads:
            thread.join()

    def tend(self) -> None:
        """Nothing is to be done."""


def _loads(pipe: Any) -> Any:
    return lambda _: pipe


def campaign_of(suite: Any, concepts: list[str], work: Path, **told: Any) -> SuiteCampaign:
    """A campaign of a suite without a policy."""
    return SuiteCampaign(suite, concepts, work, policy={}, options={}, loading=LOADING, **told)


def drawn_in(work: Path) -> dict[str, bytes]:
    """Every file of the parts in a work folder, by its path."""
    return {path.relative_to(work).as_posix(): path.read_bytes() for path in work.glob("[!.]*/records.parquet")}


__all__ = ["LOADING", "QUICK", "Campaign", "Drawn", "FakePipe", "Threads", "campaign_of", "drawn_in"]
