"""Draw and read some prompts in one way, and compare the images with the plain images of the same seeds."""

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
    """One prompt with one instruction.

    Attributes:
        instruction: the name of the instruction.
        policy: the instruction.
        prompt: the prompt.
        matched: the rule of the policy that fires for the prompt.
        seed: image i is drawn from seed + i.
        lot: what decides among equal remainders of quotas, as in `Request`.
    """

    instruction: str
    policy: Policy
    prompt: str
    matched: Match
    seed: int
    lot: tuple[int, int] | None = None

    def identity(self, way: Way) -> dict[str, Any]:
        """All that makes the images of a way, as plain data. Not all ways depend on the instruction.

        What a policy need not say is left out where it does not, because folders of earlier versions lack it."""
        said: dict[str, Any] = {"prompt": self.prompt, "seed": self.seed, "way": way.identity}
        if way.instructed:
            said["start"], said["lot"] = self.matched.start, self.lot and list(self.lot)
            said["targets"] = [
                [list(target.attributes), {"/".join(cell): str(share) for cell, share in target.shares.items()}]
                for target in self.matched.targets
            ]
            told = {"definitions": self.policy.attributes.own, "words": self.policy.words}
            said |= {name: value for name, value in told.items() if value}
            said |= {} if self.policy.hold is None else {"hold": list(self.policy.hold)}
        return said


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How all ways draw.

    Attributes:
        n: images per prompt.
        steps, guidance, batch_size, negative_prompt, guidance_rescale, repair_budget, size, hold: fields of `Request`.
    """

    n: int
    steps: int = 25
    guidance: float | None = None
    batch_size: int = 8
    negative_prompt: str | None = None
    guidance_rescale: float = 0.0
    repair_budget: float = 0.25
    size: str | None = None
    hold: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The fields as settings of a folder.

        The last five are left out if they have their defaults, because folders of earlier versions lack them."""
        usual = vars(Drawing(n=self.n))
        later = ("negative_prompt", "guidance_rescale", "repair_budget", "size", "hold")
        return {name: value for name, value in vars(self).items() if name not in later or value != usual[name]}

    def request(self, ask: Ask, way: Way) -> Request:
        """The request of one way for one prompt."""
        fields: dict[str, Any] = {**vars(self), "method": way.method, **way.options}
        policy = None if way == PLAIN else ask.policy
        return Request(prompt=ask.prompt, seed=ask.seed, policy=policy, lot=ask.lot, **fields)


@dataclass(frozen=True)
class PlainImages:
    """The plain images of an ask, in the order of their seeds.

    Attributes:
        images: the images.
        vectors: the judge's features of them, (images, d); None if it has none.
    """

    images: Sequence[Image.Image]
    vectors: NDArray[np.float32] | None

    @classmethod
    def of(cls, cell: Drawn) -> PlainImages:
        """The images in a cell of the plain way, which was loaded with its pictures."""
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
    """Draw and read the images of several asks in one way. Batches may hold images of several asks.

    Args:
        pipe: the model with its readers.
        way: the way.
        asks: the asks.
        drawing: images per prompt, steps and so on.
        plain: the plain images of each ask; None if the way is the plain one.
        on_step: as in `FairPipeline`.

    Yields:
        Each ask with its cell, as soon as it is finished.

    Raises:
        ValueError: the model or the pipeline cannot draw in this way.
        KeyboardInterrupt: the drawing was interrupted before all images were finished.
    """
    known = set(pipe.projections)
    with peak_memory(pipe.backbone.device) as peak:
        for k, result in pipe.run((_planned(pipe, way, ask, drawing) for ask in asks), on_step):
            if result.stopped:
                raise KeyboardInterrupt
            if len(result.images) != drawing.n:
                raise ValueError(f"only {len(result.images)} of {drawing.n} images were drawn")
            yield asks[k], _drawn(pipe, way, asks[k], result, plain[k], known, peak.bytes)


def _planned(pipe: FairPipeline, way: Way, ask: Ask, drawing: Drawing) -> Planned:
    """The request of one way for one prompt, with its quotas, or with the counts of a coin instead."""
    planned = pipe.plan(drawing.request(ask, way))
    return replace(planned, quotas=lots(ask, drawing.n)) if way.coin else planned


def _drawn(
    pipe: FairPipeline, way: Way, ask: Ask, result: Result, plain: PlainImages | None, known: set[str], memory: int
) -> Drawn:
    """The cell of one way and prompt.

    Args:
        pipe: the model with its readers.
        way: the way.
        ask: the prompt.
        result: its images.
        plain: the plain images; None if the way is the plain one.
        known: the names of the projections that were learnt before.
        memory: peak memory in bytes.
    """
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
    """Counts of each cell of each target, if a coin decides for every image.

    Multinomial counts that are assigned in random order are the same as independent draws."""
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
    """The distances of every image to the plain image of its seed; None if there is none."""
    distances: list[dict[str, float | None]] = [{"pixels": None, "features": None} for _ in result.images]
    places = [record.seed - first for record in result.records]
    pairs = [(i, place) for i, place in enumerate(places) if 0 <= place < len(twins.images)]
    if not pairs:
        return distances
    pixels = pixel_differences([result.images[i] for i, _ in pairs], [twins.images[j] for _, j in pairs])[:, 0]
    for (i, _), value in zip(pairs, pixels, strict=True):
        distances[i]["pixels"] = float(value)
    if vectors is not None and twins.vectors is not None:
        apart = cosine_distances(vectors[[i for i, _ in pairs]], twins.vectors[[j for _, j in pairs]])
        for (i, _), value in zip(pairs, apart, strict=True):
            distances[i]["features"] = max(0.0, float(value))  # rounding can make it a little less than 0
    return distances


def _png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
