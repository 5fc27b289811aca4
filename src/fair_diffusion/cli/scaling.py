"""The options --workers, --cluster, --database, --store and --gpus: who draws, if not this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fair_diffusion.cli.console import say
from fair_diffusion.cli.options import Defining, Instruction, Loading, Scaling
from fair_diffusion.cli.usage import MODEL
from fair_diffusion.files import guarded
from fair_diffusion.files.text import absolute

if TYPE_CHECKING:
    from fair_diffusion.scale.campaign import Campaign
    from fair_diffusion.scale.driver import Workers

LOCAL = "local"
DATABASE = "FAIR_DIFFUSION_DATABASE"
MOST_EACH = 16
"""Processes of workers for each processor at most. Each has a model of its own in memory, so more is a slip."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Who draws a suite or a comparison, if not this process.

    Attributes:
        cluster: "local", or the address of a Ray cluster.
        workers: how many; None: as many as the cluster has room for, or one process.
        database: the URL; None: a file that lasts as long as the command.
        store: as in `Campaign`.
        gpus: of one worker, with Ray; None: 1 if there are any.
    """

    cluster: str
    workers: int | None
    database: str | None
    store: str | None
    gpus: float | None

    @classmethod
    def of(cls, scaling: Scaling, loading: Loading) -> Scale | None:
        """What the options say; None if this process draws.

        Raises:
            ValueError: the options do not fit together, or the model lacks its readers.
        """
        if "workers" not in scaling and "cluster" not in scaling:
            if scaling:
                raise ValueError(f"--{next(iter(scaling))} is for workers; give --workers or --cluster, too")
            return None
        found = cls(
            cluster=scaling.get("cluster", LOCAL),
            workers=scaling.get("workers"),
            database=scaling.get("database") or os.environ.get(DATABASE),
            store=scaling.get("store"),
            gpus=scaling.get("gpus"),
        )
        found._check(loading)
        return found

    def _check(self, loading: Loading) -> None:
        from fair_diffusion.perception.roles import check_roles
        from fair_diffusion.scale.store import Store

        if self.cluster not in (LOCAL, "auto") and not self.cluster.startswith("ray://"):
            raise ValueError(f"--cluster is {self.cluster!r}; give local, auto, or an address such as ray://HOST:10001")
        if self.gpus is not None and self.cluster == LOCAL:
            raise ValueError("--gpus is for Ray; processes of this machine get one GPU each")
        if self.workers == 0 and self.database is None:
            raise ValueError("--workers 0 needs --database, by which workers that you start find what to draw")
        most = MOST_EACH * (os.cpu_count() or 1)
        if self.cluster == LOCAL and (self.workers or 0) > most:
            raise ValueError(
                f"--workers is {self.workers}; this machine has {os.cpu_count()} processors: give up to {most}"
            )
        if self.store is not None:
            Store(self.store)
        model = str(loading.get("model", MODEL))
        if model != MODEL:
            check_roles(loading.get("perceiver"), loading.get("judge"), model=model)

    def draw(self, campaign: Campaign, progress: Callable[[int, int | None], None]) -> None:
        """Let workers draw a campaign. `ValueError` and `KeyboardInterrupt` as in `draw_campaign`."""
        from fair_diffusion.scale.driver import draw_campaign
        from fair_diffusion.service.database import Database

        with TemporaryDirectory() as folder:
            url = self.database or str(Path(folder) / "jobs.sqlite")
            database = Database(url)
            try:
                workers = self._workers(database.url)
                draw_campaign(campaign, database, workers, progress=progress, tell=lambda line: say(line, err=True))
            finally:
                database.close()

    def _workers(self, url: str) -> Workers:
        """Whoever starts the workers."""
        from fair_diffusion.scale.driver import Elsewhere
        from fair_diffusion.scale.processes import Processes

        if self.workers == 0:
            return Elsewhere()
        if self.cluster == LOCAL:
            return Processes(url, self.workers or 1)
        from fair_diffusion.scale.ray_actors import RayActors

        return RayActors(self.cluster, url, self.workers, gpus=self.gpus)


def loading_words(loading: Loading) -> dict[str, Any]:
    """The options of loading for workers, as plain data, with absolute paths."""
    given: dict[str, Any] = {"model": MODEL, **loading}
    return {name: _each(absolute, value) for name, value in given.items()}


def policy_words(instruction: Instruction) -> dict[str, Any]:
    """The words of a policy for workers, as `scale.campaign.policy_of` reads them."""
    if "policy" in instruction:
        return file_words(instruction["policy"])
    told: dict[str, Any] = {"instruct": instruction["instruct"]} if "instruct" in instruction else {}
    return told | ({"define": [absolute(word) for word in instruction["define"]]} if "define" in instruction else {})


def file_words(file: Path) -> dict[str, Any]:
    """The words of a policy file; a file that it includes must lie at the same path for workers."""
    return {"policy": guarded.text(file), "folder": str(file.absolute().parent)}


def instruction_words(
    sentences: Sequence[str], files: Sequence[Path], defining: Defining
) -> Mapping[str, Mapping[str, Any]]:
    """The words of each instruction of a comparison, by the name that tables give it."""
    own = {"define": [absolute(word) for word in defining["define"]]} if "define" in defining else {}
    said = {sentence: {"instruct": sentence, **own} for sentence in sentences}
    return said | {file.name: file_words(file) for file in files}


def _each(do: Callable[[str], str], value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_each(do, one) for one in value]
    return do(value) if isinstance(value, str) else value
