"""A job that moves pictures, as a worker does it: the rebalancing of one prompt, with the turns of the job as quotas.

Its images count in a stream of their own: the pictures that people send are not those that the model draws. An image
that did not have to be moved is the file that was sent.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from fair_diffusion.allocation.ledger import Turn
from fair_diffusion.allocation.ledger_request import ledger_key
from fair_diffusion.backbones import StepInfo
from fair_diffusion.control.assignments import SURE_AT_END, cells_of
from fair_diffusion.control.readers import Readers
from fair_diffusion.files.pictures import upright_size
from fair_diffusion.policy import Match, match
from fair_diffusion.rebalance.one_prompt import OnePrompt, move
from fair_diffusion.rebalance.originals import Original
from fair_diffusion.rebalance.request import Rebalance
from fair_diffusion.rebalance.result import RebalancedResult
from fair_diffusion.service import uploads
from fair_diffusion.service.alone import done_alone, end
from fair_diffusion.service.database import DatabaseError
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.draw_result import result_of
from fair_diffusion.service.drawing import TELL
from fair_diffusion.service.job import CANCELLED, DONE, Job, LostError
from fair_diffusion.service.original_file import original_file
from fair_diffusion.service.picture_file import MEDIA
from fair_diffusion.service.previews import Previews
from fair_diffusion.service.streams import Counted
from fair_diffusion.service.tools import Tools, again, show_partial

LOG = logging.getLogger("fair_diffusion.worker")


def edits(job: Job) -> bool:
    """Whether a job moves pictures."""
    return bool(job.body.get("upload"))


def stream_of(matched: Match) -> str:
    """The name of the stream in which the moved images of a rule count."""
    return f"{ledger_key(matched)} (edits)"


class Edit:
    """Moves the pictures of one job, which was just claimed.

    Args:
        tools: of the worker.
        job: the job.
    """

    def __init__(self, tools: Tools, job: Job) -> None:
        self._tools, self._job = tools, job
        self._told = time.monotonic()
        tools.holding.add(job)

    def draw(self) -> None:
        """Move the pictures until the job has ended or is given back."""
        done_alone(self._tools, self._job, self._done)

    def _done(self) -> None:
        self._check()
        self._body = DrawBody.of(self._job.body)
        self._move()

    def _check(self) -> None:
        """`KeyboardInterrupt` if nobody waits for the job any more, or the worker's time is over."""
        if self._tools.vain(self._job):
            raise KeyboardInterrupt

    def _move(self) -> None:
        tools, job, body = self._tools, self._job, self._body
        matched = match(tools.policy_for(body), body.prompt)
        with TemporaryDirectory(prefix="fair-diffusion-edit-") as work:
            run = OnePrompt(
                tools.pipe,
                tools.pipe.backbone,
                Rebalance(**body.common(batch=tools.batch)),
                matched,
                self._originals(Path(work)),
            )
            run.check()
            run.read(Path(work) / "read", lambda *_: self._check())
            if run.broken:
                raise ValueError(f"a picture cannot be read: {run.broken[0]}")
            turns = self._turns(run)
            readers = Readers(tools.pipe.perceiver, tools.pipe.early)
            run.start(Path(work) / "moved", readers, [turn.quotas for turn in turns], reconstructed=0)
            finished = self._moved(run)
            result = run.result(Path(work) / "result")
            result = replace(result, records=[result.records[k] for k in finished])
            files, sizes = self._files(run, result, finished)
        stream = stream_of(matched) if turns else None
        told = result_of(result, files, turns, matched, sizes=sizes, stream=stream, quotes=tools.keep_prompts)
        counted = [Counted.of(turn, result.records) for turn in turns]
        if len(finished) < len(run.seen.images):
            end(tools, job, CANCELLED, result=told, counted=counted)  # it may be tried again
            return
        left = None if tools.keep_prompts else body.erased.stored()
        if end(tools, job, DONE, result=told, counted=counted, body=left) and not tools.keep_prompts:
            with suppress(DatabaseError, OSError):  # they expire
                uploads.forget(tools.images, body.originals or (), key=job.key, upload=body.upload)

    def _turns(self, run: OnePrompt) -> list[Turn]:
        """The turns of the job, of the groups that its pictures show as far as the streams leave a choice."""
        tools, matched, turns = self._tools, run.matched, list[Turn]()
        if matched.rule is None:
            return turns
        for target in matched.targets:
            cells, (places, _) = list(target.shares), cells_of(run.seen.shares, target, SURE_AT_END)
            natural = [None if place is None else cells[place] for place in places]
            take = partial(tools.claims.reserve, self._job, rule=stream_of(matched), target=target, natural=natural)
            turns.append(again(partial(take, n=self._body.n, model=tools.model)))
        return turns

    def _moved(self, run: OnePrompt) -> list[int]:
        """Move the pictures. Returns which are finished: all, or, if the job is cancelled, those that fit by then.

        `KeyboardInterrupt` if none is."""
        try:
            move([run], on_step=self._on_step())
        except KeyboardInterrupt:
            finished = [k for k, one in enumerate(run.moved) if not one.misses]
            if not finished or not self._tools.holding.cancelled(self._job):
                raise
            return finished
        return list(range(len(run.moved)))

    def _originals(self, work: Path) -> list[Original]:
        """The pictures as files in a folder."""
        found = []
        for k, digest in enumerate(self._body.originals or ()):
            try:
                content, media = self._tools.images.get(digest, key=uploads.owner(self._job.key, self._body.upload))
            except (LookupError, OSError):
                raise ValueError("the pictures are not kept any more; send them again") from None
            path = work / f"{k:03d}.{media.removeprefix('image/')}"
            path.write_bytes(content)
            found.append(Original(path.name, path, self._body.prompt))
        return found

    def _on_step(self) -> Callable[[StepInfo], None]:
        """Called after each step: shows partial images, tells how far the job is, and ends it if nobody waits."""
        tools, job, body = self._tools, self._job, self._body
        show = partial(show_partial, tools, job, body)
        previews = Previews(0, body.n, steps=body.steps, partials=body.partials, show=show)

        def told(info: StepInfo) -> None:
            self._check()
            with suppress(LostError, DatabaseError):
                if rows := previews.wanted(info):
                    previews.show(info, rows, tools.pipe.backbone)
                if time.monotonic() - self._told > TELL:
                    self._told = time.monotonic()
                    tools.claims.progress(job, {"step": info.step + 1, "steps": info.steps})

        return told

    def _files(
        self, run: OnePrompt, result: RebalancedResult, finished: Sequence[int]
    ) -> tuple[list[str], list[tuple[int, int]]]:
        """Store the images that are finished. Returns their hashes, and their sizes in pixels."""
        tools, job, body = self._tools, self._job, self._body
        public = {"made_by": "a model", "model": tools.model, "rule": result.rule, "policy": body.policy_hash}
        hashes, sizes = [], []
        for original, moved in ((run.seen.images[k], run.moved[k]) for k in finished):
            assert isinstance(original.path, Path)
            content = original.path.read_bytes()
            size = upright_size(content)
            if moved.picture is None:
                file = original_file(content, format=body.format, compression=body.compression)
            else:
                with Image.open(moved.picture) as small:
                    picture = small.resize(size, Image.Resampling.LANCZOS)
                file = tools.file(picture, {**public, "drawn": result.drawn}, body)
            sizes.append(size)
            hashes.append(tools.images.put(file, media=MEDIA[body.format], key=job.key, job=job.id, kept=tools.kept))
        return hashes, sizes
