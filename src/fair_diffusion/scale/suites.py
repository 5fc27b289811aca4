"""A suite as a campaign: a cell is one part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fair_diffusion.files.new_folder import new_folder
from fair_diffusion.runs.format import RESULT, SETTINGS
from fair_diffusion.runs.parts import Part, Parts
from fair_diffusion.runs.suite import Suite, draw_parts, whole_settings
from fair_diffusion.runs.work import suite_folder
from fair_diffusion.scale.campaign import Cell, Told, policy_of
from fair_diffusion.scale.store import Store

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline


class SuiteCampaign:
    """A suite for the driver, which needs no model.

    Args:
        suite: the settings.
        concepts: the occupations.
        work: the work folder; it may hold parts of an earlier call.
        images: how many images each concept gets; with `until`, the most it gets.
        until: a concept ends once every interval is at most ± this wide, as a share.
        attributes: the attributes whose intervals count; all if None.
        usual: the settings that the model's card gives when a worker has loaded it.
        policy: the words of the policy, as `campaign.policy_of` reads them.
        options: further fields of each `Request`, as plain data.
        loading: what `FairPipeline.from_pretrained` takes, with the model, as plain data.
        store: as in `Campaign`.
    """

    kind = "suite"

    def __init__(
        self,
        suite: Suite,
        concepts: Sequence[str],
        work: Path,
        *,
        images: int,
        until: float | None = None,
        attributes: list[str] | None = None,
        usual: Sequence[str] = (),
        policy: Mapping[str, Any],
        options: Mapping[str, Any],
        loading: Mapping[str, Any],
        store: str | None = None,
    ) -> None:
        self.work, self.store = work.absolute(), store
        self.parts = Parts(concepts, work, images=images, until=until, attributes=attributes)
        self._suite, self._until, self._usual = suite, until, usual
        self._policy, self._options, self._loading = policy, options, loading
        self._settled = False

    @property
    def whole(self) -> int:
        """All images that there will be."""
        return self.parts.whole

    @property
    def there(self) -> int:
        """Images that lie in the work folder."""
        return self.parts.there

    @property
    def waiting(self) -> bool:
        """Whether `missing` may give more cells."""
        return self.parts.waiting

    def told(self) -> Told:
        """The suite for workers."""
        suite = asdict(self._suite) | {"file": str(self._suite.file.absolute()) if self._suite.file else None}
        return {
            "suite": suite,
            "until": self._until,
            "usual": list(self._usual),
            "policy": dict(self._policy),
            "options": dict(self._options),
            "loading": dict(self._loading),
            "work": None if self.store else str(self.work),
            "store": self.store,
        }

    def missing(self) -> Iterator[Cell]:
        """One cell for each part that can be drawn now and is not there."""
        for part in self.parts.missing():
            yield Cell(name=part.name, images=part.n, told=asdict(part))

    def visible(self, cell: Told) -> bool:
        """Whether the part lies in the work folder; it is fetched out of the store."""
        part = Part(**cell)
        if self.store is not None:
            with suppress(FileNotFoundError):
                self._fetch(Store(self.store), part.name)
        return (self.work / part.name / RESULT).is_file()

    def arrived(self, cell: Told, result: Told) -> None:
        """Count a part that is there."""
        self.parts.arrived(Part(**cell))

    def _fetch(self, store: Store, name: str) -> None:
        if not self._settled:
            store.fetch(SETTINGS, self.work)
            self._settled = True
        if not (self.work / name / RESULT).is_file():
            with new_folder(self.work / name) as folder:
                store.fetch(name, folder)


class SuiteDrawer:
    """A suite for a worker.

    Args:
        told: as `SuiteCampaign.told` has it.
        pipe: the model of the suite.

    Raises:
        ValueError: the parts that are there were drawn with other settings, weights or versions.
    """

    together = 1

    def __init__(self, told: Told, pipe: FairPipeline) -> None:
        suite = Suite(**told["suite"] | {"file": Path(told["suite"]["file"]) if told["suite"]["file"] else None})
        usual = {name: value for name, value in pipe.with_usual({}).items() if name in told["usual"]}
        self._pipe, self._suite, self._options = pipe, replace(suite, **usual), dict(told["options"])
        if told["policy"]:
            self._options["policy"] = policy_of(told["policy"])
        self._settings = whole_settings(self._suite, told["until"], pipe)
        self._store = Store(told["store"]) if told["store"] else None
        self._work = None if told["work"] is None else Path(told["work"])
        if self._store is not None:
            self._store.agree(suite_folder, self._settings)
        elif self._work is not None:
            suite_folder(self._work).agrees(self._settings)

    def draw(self, cells: Iterator[Cell], on_step: Callable[[Any], None]) -> Iterator[tuple[Cell, Told]]:
        """Draw parts in mixed batches, and yield each when it is written."""
        begun: dict[str, Cell] = {}

        def parts() -> Iterator[Part]:
            for cell in cells:
                begun[cell.name] = cell
                yield Part(**cell.told)

        for part, result in draw_parts(self._pipe, self._suite, parts(), options=self._options, on_step=on_step):
            self._write(part.name, result)
            yield begun.pop(part.name), {"n": part.n, "seconds": result.seconds}

    def _write(self, name: str, result: Any) -> None:
        """Write a part, unless another worker wrote it: the same seeds give the same images."""
        if self._work is not None:
            suite_folder(self._work).join(self._settings)
            try:
                result.save(self._work / name)
            except ValueError:
                if not (self._work / name / RESULT).is_file():
                    raise
        if self._store is not None:
            self._store.agree(suite_folder, self._settings, write=True)
            with TemporaryDirectory() as scratch:
                folder = Path(scratch) / name
                result.save(folder)
                self._store.put(name, folder, sorted(folder.iterdir()))
