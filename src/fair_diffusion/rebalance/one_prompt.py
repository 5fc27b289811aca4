"""The images of one prompt on their way through a rebalancing: check, read, start, move, result.

`move` moves the images of several prompts together. Nothing is written but copies and moved pictures, into the folders
that are named.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from fair_diffusion.allocation import plan
from fair_diffusion.audit.table import AuditRow
from fair_diffusion.backbones import Backbone, OnStep, StepInfo
from fair_diffusion.control.loop import draw
from fair_diffusion.control.order import Order
from fair_diffusion.control.planned import held_by
from fair_diffusion.control.readers import Readers
from fair_diffusion.control.records import Readings, asked_fields, audited, prompt_of, read_fields
from fair_diffusion.control.results import provenance_of
from fair_diffusion.files.durable import about
from fair_diffusion.files.guarded import why
from fair_diffusion.files.picture_files import Pictures
from fair_diffusion.files.text import printable
from fair_diffusion.methods import NONE, USUAL
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import Match
from fair_diffusion.rebalance.moved import Moved
from fair_diffusion.rebalance.moving import RECONSTRUCTED, Mover
from fair_diffusion.rebalance.originals import Original
from fair_diffusion.rebalance.readings import Progress, Seen, read_moved, read_originals
from fair_diffusion.rebalance.request import Rebalance
from fair_diffusion.rebalance.result import OriginalsResult, RebalancedRecord, RebalancedResult
from fair_diffusion.result import Record
from fair_diffusion.runs.format import SHEET
from fair_diffusion.steering.brief import Brief
from fair_diffusion.steering.window import window


def silent(what: str, done: float, total: float) -> None:
    """Report no progress."""


@dataclass
class OnePrompt:
    """The rebalancing of the images of one prompt.

    Attributes:
        pipe: the model with its readers.
        backbone: the model, for pictures of the size that is asked for.
        asked: how images are to be moved.
        matched: the rule that fires, if one does.
        images: the originals.
        seen: the originals that can be read, and the readings of them.
        order: the order, from `start` on.
        mover: the control of the order, from `start` on.
        broken: a line for each original that cannot be read.
        notes: remarks on the folder.
        seconds: wall-clock time of reading.
    """

    pipe: FairPipeline
    backbone: Backbone
    asked: Rebalance
    matched: Match
    images: Sequence[Original]
    seen: Seen = field(init=False)
    order: Order = field(init=False)
    mover: Mover = field(init=False)
    broken: list[str] = field(default_factory=list)
    notes: Sequence[str] = ()
    seconds: float = 0.0

    @cached_property
    def held(self) -> tuple[str, ...]:
        """The attributes that moved images keep."""
        return held_by(self.pipe, self.asked, self.matched)

    def check(self) -> None:
        """Check what is asked for.

        Raises:
            ValueError: the readers do not know the groups, the model reads no text, or steering would act too late.
        """
        pipe, card = self.pipe, self.pipe.card
        pipe.check(self.matched)
        if not pipe.backbone.reads_text:
            raise ValueError(
                f"{pipe.name!r} draws without text, and what leads an image to its group is a word; name a "
                "text-to-image model"
            )
        depth, brief, own = self.asked.attempts[0][0], self._brief(), self.backbone.fork()
        times = len(own.timesteps(brief.steps))
        if self.asked.row.ends_early and own.start_step(depth) >= window(times, card)[1]:
            raise ValueError(
                f"depth is {depth:g}, but {self.asked.row.name} guidance ends after {card.end:.0%} of the trajectory, "
                f"before such an image begins; use a depth well above {1 - card.end:g}, or the method {USUAL!r}"
            )

    def read(self, folder: Path, progress: Progress) -> None:
        """Copy the originals to `folder`, and read the copies."""
        start = time.monotonic()
        copies = []
        for image in self.images:
            try:
                copies.append(image.copied(folder))
            except (OSError, ValueError) as error:
                if isinstance(error, OSError) and about(error, folder):
                    raise
                self.broken.append(printable(f"{image.name}: {why(error)}"))
        self.seen = read_originals(self.pipe, copies, self.broken, progress, self.matched.attributes)
        self.asked = replace(self.asked, n=max(1, len(self.seen.images)))
        self.seconds = time.monotonic() - start

    def start(
        self,
        scratch: Path,
        readers: Readers,
        quotas: Sequence[Sequence[int]] | None = None,
        *,
        reconstructed: int = RECONSTRUCTED,
    ) -> None:
        """Make the order.

        Args:
            scratch: a new folder for moved pictures.
            readers: what moving may ask.
            quotas: for each target one count per cell; by the shares of the targets if None.
            reconstructed: as in `Mover`.
        """
        scratch.mkdir()
        if quotas is None:
            quotas = plan(self.matched.targets, self.asked.n, *self.asked.ties) if self.matched.rule else []
        self.order = Order(brief=self._brief(), quotas=quotas, readers=readers)
        self.mover = Mover(self.order, self.seen.images, self.seen.shares, scratch, reconstructed=reconstructed)

    def result(self, folder: Path) -> RebalancedResult:
        """Read the images as they are now, and count. `folder` is where they are to be written."""
        start, pipe, matched, asked, read = time.monotonic(), self.pipe, self.matched, self.asked, self.seen
        quotas, moved = self.order.quotas, self.moved
        now = read_moved(pipe, read, {i: one.picture for i, one in enumerate(moved) if one.picture is not None})
        records = self._records(now, moved)

        def rows(readings: Readings) -> list[AuditRow]:
            return audited(readings, matched.targets, quotas, pipe.readable(matched.attributes), matched.attributes)

        facts: dict[str, Any] = {
            "prompt": asked.prompt,
            "model": pipe.name,
            "control": "rebalance",
            "seed": asked.seed,
            "requested": asked.n,
            "definitions": matched.attributes,
            "seconds": self.seconds + self.order.seconds + time.monotonic() - start,
        }
        before = OriginalsResult(
            **facts | {"control": "none"},
            method=NONE,
            rule=None,
            reason="",
            images=Pictures([image.path for image in read.images]),
            records=[_before(record) for record in records],
            audit=rows(read.judged),
            perceived_audit=rows(read.perceived),
        )
        return RebalancedResult(
            **facts,
            method=asked.row.name,
            rule=matched.rule.name if matched.rule else None,
            reason=matched.reason,
            images=Pictures([folder / record.file for record in records]),
            records=records,
            audit=rows(now.judged),
            perceived_audit=rows(now.perceived),
            notes=[*self.notes, *self.order.notes],
            **provenance_of(pipe, matched),
            before=before,
            way=asked.way,
            broken=self.broken,
            reconstruction_evaluations=self.mover.spent_on_reconstruction,
        )

    @property
    def moved(self) -> Sequence[Moved]:
        """What became of each original that can be read, from `start` on."""
        return self.mover.images if self.order.quotas else [Moved.nothing() for _ in self.seen.images]

    def _brief(self) -> Brief:
        matched = self.matched
        return Brief(
            self.backbone,
            self.asked,
            matched.start,
            self.pipe.card,
            matched.targets,
            words=matched.words,
            definitions=matched.attributes,
            held=self.held,
        )

    def _records(self, now: Seen, moved: Sequence[Moved]) -> list[RebalancedRecord]:
        """One record per image, from the readings of the originals and of the images as they are now."""
        read, asked, brief = self.seen, self.asked, self.order.brief
        same = asked_fields(brief, model=self.pipe.name, rule=self.matched.rule.name if self.matched.rule else None)
        names = {image.name for image in read.images}
        records = []
        for i, (image, one) in enumerate(zip(read.images, moved, strict=True)):
            steered_to, held = (one.assigned, one.held) if one.picture else ({}, {})
            pixels, features = now.distances.get(i, (None, None))
            before = read_fields(read.judged, read.perceived, i)
            records.append(
                RebalancedRecord(
                    **same,
                    **read_fields(now.judged, now.perceived, i),
                    index=i,
                    used_prompt=prompt_of(brief, {**held, **steered_to}),
                    seed=asked.seed + i,
                    control="rebalance",
                    assigned=one.assigned,
                    natural=one.natural,
                    natural_confidence=one.natural_confidence,
                    steered_to=steered_to,
                    held=held,
                    strength=one.strength,
                    repairs=max(0, one.tries - 1),
                    reseeds=0,
                    missed=one.misses if one.assigned else None,
                    evaluations=one.evaluations,
                    plain_evaluations=self.order.plain_evaluations,
                    file=_png_name(image.name, names) if one.picture else image.name,
                    original=image.name,
                    way=asked.way if one.picture else "",
                    depth=one.depth,
                    put_back=one.put_back,
                    judged_before=before["judged"],
                    confidence_before=before["confidence"],
                    pixel_distance=pixels,
                    feature_distance=features,
                    reconstruction_error=one.error,
                    encoder_error=one.encoder_error,
                )
            )
        return records


def move(runs: Sequence[OnePrompt], progress: Progress = silent, on_step: OnStep | None = None) -> None:
    """Move the images of all prompts. Batches may hold images of several prompts.

    Args:
        runs: the prompts, each started.
        progress: called as images are moved.
        on_step: called after each step of each batch, as in `control.loop.draw`.

    Raises:
        KeyboardInterrupt: the drawing was interrupted.
    """
    movers = {run.order: run.mover for run in runs if run.order.quotas}

    def told(info: StepInfo) -> None:
        share = (info.step + 1 - info.first) / (info.steps - info.first)
        done = sum(mover.done for mover in movers.values()) + share * len(info.images)
        progress("moving", done, sum(mover.to_do for mover in movers.values()))
        if on_step is not None:
            on_step(info)

    for finished in draw(movers, told):
        if any(order.interrupted for order in finished):
            raise KeyboardInterrupt


def _before(record: RebalancedRecord) -> Record:
    """The record of the original, which was not steered."""
    plain = {field.name: getattr(record, field.name) for field in fields(Record)}
    shown = {"judged": record.judged_before, "confidence": record.confidence_before}
    return Record(**plain | shown | {"steered_to": {}, "strength": 0.0, "evaluations": 0})


def _png_name(name: str, taken: set[str]) -> str:
    """The name of a moved picture: the name of its original with the ending .png.

    Args:
        name: the name of the original.
        taken: names that other images have; the new name is added. The overview's name is not used either.
    """
    if name.lower().endswith(".png"):
        return name
    free = PurePosixPath(name).with_suffix(".png").as_posix()
    if free in taken or PurePosixPath(free).name == SHEET:
        free = f"{name}.png"
    while free in taken:
        free = f"{free.removesuffix('.png')}_.png"
    taken.add(free)
    return free
