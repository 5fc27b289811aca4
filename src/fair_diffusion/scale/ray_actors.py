"""Workers of campaigns as actors of a Ray cluster: one model per actor, as many as there is room for.

Ray only runs them. An actor that dies leaves leases, which run out, and another actor draws its cells.
"""

from __future__ import annotations

import importlib
import logging
import os
import time
from typing import Any

from fair_diffusion.scale.cell_worker import CellSettings, CellWorker
from fair_diffusion.service.database import Database

LOG = logging.getLogger("fair_diffusion.scale")
LOOK = 2.0
"""Seconds between two looks at the actors and at the room of the cluster."""


class Actor:
    """A worker inside of an actor. One thread works, and another one may tell it to stop."""

    def __init__(self, database: str, settings: CellSettings) -> None:
        self._worker = CellWorker(Database(database, create=False, keep_open=1), settings)

    def run(self) -> None:
        """Work until `stop`."""
        self._worker.run()

    def pid(self) -> int:
        """Its process."""
        return os.getpid()

    def stop(self) -> None:
        """Finish what is at hand within the grace time, and end."""
        self._worker.stop()


class RayActors:
    """Actors, as a context manager; its end stops them. Ray itself is left as it was, unless it was entered here.

    Args:
        address: of the cluster: "auto" or "ray://HOST:10001". Where this process is in a cluster already, that one.
        database: the URL that every node reaches.
        number: how many actors; those for which there is no room wait, which lets a cluster grow that can. None: as
            many as there is room for, whatever nodes come and go.
        gpus: of one actor; None: 1 where the cluster has any, else 0.
        settings: of the workers.

    Raises:
        ValueError: Ray is not installed, there is no cluster, or the database is a file and the nodes are several.
    """

    def __init__(
        self,
        address: str,
        database: str,
        number: int | None = None,
        *,
        gpus: float | None = None,
        settings: CellSettings | None = None,
    ) -> None:
        self._ray = ray_library()
        self._address, self._database, self._number, self._gpus = address, database, number, gpus
        self._settings = settings or CellSettings()
        self._actors: dict[Any, Any] = {}  # by what `run` will give: the actor
        self._looked, self._entered = float("-inf"), False

    def __enter__(self) -> RayActors:
        ray = self._ray
        if not ray.is_initialized():
            try:
                ray.init(address=self._address, log_to_driver=True, logging_level=logging.WARNING)
            except (ConnectionError, RuntimeError, TimeoutError) as error:
                said = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise ValueError(f"no Ray cluster at {self._address} ({said}); start one: ray start --head") from None
            self._entered = True
        nodes = [node for node in ray.nodes() if node["Alive"]]
        if self._database.startswith("sqlite") and len(nodes) > 1:
            self._leave()
            raise ValueError(f"{len(nodes)} machines need one database; give --database postgresql+psycopg://…")
        self.tend()
        return self

    def __exit__(self, *_: object) -> None:
        ray = self._ray
        for actor in self._actors.values():
            actor.stop.remote()
        if self._actors:
            ray.wait(list(self._actors), num_returns=len(self._actors), timeout=self._settings.grace + 5.0)
        for actor in self._actors.values():
            ray.kill(actor)
        self._actors = {}
        self._leave()

    @property
    def size(self) -> int:
        """How many actors there are, those included that wait for room."""
        return len(self._actors)

    def tend(self) -> None:
        """Start actors in the place of those that ended, and where there is more room."""
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked, ray = time.monotonic(), self._ray
        if self._actors:
            for ended in ray.wait(list(self._actors), num_returns=len(self._actors), timeout=0)[0]:
                del self._actors[ended]
                try:
                    ray.get(ended)
                except ray.exceptions.RayError as error:
                    LOG.warning("a worker died: %s", type(error).__name__)
        have = ray.cluster_resources()
        gpus = (1.0 if have.get("GPU", 0) else 0.0) if self._gpus is None else self._gpus
        room = int(have.get("GPU", 0) / gpus) if gpus else int(have.get("CPU", 0))
        kind = ray.remote(Actor).options(num_gpus=gpus, num_cpus=1, max_concurrency=3, max_restarts=0)
        while len(self._actors) < (room if self._number is None else self._number):
            actor = kind.remote(self._database, self._settings)
            self._actors[actor.run.remote()] = actor

    def _leave(self) -> None:
        if self._entered:
            self._ray.shutdown()
            self._entered = False


def ray_library() -> Any:
    """Ray. `ValueError` with the mend if it is not installed."""
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError:
        raise ValueError('Ray needs more: pip install "fair-diffusion[scale]"') from None
