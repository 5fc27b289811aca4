"""What a server knows of a model without loading it: workers that loaded it say so in the database, and stay seen."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from fair_diffusion.files.text import public
from fair_diffusion.service.database import Database, DatabaseError, now
from fair_diffusion.service.figures import Figures
from fair_diffusion.service.tables import workers

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline

BEAT = 5.0
"""Seconds between two times that a worker says that it is there."""
GONE = 3 * BEAT
"""A worker that was not seen for so many seconds is gone."""
AWAY = 300.0
"""Seconds for which a model whose worker is gone stays the usual one: it may be starting again."""
KEPT = 24 * 3600.0
"""Seconds for which a server still takes requests for the model of a worker that is gone: it may be starting again."""


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model that some worker draws with.

    Attributes:
        name: what requests call it.
        width, height: of its usual pictures, in pixels.
        grain: each side of a picture is a multiple of this.
        steps, guidance: what is used if a request does not state them.
        attributes: what perceiver and judge read.
        passes: network evaluations of one step.
        weights: the hash of its weights.
        upstream: whether another server draws; its size is not known then (0), and a step is a unit of cost alone.
        batch: images in one batch at most, as the worker found at its start.
        image_step: seconds of a step for one image, by the size of the batch, if the worker measured them.
        figures: what its worker took so far, as in `Figures.stored`.
        created: when a worker last loaded it, in seconds since 1970.
        ready: whether a worker is there now.
        away: seconds since a worker said that it is there.
    """

    name: str
    width: int
    height: int
    grain: int
    steps: int
    guidance: float
    attributes: list[str]
    passes: int
    weights: str
    upstream: bool = False
    batch: int = 0
    image_step: dict[str, float] = field(default_factory=dict)
    figures: dict[str, list[float]] = field(default_factory=dict, compare=False)
    created: float = 0.0
    ready: bool = field(default=True, compare=False)
    away: float = field(default=0.0, compare=False)

    @classmethod
    def of(cls, pipe: FairPipeline) -> ServedModel:
        """The model of a pipeline. Paths are nobody's business, so only their last part is its name."""
        from fair_diffusion.backbones.guide import passes

        backbone: Any = pipe.backbone
        factor = int(getattr(backbone.pipeline, "vae_scale_factor", 1)) if hasattr(backbone, "pipeline") else 1
        _, high, wide = backbone.latent_shape
        return cls(
            name=public(pipe.name),
            width=wide * factor,
            height=high * factor,
            grain=factor * (backbone._grain() if hasattr(backbone, "_grain") else 1),
            steps=pipe.card.steps,
            guidance=pipe.card.guidance,
            attributes=list(pipe.attributes),
            passes=passes(backbone, pipe.card.guidance),
            weights=pipe.weights,
        )


class Presence:
    """Says that a worker is there, as a context manager; at its end the worker is gone.

    Args:
        database: where it is said.
        worker: its name.
        models: what it draws with.
        figures: of the worker; they are said with its first model.
    """

    def __init__(
        self, database: Database, worker: str, models: Sequence[ServedModel], figures: Figures | None = None
    ) -> None:
        self._database, self._worker, self._models, self._figures = database, worker, models, figures
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def __enter__(self) -> Presence:
        self._say()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        try:
            self._say(-GONE)  # the model stays known
        except DatabaseError:
            return

    def _run(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                self._say()
            except DatabaseError:  # it is tried again
                continue

    def _say(self, ago: float = 0.0) -> None:
        dialect = postgresql if self._database.postgres else sqlite
        with self._database.writing() as connection:
            for k, each in enumerate(self._models):
                seen = ("created", "ready", "away")
                model = {name: value for name, value in asdict(each).items() if name not in seen}
                if self._figures is not None and k == 0:
                    model["figures"] = self._figures.stored()
                name = self._worker if len(self._models) == 1 else f"{self._worker} {each.name}"
                row = dialect.insert(workers).values(name=name, model=model, seen=now() + ago)
                new = {"seen": now() + ago, "model": model}
                connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=new))
            connection.execute(delete(workers).where(workers.c.seen < now() - KEPT))


def served_models(database: Database) -> list[ServedModel]:
    """The models that workers draw with or drew with lately, by name."""
    # of workers with the same model, the one that was seen last
    found = {model.name: model for _, model in workers_seen(database)}
    return [found[name] for name in sorted(found)]


def workers_seen(database: Database) -> list[tuple[str, ServedModel]]:
    """The names of workers that are there or were lately, each with a model; the one that was seen last at the end."""
    age = (now() - workers.c.seen).label("age")
    with database.looking() as connection:
        rows = connection.execute(select(workers, age).order_by(age.desc())).all()
    known = {each.name for each in fields(ServedModel)}  # a worker of a newer version may tell more
    return [
        (
            row.name,
            ServedModel(
                **{name: value for name, value in row.model.items() if name in known},
                created=row.seen,
                ready=row.age < GONE,
                away=max(0.0, row.age),
            ),
        )
        for row in rows
    ]


def usual_model(models: Sequence[ServedModel]) -> ServedModel:
    """The model of requests that name none: the first one by name whose worker is there, or was a short while ago.

    So their streams do not move to another model because a worker starts again.

    Args:
        models: by name, at least one.
    """
    return next((model for model in models if model.away < AWAY), models[0])
