"""A comparison as a campaign: a cell is one prompt with all its ways and instructions.

The ways of a prompt are compared with its plain images, in their pixels and in their times. So one worker draws them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fair_diffusion.compare.comparison import TOGETHER, Comparison, draw_asks, opened, planned
from fair_diffusion.compare.folder import SETTINGS, cell_path, work_folder
from fair_diffusion.compare.measure import Ask, Drawing
from fair_diffusion.compare.way import Way, read_ways
from fair_diffusion.policy import Policy
from fair_diffusion.scale.campaign import Cell, Told, policy_of
from fair_diffusion.scale.store import Store

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline

OF_PIPELINE = (
    *("model", "weights", "steps", "guidance", "dtype", "device"),
    *("perceiver", "judge", "early", "calibration", "versions"),
)
"""The settings of a folder that are known when a worker has loaded the model."""


class ComparisonCampaign:
    """A comparison for the driver, which needs no model.

    Args:
        ways: their words, as `way.read_ways` takes them.
        prompts: the prompts.
        instructions: the words of each policy (`campaign.policy_of`), by its name in tables.
        folder: a new folder, or the folder of a call with the same settings.
        drawing: the fields of `Drawing` that are given.
        seed: as for `compare`.
        loading: what `FairPipeline.from_pretrained` takes, with the model, as plain data.
        store: as in `Campaign`.

    Raises:
        ValueError: a wrong argument, an instruction that asks nothing of a prompt, or a folder with other settings.
    """

    kind = "comparison"

    def __init__(
        self,
        ways: Sequence[str],
        prompts: Sequence[str],
        instructions: Mapping[str, Mapping[str, Any]],
        folder: Path,
        *,
        drawing: Mapping[str, Any],
        seed: int,
        loading: Mapping[str, Any],
        store: str | None = None,
    ) -> None:
        self.work, self.store = folder.absolute(), store
        self._words, self._prompts, self._instructions = list(ways), list(prompts), dict(instructions)
        self._drawing, self._seed, self._loading = dict(drawing), seed, dict(loading)
        policies = {name: policy_of(told) for name, told in instructions.items()}
        self.ways, self.asks = planned(read_ways(ways), prompts, policies, drawing=Drawing(**drawing), seed=seed)
        shared = {"seed": seed, **Drawing(**drawing).settings}
        work_folder(self.work).check(shared, undecided=[name for name in OF_PIPELINE if name not in drawing])
        self._left = deque(range(len(self._prompts)))
        self._of: dict[str, list[Ask]] = {}
        for ask in self.asks:
            self._of.setdefault(ask.prompt, []).append(ask)
        self._failures: dict[tuple[str, str], tuple[int, str]] = {}
        self._settled = False
        self.there = 0

    @property
    def whole(self) -> int:
        """All images that there will be."""
        return len(self.asks) * len(self.ways) * int(self._drawing["n"])

    @property
    def waiting(self) -> bool:
        """Whether `missing` may give more cells."""
        return bool(self._left)

    @property
    def found(self) -> Comparison:
        """The comparison that was drawn."""
        settings = work_folder(self.work).settings()
        if settings is None:
            raise ValueError(f"{self.work} holds no comparison; draw it first")
        failures = {key: said for key, (_, said) in self._failures.items()}
        return Comparison(
            folder=self.work,
            ways=self.ways,
            asks=self.asks,
            settings=settings,
            device=settings["device"],
            failures=failures,
        )

    def told(self) -> Told:
        """The comparison for workers."""
        return {
            "ways": self._words,
            "prompts": self._prompts,
            "instructions": self._instructions,
            "drawing": self._drawing,
            "seed": self._seed,
            "loading": self._loading,
            "work": None if self.store else str(self.work),
            "store": self.store,
        }

    def missing(self) -> Iterator[Cell]:
        """One cell for each prompt of which something is not there."""
        per_prompt = self.whole // len(self._prompts)
        while self._left:
            place = self._left.popleft()
            if not all(path.is_file() for path in self._paths(place)):
                yield Cell(name=f"prompt-{place:05d}", images=per_prompt, told={"place": place})
            else:
                self.there += per_prompt

    def visible(self, cell: Told) -> bool:
        """Whether the plain images lie in the folder: a way that failed leaves nothing."""
        if self.store is not None:
            with suppress(FileNotFoundError):
                self._fetch(Store(self.store), f"prompt-{cell['place']:05d}")
        return next(self._paths(cell["place"])).is_file()

    def arrived(self, cell: Told, result: Told) -> None:
        """Note the ways that failed; of several errors, that of the first prompt is told."""
        self.there += self.whole // len(self._prompts)
        for instruction, way, said in result["failures"]:
            kept = self._failures.get((instruction, way))
            if kept is None or cell["place"] < kept[0]:
                self._failures[instruction, way] = (cell["place"], said)

    def _fetch(self, store: Store, name: str) -> None:
        if not self._settled:
            store.fetch(SETTINGS, self.work)
            self._settled = True
        store.fetch(name, self.work)

    def _paths(self, place: int) -> Iterator[Path]:
        """The files of one prompt, that of its plain images first."""
        for ask in self._of[self._prompts[place]]:
            for way in self.ways:
                yield cell_path(self.work, way.name, ask.prompt, ask.identity(way))


class ComparisonDrawer:
    """A comparison for a worker.

    Args:
        told: as `ComparisonCampaign.told` has it.
        pipe: the model of the comparison.

    Raises:
        ValueError: an instruction asks for what the readers do not know, or what is there was drawn otherwise.
    """

    together = TOGETHER

    def __init__(self, told: Told, pipe: FairPipeline) -> None:
        self._pipe, self._prompts = pipe, told["prompts"]
        self._drawing = Drawing(**pipe.with_usual(told["drawing"]))
        policies: dict[str, Policy] = {name: policy_of(words) for name, words in told["instructions"].items()}
        ways: list[Way] = read_ways(told["ways"])
        seed = told["seed"]
        ways, asks = planned(ways, self._prompts, policies, drawing=self._drawing, seed=seed)
        for ask in asks:
            pipe.check(ask.matched)
        self._store = Store(told["store"]) if told["store"] else None
        self._work = None if told["work"] is None else Path(told["work"])
        folder = self._work or Path()
        self._comparison = opened(pipe, ways, asks, folder, drawing=self._drawing, seed=seed)
        if self._store is not None:
            self._store.agree(work_folder, self._comparison.settings)
        elif self._work is not None:
            work_folder(self._work).agrees(self._comparison.settings)

    def draw(self, cells: Iterator[Cell], on_step: Callable[[Any], None]) -> Iterator[tuple[Cell, Told]]:
        """Draw some prompts in turn, all ways of them, and yield each when it is written."""
        while some := list(islice(cells, self.together)):
            with TemporaryDirectory() as scratch:
                comparison = replace(self._comparison, folder=self._work or Path(scratch))
                asks = self._asks([cell.told["place"] for cell in some])
                draw_asks(self._pipe, comparison, asks, self._drawing, on_step=on_step)
                if self._store is not None:
                    self._send(self._store, comparison, some)
            failed = [[*key, said] for key, said in comparison.failures.items()]
            for cell in some:
                yield cell, {"failures": failed}

    def _asks(self, places: Sequence[int]) -> list[Ask]:
        prompts = {self._prompts[place] for place in places}
        return [ask for ask in self._comparison.asks if ask.prompt in prompts]

    def _send(self, store: Store, comparison: Comparison, cells: Sequence[Cell]) -> None:
        """Put the files of each prompt into the store, as one object."""
        store.agree(work_folder, comparison.settings, write=True)
        for cell in cells:
            asks = self._asks([cell.told["place"]])
            paths = dict.fromkeys(comparison.path(way, ask) for ask in asks for way in comparison.ways)
            store.put(cell.name, comparison.folder, filter(Path.is_file, paths))
