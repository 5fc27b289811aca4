"""One way on one prompt: draw, read, and compare with the plain twins. Exports `Ask`, `Drawing`, `Twins`, `measure`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fair_diffusion.backbones import OnStep
from fair_diffusion.compare.cell import SHOWN, Cell, image_rows
from fair_diffusion.compare.memory import peak_memory
from fair_diffusion.compare.way import PLAIN, Way
from fair_diffusion.perception.probabilities import features
from fair_diffusion.policy import Match, Policy
from fair_diffusion.request import Request
from fair_diffusion.result import Record, Result
from fair_diffusion.statistics.distance import cosine_distances, pixel_differences

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline

_COIN_STREAM = 5


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One prompt under one instruction, what that asks of it, and the seed: image i is drawn from seed + i."""

    instruction: str
    policy: Policy
    prompt: str
    matched: Match
    seed: int

    def identity(self, way: Way) -> dict[str, Any]:
        """What of it makes the images of `way`, as plain data: only ways that steer see the instruction."""
        said: dict[str, Any] = {"prompt": self.prompt, "seed": self.seed, "way": way.identity}
        if way.steers:
            said["start"] = self.matched.start
            said["targets"] = [
                [list(target.attributes), {"/".join(cell): str(share) for cell, share in target.shares.items()}]
                for target in self.matched.targets
            ]
        return said


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How every way draws: images per prompt, and fields of `Request`."""

    n: int
    steps: int = 25
    guidance: float | None = None
    batch_size: int = 8
    negative_prompt: str | None = None
    guidance_rescale: float = 0.0
    repair_budget: float = 0.25

    @property
    def settings(self) -> dict[str, Any]:
        """The fields that a folder keeps as settings.

        The last three are left out where they have their defaults: folders made before they were fields lack them."""
        usual = vars(Drawing(n=self.n))
        later = ("negative_prompt", "guidance_rescale", "repair_budget")
        return {name: value for name, value in vars(self).items() if name not in later or value != usual[name]}

    def fields(self, ask: Ask, way: Way) -> dict[str, Any]:
        """The fields of the `Request` of one way."""
        asked = {"prompt": ask.prompt, "seed": ask.seed, **vars(self)}
        return asked | {"method": way.method, "control": way.control, **way.options}


@dataclass(frozen=True)
class Twins:
    """The plain images of an ask, in the order of their seeds, and the judge's features of them, if it has any."""

    images: Sequence[Image.Image]
    vectors: NDArray[np.float32] | None

    @classmethod
    def of(cls, cell: Cell) -> Twins:
        """Those that a plain cell holds, loaded with its pictures."""
        images = [Image.open(BytesIO(png), formats=["PNG"]).convert("RGB") for png in cell.pictures]
        return cls(images, cell.vectors)


def measure(
    pipe: FairPipeline, way: Way, ask: Ask, drawing: Drawing, *, twins: Twins | None, on_step: OnStep | None = None
) -> Cell:
    """Draw the images of `ask` in this way, and read them.

    Args:
        pipe: draws and reads.
        way: how.
        ask: what.
        drawing: how many, in how many steps.
        twins: the plain images; None if these are the plain ones.
        on_step: as in `FairPipeline`.

    Raises:
        ValueError: the model or the pipeline cannot do it in this way.
        KeyboardInterrupt: interrupted before all images were there.
    """
    fields, known = drawing.fields(ask, way), set(pipe.projections)
    with way.applied(pipe.backbone.pipeline), peak_memory(pipe.backbone.device) as peak:
        if way.coin:
            result = pipe.draw(Request(**fields), ask.matched, lots(ask, drawing.n), on_step=on_step)
        else:
            result = pipe(**fields, policy=ask.policy if way.steers else None, on_step=on_step)
    if result.stopped:
        raise KeyboardInterrupt
    if len(result.images) != drawing.n:
        raise ValueError(f"{len(result.images)} of {drawing.n} images came out")
    vectors = features(pipe.judge, result.images)
    twins = Twins(result.images, vectors) if twins is None else twins
    rows = [_row(record, way) for record in result.records]
    for row, distances in zip(rows, _distances(result, vectors, ask.seed, twins), strict=True):
        row.update(distances)
    kept = result.images if way == PLAIN else result.images[:SHOWN]
    return Cell(
        images=image_rows(rows),
        vectors=vectors,
        pictures=[_png(image) for image in kept],
        seconds=result.seconds - sum(took for name, took in result.learnt.items() if name not in known),
        memory=peak.bytes,
        notes=result.notes,
        learnt=result.learnt,
    )


def lots(ask: Ask, n: int) -> list[list[int]]:
    """How many images show each cell of each target where a coin decides.

    Counts of independent draws, dealt out in random order, are independent draws."""
    lot = np.random.default_rng([_COIN_STREAM, ask.seed])
    shares = [[float(share) for share in target.shares.values()] for target in ask.matched.targets]
    return [lot.multinomial(n, each).tolist() for each in shares]


def _row(record: Record, way: Way) -> dict[str, Any]:
    facts = ("index", "seed", "steered", "repairs", "reseeds", "missed", "evaluations", "plain_evaluations")
    labels = {
        f"{reader}.{name}": label
        for reader in ("judged", "perceived", "assigned")
        for name, label in getattr(record, reader).items()
    }
    row = {name: getattr(record, name) for name in facts} | labels
    return row | {"steered": record.steered or way.file is not None}  # of edited weights the request knows nothing


def _distances(
    result: Result, vectors: NDArray[np.float32] | None, first: int, twins: Twins
) -> list[dict[str, float | None]]:
    """The distances of every image to the plain one of its seed; None where there is none."""
    found: list[dict[str, float | None]] = [{"pixels": None, "features": None} for _ in result.images]
    places = [record.seed - first for record in result.records]
    pairs = [(i, place) for i, place in enumerate(places) if 0 <= place < len(twins.images)]
    if not pairs:
        return found
    pixels = pixel_differences([result.images[i] for i, _ in pairs], [twins.images[j] for _, j in pairs])[:, 0]
    for (i, _), value in zip(pairs, pixels, strict=True):
        found[i]["pixels"] = float(value)
    if vectors is not None and twins.vectors is not None:
        distances = cosine_distances(vectors[[i for i, _ in pairs]], twins.vectors[[j for _, j in pairs]])
        for (i, _), value in zip(pairs, distances, strict=True):
            found[i]["features"] = max(0.0, float(value))  # rounding may leave a little less than nothing
    return found


def _png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
