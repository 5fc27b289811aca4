"""One round of a worker: jobs of one lane on their way through the pipeline's loop, in mixed batches.

Each image has its own prompt, seed and target, so images of many jobs share a batch. The round takes more jobs of its
lane whenever the images at hand do not fill one. Every job ends by itself: its turns, its result and its state in one
transaction.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image

from fair_diffusion.allocation.ledger import Turn
from fair_diffusion.allocation.ledger_request import ledger_key
from fair_diffusion.backbones import Backbone, StepInfo
from fair_diffusion.control.planned import Planned
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import DatabaseError
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.draw_result import result_of
from fair_diffusion.service.holding import Holding
from fair_diffusion.service.images import Images
from fair_diffusion.service.job import CANCELLED, DONE, FAILED, Job, LostError
from fair_diffusion.service.picture_file import MEDIA, picture_file
from fair_diffusion.service.policies import Policies
from fair_diffusion.service.previews import Previews
from fair_diffusion.service.streams import Counted

if TYPE_CHECKING:
    from fair_diffusion.pipeline import FairPipeline
    from fair_diffusion.policy import Policy
    from fair_diffusion.result import Result

T = TypeVar("T")
LOG = logging.getLogger("fair_diffusion.worker")
ROUND = 4
"""A round takes no more jobs once it began so many batches of images, so that those that wait for repairs end."""
TELL = 0.5
"""Seconds between two notes of how far the jobs are."""
AGAIN = (0.2, 1.0, 3.0)
"""Seconds after which something that the database refused is tried again."""


@dataclass(kw_only=True)
class Tools:
    """What every round of a worker uses.

    Attributes:
        pipe: draws.
        claims, holding: the worker's jobs.
        images, policies: of the service.
        model: the name of the model in streams and records.
        batch: images in one batch at most.
        kept: seconds for which images are kept.
        keep_prompts: whether the prompt of a job that is done is kept.
        more: gives up to so many further jobs of a lane; it may wait a little.
        stopping: whether the worker is to end.
        give_up: whether the time to finish what it has is over.
    """

    pipe: FairPipeline
    claims: Claims
    holding: Holding
    images: Images
    policies: Policies
    model: str
    batch: int
    kept: float
    keep_prompts: bool
    more: Callable[[str, int], list[Job]]
    stopping: Callable[[], bool]
    give_up: Callable[[], bool]
    versions: dict[int, Policy] = field(default_factory=dict)
    backbones: dict[str, Backbone] = field(default_factory=dict)

    def policy(self, version: int | None) -> Policy | None:
        """The policy of a version, which never changes."""
        if version is None:
            return None
        if version not in self.versions:
            self.versions[version] = self.policies.get(version).policy
        return self.versions[version]

    def backbone(self, size: str | None) -> Backbone:
        """The model for pictures of a size."""
        if size is None:
            return self.pipe.backbone
        if size not in self.backbones:
            width, height = map(int, size.split("x"))
            self.backbones[size] = self.pipe.backbone.sized(width, height)
        return self.backbones[size]


@dataclass(kw_only=True)
class _Drawn:
    """A job that is drawn."""

    job: Job
    body: DrawBody
    planned: Planned
    turns: Sequence[Turn]
    previews: Previews
    over: bool = False


class Round:
    """Draws some jobs of one lane, and more of it while they come.

    Args:
        tools: of the worker.
        jobs: just claimed.
        alone: take no more jobs.
    """

    def __init__(self, tools: Tools, jobs: Sequence[Job], *, alone: bool = False) -> None:
        self._tools, self._waiting = tools, deque(jobs)
        self._lane, self._alone = jobs[0].lane, alone or (len(jobs) == 1 and jobs[0].attempts > 1)
        self._drawn: list[_Drawn] = []
        self._begun, self._told = 0, time.monotonic()
        for job in jobs:
            tools.holding.add(job)

    def draw(self) -> None:
        """Draw until every job has ended or is given back. An error of one job ends that job alone."""
        tools = self._tools
        try:
            for k, result in tools.pipe.run(self._planned(), self._on_step):
                self._drawn[k].over = True
                self._finish(self._drawn[k], result)
        except DatabaseError as error:
            LOG.error("%s; what was at hand is left to whoever claims it", error)
            self._leave(each.job for each in self._drawn if not each.over)
        except Exception as error:
            self._failed(error)
        self._give_back([*(each.job for each in self._drawn if not each.over), *self._waiting])

    def _planned(self) -> Iterator[Planned]:
        """The jobs as they are begun: those at hand, then more of the lane."""
        tools = self._tools
        while True:
            while self._waiting and not tools.stopping():
                if planned := self._begin(self._waiting.popleft()):
                    yield planned
            if self._alone or tools.stopping() or self._begun >= ROUND * tools.batch:
                return
            wanted = tools.batch - self._begun % tools.batch
            more = tools.more(self._lane, wanted)
            if not more:
                return
            for job in more:
                tools.holding.add(job)
            self._waiting.extend(more)

    def _begin(self, job: Job) -> Planned | None:
        """Plan a job and take its turns; None if it has ended."""
        tools = self._tools
        if tools.holding.cancelled(job):
            self._end(job, CANCELLED)
            return None
        try:
            body = DrawBody.of(job.body)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of instructions, told when the request came
                planned = tools.pipe.plan(body.drawing(tools.policy(body.policy), batch=tools.batch))
            turns: list[Turn] = []
            if planned.quotas:
                rule, matched = ledger_key(planned.matched), planned.matched
                for target in matched.targets:
                    take = partial(tools.claims.reserve, job, rule=rule, target=target, n=body.n, model=tools.model)
                    turns.append(_again(take))
                planned = replace(planned, quotas=[turn.quotas for turn in turns])
        except (LostError, DatabaseError) as error:
            LOG.warning("%s: %s", job.id, type(error).__name__)
            self._leave([job])
            return None
        except ValueError as error:  # what only the loaded model can tell
            self._end(job, FAILED, reason=str(error), result={"wrong_request": True})
            return None
        show = partial(self._show, job, body)
        previews = Previews(self._begun, body.n, steps=body.steps, partials=body.partials, show=show)
        self._drawn.append(_Drawn(job=job, body=body, planned=planned, turns=turns, previews=previews))
        self._begun += body.n
        return planned

    def _on_step(self, info: StepInfo) -> None:
        """Show partial images, tell how far the jobs are, and end the round where nobody waits for it any more."""
        tools, at_work = self._tools, [each for each in self._drawn if not each.over]
        vain = all(tools.holding.cancelled(each.job) or tools.holding.lost(each.job) for each in at_work)
        if (at_work and vain) or tools.give_up():
            raise KeyboardInterrupt
        with suppress(LostError, DatabaseError):
            for each in at_work:
                if rows := each.previews.wanted(info):
                    each.previews.show(info, rows, tools.backbone(each.body.size))
            if time.monotonic() - self._told > TELL:
                self._told = time.monotonic()
                for each in at_work:
                    tools.claims.progress(each.job, {"step": info.step + 1, "steps": info.steps})

    def _show(self, job: Job, body: DrawBody, image: int, number: int, picture: Image.Image) -> None:
        """Store a partial image, and tell of it."""
        file = picture_file(picture, {"partial": True}, format=body.format, compression=body.compression)
        kept = {"media": MEDIA[body.format], "key": job.key, "job": job.id, "kept": min(3600.0, self._tools.kept)}
        stored = self._tools.images.put(file, **kept)  # type: ignore[arg-type]
        self._tools.claims.event(job, "partial", {"index": image, "number": number, "image": stored})

    def _finish(self, drawn: _Drawn, result: Result) -> None:
        """Store the images of a job and end it, or give it back if it was interrupted because the worker ends."""
        tools, job, body = self._tools, drawn.job, drawn.body
        cancelled = tools.holding.cancelled(job)
        if tools.holding.lost(job):
            self._leave([job])
            return
        if result.stopped and not cancelled:
            self._give_back([job])
            return
        if not result.images and not cancelled:
            self._end(job, FAILED, reason="; ".join(result.notes) or "no image came out")
            return
        public = {"made_by": "a model", "model": tools.model, "rule": result.rule, "policy": body.policy_hash}
        stored = [
            tools.images.put(
                picture_file(
                    image, {**public, "drawn": result.drawn}, format=body.format, compression=body.compression
                ),
                media=MEDIA[body.format],
                key=job.key,
                job=job.id,
                kept=tools.kept,
            )
            for image in result.images
        ]
        self._end(
            job,
            CANCELLED if cancelled else DONE,
            result=result_of(result, stored, drawn.turns, drawn.planned.matched),
            counted=[Counted.of(turn, result.records) for turn in drawn.turns],
            body=None if tools.keep_prompts or cancelled else body.erased.stored(),  # it may be tried again
        )

    def _failed(self, error: Exception) -> None:
        """One job of the round cannot be drawn. Each is drawn alone then; one that fails alone has failed."""
        left = [each for each in self._drawn if not each.over]
        LOG.error("%s in a batch of %s jobs", type(error).__name__, len(left))
        if len(left) == 1:
            left[0].over = True
            said = error.strerror if isinstance(error, OSError) else error  # without the path
            self._end(left[0].job, FAILED, reason=f"it cannot be drawn: {type(error).__name__}: {said}")
            return
        for each in left:
            each.over = True
            if self._tools.stopping():
                self._give_back([each.job])
            else:
                Round(self._tools, [each.job], alone=True).draw()

    def _end(self, job: Job, state: str, **ended: Any) -> None:
        """End a job. If the database refuses it for long, the job is left to whoever claims it."""
        try:
            _again(partial(self._tools.claims.end, job, state, **ended))
            LOG.info("%s %s (request %s)", job.id, state, job.body.get("request", ""))
        except (LostError, DatabaseError) as error:
            LOG.warning("%s was not ended: %s", job.id, type(error).__name__)
        self._tools.holding.drop(job)

    def _give_back(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            with suppress(DatabaseError):  # its lease then runs out
                self._tools.claims.release([job])
            self._tools.holding.drop(job)

    def _leave(self, jobs: Any) -> None:
        """Keep jobs no longer; their lease runs out, or they are another worker's already."""
        for job in jobs:
            self._tools.holding.drop(job)
            for each in self._drawn:
                each.over = each.over or each.job.id == job.id


def _again(do: Callable[[], T]) -> T:
    """Do something in the database, again some times if it cannot be used at the moment."""
    for seconds in AGAIN:
        try:
            return do()
        except DatabaseError:
            time.sleep(seconds)
    return do()
