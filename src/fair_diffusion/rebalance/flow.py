"""The flow of a rebalancing:

folder → originals, by prompt → match → copy → read → quotas → move the fewest → judge → records, audit → new folder

Originals are copied first, and the copies are what is read: so nothing that happens to the originals meanwhile matters.
Only one batch of pictures is in memory at a time; moved pictures are on disk. The new folder is written whole or not at
all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Unpack

from PIL import Image

from fair_diffusion.control.readers import Readers
from fair_diffusion.files.guarded import InnerFile, Readable, RefusedFile, content
from fair_diffusion.files.new_folder import check_new, new_folder
from fair_diffusion.files.picture_files import Pictures
from fair_diffusion.files.pictures import MAX_BYTES, upright_size
from fair_diffusion.files.text import printable
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import Policy, match
from fair_diffusion.rebalance.moved import Moved
from fair_diffusion.rebalance.one_prompt import OnePrompt, move, silent
from fair_diffusion.rebalance.originals import Original, find_originals
from fair_diffusion.rebalance.readings import Progress
from fair_diffusion.rebalance.request import Rebalance, RebalanceFields
from fair_diffusion.rebalance.result import RebalancedResult
from fair_diffusion.request import check_fields
from fair_diffusion.runs.format import RESULT, SHEET
from fair_diffusion.runs.saving import write_image, write_records

REST = "rest"
"""The sub-folder for what was not read, where there are sub-folders for prompts."""


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
    request_of = partial(Rebalance, attributes=policy.attributes, **request)
    asked = [request_of(prompt=text, n=len(images)) for text, images in by_prompt.items()]
    if len(asked) > 1:  # ties of rounding even out over the prompts
        asked = [replace(one, lot=(one.seed, k)) for k, one in enumerate(asked)]
    pixels = asked[0].pixels
    backbone = pipe.backbone if pixels is None else pipe.backbone.sized(*pixels)
    runs = [OnePrompt(pipe, backbone, one, match(policy, one.prompt), by_prompt[one.prompt]) for one in asked]
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
        move([run for _, run in readable], progress)
        for k, run in readable:
            at = PurePosixPath("" if len(runs) == 1 else f"{k:03d}")
            result = run.result(part / at)
            _write(result, part / at, run.seen.images, run.moved)
            results.append(_at(result, out / at, folder))
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


def check_apart(folder: Path, out: Path) -> None:
    """Check that a folder can be written.

    Raises:
        ValueError: it is not new, or it lies in the folder of the originals.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{out} lies in the folder of the originals; name one elsewhere")
    check_new(out)


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
