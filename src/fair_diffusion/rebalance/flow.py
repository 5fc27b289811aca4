"""Rebalancing a folder. The flow, top to bottom:

folder → originals, by prompt → match → read → quotas → move the fewest → judge → records, audit → new folder

Pictures stream: a batch of them is in memory at a time, and what was moved lies on disk. The new folder is there whole
or not at all.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from fair_diffusion.allocation import plan
from fair_diffusion.control.natural_first import Aim, plain_evaluations
from fair_diffusion.files.new_folder import check_new, new_folder
from fair_diffusion.files.pictures import upright_size
from fair_diffusion.pipeline import FairPipeline, audited
from fair_diffusion.policy import Match, Policy, match
from fair_diffusion.rebalance.move import Moved, Mover, Progress
from fair_diffusion.rebalance.originals import Original, find_originals
from fair_diffusion.rebalance.readings import Seen, read_moved, read_originals, shares_of
from fair_diffusion.rebalance.request import Rebalance
from fair_diffusion.rebalance.result import OriginalsResult, Pictures, RebalancedRecord, RebalancedResult
from fair_diffusion.result import Record
from fair_diffusion.runs.format import SHEET
from fair_diffusion.runs.saving import write_image, write_records
from fair_diffusion.steering.guides import Guides, window


def silent(what: str, done: float, total: float) -> None:
    """A progress that nobody sees."""


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
    **request: Any,
) -> list[RebalancedResult]:
    """Write the images below `folder` to the new folder `out`, and move the fewest that make them what `policy` asks.

    Args:
        pipe: the model that moves images, with the perceiver that is asked and the judge that counts.
        folder: images made by anything; nothing in it is changed.
        out: a new folder elsewhere; with several prompts, a sub-folder for each.
        policy: which groups, for which prompts.
        prompt: what all images are pictures of.
        prompts: the same by file. Without either, records inside PNGs tell.
        n: take only the first so many images.
        progress: called as images are read and moved.
        request: fields of `Rebalance`: way, depth, method, steps, guidance, repair_budget, seed, batch_size,
            negative_prompt, guidance_rescale.

    Returns:
        One result for each prompt, in the order in which the prompts were met.

    Raises:
        ValueError: a wrong argument, no image that can be read, or an image whose prompt is not known. Then, and when
            the run is interrupted, `out` is not written.
    """
    check_apart(folder, out)
    found = find_originals(folder, prompt=prompt, prompts=prompts, n=n)
    by_prompt: dict[str, list[Original]] = {}
    for image in found.images:
        by_prompt.setdefault(image.prompt, []).append(image)
    settings = pipe.with_usual(request)
    runs = [
        _Run(pipe, Rebalance(prompt=text, n=len(images), **settings), match(policy, text), images)
        for text, images in by_prompt.items()
    ]
    for run in runs:
        run.check()
    for run in runs:
        run.read(progress)
    readable = [(k, run) for k, run in enumerate(runs) if run.seen.images]
    left_out = [*found.broken, *(name for run in runs if not run.seen.images for name in run.broken)]
    if not readable:
        raise ValueError(f"none of {len(found.images)} images in {folder} can be read; {left_out[-1]}")
    readable[0][1].broken[:0], readable[0][1].notes = left_out, found.notes
    results: list[RebalancedResult] = []
    with new_folder(out) as part, TemporaryDirectory(prefix=".moved-", dir=part) as scratch:
        for k, run in readable:
            at = PurePosixPath("" if len(runs) == 1 else f"{k:03d}")
            result = run.result(part / at, Path(scratch), progress)
            results.append(replace(result, images=Pictures([out / at / r.file for r in result.records])))
    return results


def check_apart(folder: Path, out: Path) -> None:
    """`ValueError` with the mend if `out` is not new, or lies in the folder of the originals."""
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{out} lies in the folder of the originals; name one elsewhere")
    check_new(out)


@dataclass
class _Run:
    """The images of one prompt. seen: those of them that can be read; broken: the others, with the reason."""

    pipe: FairPipeline
    asked: Rebalance
    matched: Match
    images: Sequence[Original]
    seen: Seen = field(init=False)
    broken: list[str] = field(default_factory=list)
    notes: Sequence[str] = ()
    seconds: float = 0.0

    def __post_init__(self) -> None:
        pipe, asked = self.pipe, self.asked
        guidance = pipe.card.guidance if asked.guidance is None else asked.guidance
        self.guides = Guides(pipe.backbone, asked, guidance, self.matched.start, pipe.card)

    def check(self) -> None:
        """`ValueError` with the mend if what is asked for cannot be read, or cannot act."""
        self.pipe.check(self.matched)
        if not self.pipe.backbone.reads_text:
            raise ValueError(
                f"{self.pipe.name!r} draws without text, and what leads an image to its group is a word; name a "
                "text-to-image model"
            )
        own, depth = self.pipe.backbone.fork(), self.asked.attempts[0][0]
        steps = len(own.timesteps(self.asked.steps))
        if self.asked.method == "semantic" and own.start_step(depth) >= window(steps, self.pipe.card)[1]:
            end = self.pipe.card.end
            raise ValueError(
                f"depth is {depth:g}, but semantic guidance ends after {end:.0%} of the trajectory, before such an "
                f"image begins; use a depth well above {1 - end:g}, or the method 'switch'"
            )

    def read(self, progress: Progress) -> None:
        """Read the originals."""
        start = time.monotonic()
        self.seen = read_originals(self.pipe, self.images, self.broken, progress)
        self.asked = replace(self.asked, n=max(1, len(self.seen.images)))
        self.seconds = time.monotonic() - start

    def result(self, folder: Path, scratch: Path, progress: Progress) -> RebalancedResult:
        """Move, count and write to `folder`. scratch: for pictures on their way."""
        start = time.monotonic()
        pipe, matched, asked, read, guides = self.pipe, self.matched, self.asked, self.seen, self.guides
        planned = plan(matched.targets, asked.n, asked.seed) if matched.rule else []
        mover = Mover(
            backbone=pipe.backbone,
            request=asked,
            originals=read.images,
            targets=matched.targets,
            quotas=planned,
            guides=guides,
            read=read.shares,
            perceive=lambda pictures: shares_of(pipe, pictures),
            scratch=scratch,
            progress=progress,
        )
        moved = mover.run() if planned else [Moved(natural={}, natural_confidence={}, shows={}) for _ in read.images]
        now = read_moved(pipe, read, {i: one.picture for i, one in enumerate(moved) if one.picture is not None})
        records = self._records(now, moved)
        facts: dict[str, Any] = {
            "prompt": asked.prompt,
            "model": pipe.name,
            "control": "rebalance",
            "seed": asked.seed,
            "requested": asked.n,
            "seconds": self.seconds + time.monotonic() - start,
        }
        before = OriginalsResult(
            **facts | {"control": "none"},
            method="none",
            rule=None,
            reason="",
            images=Pictures([image.path for image in read.images]),
            records=[_before(record) for record in records],
            audit=audited(read.judged, matched.targets, planned, pipe.attributes),
            perceived_audit=audited(read.perceived, matched.targets, planned, pipe.attributes),
        )
        result = RebalancedResult(
            **facts,
            method=asked.method,
            rule=matched.rule.name if matched.rule else None,
            reason=matched.reason,
            images=Pictures([folder / record.file for record in records]),
            records=records,
            audit=audited(now.judged, matched.targets, planned, pipe.attributes),
            perceived_audit=audited(now.perceived, matched.targets, planned, pipe.attributes),
            notes=[*self.notes, *(target.note for target in matched.targets if target.note), *mover.notes],
            **pipe.provenance(matched),
            before=before,
            way=asked.way,
            broken=self.broken,
            reconstruction_evaluations=mover.spent_on_reconstruction,
        )
        _write(result, folder, read.images, moved)
        return result

    def _records(self, now: Seen, moved: Sequence[Moved]) -> list[RebalancedRecord]:
        """One record per image, from what was read before and now."""
        read, asked, guides = self.seen, self.asked, self.guides
        cost = plain_evaluations(self.pipe.backbone, asked, guides.guide([Aim()]))
        names = {image.name for image in read.images}
        records = []
        for i, (image, one) in enumerate(zip(read.images, moved, strict=True)):
            steered_to = one.assigned if one.picture else {}
            pixels, features = now.distances.get(i, (None, None))
            records.append(
                RebalancedRecord(
                    index=i,
                    prompt=asked.prompt,
                    used_prompt=guides.used_prompt(steered_to),
                    seed=asked.seed + i,
                    model=self.pipe.name,
                    method=asked.method,
                    control="rebalance",
                    rule=self.matched.rule.name if self.matched.rule else None,
                    steps=asked.steps,
                    guidance=guides.guidance,
                    negative_prompt=asked.negative_prompt,
                    guidance_rescale=asked.guidance_rescale,
                    assigned=one.assigned,
                    natural=one.natural,
                    natural_confidence=one.natural_confidence,
                    steered_to=steered_to,
                    strength=one.strength,
                    repairs=max(0, one.tries - 1),
                    reseeds=0,
                    missed=one.misses if one.assigned else None,
                    judged={name: row[i].label for name, row in now.judged.items()},
                    perceived={name: row[i].label for name, row in now.perceived.items()},
                    confidence={name: round(row[i].confidence, 4) for name, row in now.judged.items()},
                    evaluations=one.evaluations,
                    plain_evaluations=cost,
                    file=_png_name(image.name, names) if one.picture else image.name,
                    original=image.name,
                    way=asked.way if one.picture else "",
                    depth=one.depth,
                    put_back=one.put_back,
                    judged_before={name: row[i].label for name, row in read.judged.items()},
                    confidence_before={name: round(row[i].confidence, 4) for name, row in read.judged.items()},
                    pixel_distance=pixels,
                    feature_distance=features,
                    reconstruction_error=one.error,
                    encoder_error=one.encoder_error,
                )
            )
        return records


def _write(result: RebalancedResult, folder: Path, images: Sequence[Original], moved: Sequence[Moved]) -> None:
    """Originals byte for byte, moved pictures with their records inside, the table, the summary and the sheet."""
    for image, one, record in zip(images, moved, result.records, strict=True):
        path = folder / record.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if one.picture is None:
            shutil.copyfile(image.path, path)
        else:
            with Image.open(one.picture) as picture:
                write_image(picture.resize(upright_size(image.path), Image.Resampling.LANCZOS), record, path)
            one.picture.unlink()
    write_records(result.records, folder)
    (folder / "result.json").write_text(json.dumps(result.summary(), indent=2) + "\n")
    result.contact_sheet(folder / SHEET)


def _before(record: RebalancedRecord) -> Record:
    """The record of the original: what it showed, and that nothing was done."""
    plain = {field.name: getattr(record, field.name) for field in fields(Record)}
    shown = {"judged": record.judged_before, "confidence": record.confidence_before}
    return Record(**plain | shown | {"steered_to": {}, "strength": 0.0, "evaluations": 0})


def _png_name(name: str, taken: set[str]) -> str:
    """The name of a moved picture, which is a PNG: that of its original, but for the ending.

    None that is `taken`, nor the overview's."""
    if name.lower().endswith(".png"):
        return name
    found = PurePosixPath(name).with_suffix(".png").as_posix()
    if found in taken or PurePosixPath(found).name == SHEET:
        found = f"{name}.png"
    while found in taken:
        found = f"{found.removesuffix('.png')}_.png"
    taken.add(found)
    return found
