"""The flow of a rebalancing:

folder → originals, by prompt → match → copy → read → quotas → move the fewest → judge → records, audit → new folder

Originals are copied first, and the copies are what is read: so nothing that happens to the originals meanwhile matters.
Only one batch of pictures is in memory at a time; moved pictures are on disk. The new folder is written whole or not at
all.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Unpack

from PIL import Image

from fair_diffusion.allocation import plan
from fair_diffusion.audit.table import AuditRow
from fair_diffusion.backbones import Backbone, StepInfo
from fair_diffusion.control.loop import draw
from fair_diffusion.control.order import Order
from fair_diffusion.control.planned import held_by
from fair_diffusion.control.readers import Readers
from fair_diffusion.control.records import Readings, asked_fields, audited, prompt_of, read_fields
from fair_diffusion.control.results import provenance_of
from fair_diffusion.files.durable import about
from fair_diffusion.files.guarded import InnerFile, Readable, RefusedFile, content, why
from fair_diffusion.files.new_folder import check_new, new_folder
from fair_diffusion.files.picture_files import Pictures
from fair_diffusion.files.pictures import MAX_BYTES, upright_size
from fair_diffusion.files.text import printable
from fair_diffusion.methods import NONE, USUAL
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import Match, Policy, match
from fair_diffusion.rebalance.moving import Moved, Mover
from fair_diffusion.rebalance.originals import Original, find_originals
from fair_diffusion.rebalance.readings import Progress, Seen, read_moved, read_originals
from fair_diffusion.rebalance.request import Rebalance, RebalanceFields
from fair_diffusion.rebalance.result import OriginalsResult, RebalancedRecord, RebalancedResult
from fair_diffusion.request import check_fields
from fair_diffusion.result import Record
from fair_diffusion.runs.format import RESULT, SHEET
from fair_diffusion.runs.saving import write_image, write_records
from fair_diffusion.steering.brief import Brief
from fair_diffusion.steering.window import window

REST = "rest"
"""The sub-folder for what was not read, where there are sub-folders for prompts."""


def silent(what: str, done: float, total: float) -> None:
    """Report no progress."""


def rebalance(
    pipe: FairPipeline,
    folder: Path,
    out: Path,
    *,
    policy: Policy,
    prompt: str | None = None,
    prompts: Mapping[str, str] | None = None,
    n: int | None = None,
    progress: Progress = silent,
    **request: Unpack[RebalanceFields],
) -> list[RebalancedResult]:
    """Write the images below `folder` to the new folder `out`, with as few as possible moved to meet the policy.

    Args:
        pipe: the model that moves images, with its perceiver and judge.
        folder: a folder of images from any source. It is not changed.
        out: a new folder elsewhere; with several prompts it gets a sub-folder for each.
        policy: the groups that are asked for.
        prompt: the prompt of all images.
        prompts: the prompt of each file. Without `prompt` and `prompts`, the records inside PNGs hold them.
        n: the number of images to take, in order of their names; all if None.
        progress: called as images are read and moved.
        request: fields of `Rebalance`: way, depth, method, steps, guidance, repair_budget, seed, batch_size,
            size, negative_prompt, guidance_rescale, hold.

    Returns:
        One result per prompt, in the order in which the prompts first occur.

    Raises:
        ValueError: a wrong argument, no image that can be read, or an image whose prompt is not known. Nothing is
            written to `out` then.
        KeyboardInterrupt: the rebalancing was interrupted; nothing is written to `out`.
    """
    check_fields(request, RebalanceFields.__annotations__)
    check_apart(folder, out)
    originals = find_originals(folder, prompt=prompt, prompts=prompts, n=n)
    by_prompt: dict[str, list[Original]] = {}
    for image in originals.images:
        by_prompt.setdefault(image.prompt, []).append(image)
    asked = [Rebalance(prompt=text, n=len(images), **request) for text, images in by_prompt.items()]
    if len(asked) > 1:  # ties of rounding even out over the prompts
        asked = [replace(one, lot=(one.seed, k)) for k, one in enumerate(asked)]
    pixels = asked[0].pixels
    backbone = pipe.backbone if pixels is None else pipe.backbone.sized(*pixels)
    runs = [_Run(pipe, backbone, one, match(policy, one.prompt), by_prompt[one.prompt]) for one in asked]
    for run in runs:
        run.check()
    results: list[RebalancedResult] = []
    readers = Readers(pipe.perceiver, pipe.early)
    with new_folder(out) as part, TemporaryDirectory(prefix=".work-", dir=part) as work:
        for k, run in enumerate(runs):
            run.read(Path(work) / f"originals-{k:03d}", progress)
        readable = [(k, run) for k, run in enumerate(runs) if run.seen.images]
        left_out = [*originals.broken, *(name for run in runs if not run.seen.images for name in run.broken)]
        if not readable:
            raise ValueError(f"none of {len(originals.images)} images in {folder} can be read; {left_out[-1]}")
        readable[0][1].broken[:0], readable[0][1].notes = left_out, originals.notes
        for k, run in readable:
            run.start(Path(work) / f"moved-{k:03d}", readers)
        _move([run for _, run in readable], progress)
        for k, run in readable:
            at = PurePosixPath("" if len(runs) == 1 else f"{k:03d}")
            results.append(_at(run.result(part / at), out / at, folder))
        seen = {image.name for _, run in readable for image in run.seen.images}
        lost = [image.path for image in originals.images if image.name not in seen]
        _copy_rest([*originals.rest, *lost], part / ("" if len(runs) == 1 else REST))
    return results


def _copy_rest(files: Sequence[Readable], place: Path) -> None:
    """Copy what was not read, under the same names, but for what may not be opened or would take another's place."""
    for file in files:
        inner = file.path if isinstance(file, InnerFile) else file.name
        to = place / inner
        if os.path.lexists(to) or printable(inner) != inner:
            continue
        try:
            data = content(file, MAX_BYTES)
        except (OSError, RefusedFile):
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(data)


def _at(result: RebalancedResult, out: Path, folder: Path) -> RebalancedResult:
    """The result with its pictures where they are in the end: in the new folder, and in that of the originals."""
    now = Pictures([out / record.file for record in result.records])
    before = Pictures([InnerFile(folder, record.original) for record in result.records])
    return replace(result, images=now, before=replace(result.before, images=before))


def _move(runs: Sequence[_Run], progress: Progress) -> None:
    """Move the images of all prompts. Batches may hold images of several prompts.

    Raises:
        KeyboardInterrupt: the drawing was interrupted.
    """
    movers = {run.order: run.mover for run in runs if run.order.quotas}

    def told(info: StepInfo) -> None:
        share = (info.step + 1 - info.first) / (info.steps - info.first)
        done = sum(mover.done for mover in movers.values()) + share * len(info.images)
        progress("moving", done, sum(mover.to_do for mover in movers.values()))

    for finished in draw(movers, told):
        if any(order.interrupted for order in finished):
            raise KeyboardInterrupt


def check_apart(folder: Path, out: Path) -> None:
    """Check that a folder can be written.

    Raises:
        ValueError: it is not new, or it lies in the folder of the originals.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{out} lies in the folder of the originals; name one elsewhere")
    check_new(out)


@dataclass
class _Run:
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

    def start(self, scratch: Path, readers: Readers) -> None:
        """Make the order. Its moved pictures go into the folder `scratch`, which is made."""
        scratch.mkdir()
        quotas = plan(self.matched.targets, self.asked.n, *self.asked.ties) if self.matched.rule else []
        self.order = Order(brief=self._brief(), quotas=quotas, readers=readers)
        self.mover = Mover(self.order, self.seen.images, self.seen.shares, scratch)

    def result(self, folder: Path) -> RebalancedResult:
        """Read the images as they are now, count, and write them to `folder`."""
        start, pipe, matched, asked, read = time.monotonic(), self.pipe, self.matched, self.asked, self.seen
        quotas = self.order.quotas
        moved = self.mover.images if quotas else [Moved.nothing() for _ in read.images]
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
        result = RebalancedResult(
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
        _write(result, folder, read.images, moved)
        return result

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


def _write(result: RebalancedResult, folder: Path, images: Sequence[Original], moved: Sequence[Moved]) -> None:
    """Write originals byte for byte, moved pictures with their records inside, the table, the summary and the sheet."""
    for image, one, record in zip(images, moved, result.records, strict=True):
        path = folder / record.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if one.picture is None:
            path.write_bytes(content(image.path, MAX_BYTES))
        else:
            with Image.open(one.picture) as picture:
                write_image(picture.resize(upright_size(image.path), Image.Resampling.LANCZOS), record, path)
            one.picture.unlink()
    write_records(result.records, folder)
    (folder / RESULT).write_text(json.dumps(result.summary(), indent=2) + "\n")
    result.contact_sheet(folder / SHEET)


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
