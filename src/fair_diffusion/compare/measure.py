"""One way on some prompts: draw, read, and compare with the plain images of the same seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fair_diffusion.backbones import OnStep
from fair_diffusion.compare.drawn import SHOWN, Drawn, image_rows
from fair_diffusion.compare.memory import peak_memory
from fair_diffusion.compare.way import PLAIN, Way
from fair_diffusion.perception.probabilities import features
from fair_diffusion.policy import Match, Policy
from fair_diffusion.request import Request
from fair_diffusion.result import Record, Result
from fair_diffusion.statistics.distance import cosine_distances, pixel_differences

if TYPE_CHECKING:
    from fair_diffusion.control.planned import Planned
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
        """What of it makes the images of `way`, as plain data: not all ways depend on the instruction."""
        said: dict[str, Any] = {"prompt": self.prompt, "seed": self.seed, "way": way.identity}
        if way.instructed:
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

    def request(self, ask: Ask, way: Way) -> Request:
        """The request of one way for one prompt."""
        asked: dict[str, Any] = {**vars(self), "method": way.method, **way.options}
        return Request(prompt=ask.prompt, seed=ask.seed, policy=None if way == PLAIN else ask.policy, **asked)


@dataclass(frozen=True)
class PlainImages:
    """The plain images of an ask, in the order of their seeds, and the judge's features of them, if it has any."""

    images: Sequence[Image.Image]
    vectors: NDArray[np.float32] | None

    @classmethod
    def of(cls, cell: Drawn) -> PlainImages:
        """Those that the plain way drew, loaded with its pictures."""
        images = [Image.open(BytesIO(png), formats=["PNG"]).convert("RGB") for png in cell.pictures]
        return cls(images, cell.vectors)


def measure(
    pipe: FairPipeline,
    way: Way,
    asks: Sequence[Ask],
    drawing: Drawing,
    *,
    plain: Sequence[PlainImages | None],
    on_step: OnStep | None = None,
) -> Iterator[tuple[Ask, Drawn]]:
    """Draw the images of `asks` in this way, in batches across them, and read them.

    Args:
        pipe: draws and reads.
        way: how.
        asks: what.
        drawing: how many images of each, in how many steps.
        plain: the plain images of each; None if these are the plain ones.
        on_step: as in `FairPipeline`.

    Yields:
        Each ask with what was drawn, as soon as it is finished.

    Raises:
        ValueError: the model or the pipeline cannot do it in this way.
        KeyboardInterrupt: interrupted before all images were there.
    """
    known = set(pipe.projections)
    with peak_memory(pipe.backbone.device) as peak:
        for k, result in pipe.run((_planned(pipe, way, ask, drawing) for ask in asks), on_step):
            if result.stopped:
                raise KeyboardInterrupt
            if len(result.images) != drawing.n:
                raise ValueError(f"{len(result.images)} of {drawing.n} images came out")
            yield asks[k], _drawn(pipe, way, asks[k], result, plain[k], known, peak.bytes)


def _planned(pipe: FairPipeline, way: Way, ask: Ask, drawing: Drawing) -> Planned:
    """The request of one way for one prompt, with its quotas, or what the lot gives instead."""
    planned = pipe.plan(drawing.request(ask, way))
    return replace(planned, quotas=lots(ask, drawing.n)) if way.coin else planned


def _drawn(
    pipe: FairPipeline, way: Way, ask: Ask, result: Result, plain: PlainImages | None, known: set[str], memory: int
) -> Drawn:
    """What one way made of one prompt. known: what had been learnt from the model's text before."""
    vectors = features(pipe.judge, result.images)
    plain = PlainImages(result.images, vectors) if plain is None else plain
    rows = [_row(record) for record in result.records]
    for row, distances in zip(rows, _distances(result, vectors, ask.seed, plain), strict=True):
        row.update(distances)
    kept = result.images if way == PLAIN else result.images[:SHOWN]
    return Drawn(
        images=image_rows(rows),
        vectors=vectors,
        pictures=[_png(image) for image in kept],
        seconds=result.seconds - sum(took for name, took in result.learnt.items() if name not in known),
        memory=memory,
        notes=result.notes,
        learnt=result.learnt,
    )


def lots(ask: Ask, n: int) -> list[list[int]]:
    """How many images show each cell of each target where a coin decides.

    Counts of independent draws, dealt out in random order, are independent draws."""
    lot = np.random.default_rng([_COIN_STREAM, ask.seed])
    shares = [[float(share) for share in target.shares.values()] for target in ask.matched.targets]
    return [lot.multinomial(n, each).tolist() for each in shares]


def _row(record: Record) -> dict[str, Any]:
    facts = ("index", "seed", "steered", "repairs", "reseeds", "missed", "evaluations", "plain_evaluations")
    labels = {
        f"{reader}.{name}": label
        for reader in ("judged", "perceived", "assigned")
        for name, label in getattr(record, reader).items()
    }
    return {name: getattr(record, name) for name in facts} | labels


def _distances(
    result: Result, vectors: NDArray[np.float32] | None, first: int, twins: PlainImages
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
