"""One round of a worker: jobs of one lane on their way through the pipeline's loop, in mixed batches.

Each image has its own prompt, seed and target, so images of many jobs share a batch. The round takes more jobs of its
lane whenever the images at hand do not fill one, also in the middle of others' runs. Jobs that are claimed together
take their turns in one transaction, and jobs that are finished by the same batch end in one: for each job its turns,
its result and its state together.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from fair_diffusion.allocation.ledger import Turn
from fair_diffusion.allocation.ledger_request import ledger_key
from fair_diffusion.backbones import StepInfo
from fair_diffusion.control.planned import Planned
from fair_diffusion.service.claims import Ended
from fair_diffusion.service.database import DatabaseError
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.draw_result import result_of
from fair_diffusion.service.images import Picture
from fair_diffusion.service.job import CANCELLED, DONE, FAILED, Job, LostError
from fair_diffusion.service.picture_file import MEDIA
from fair_diffusion.service.previews import Previews
from fair_diffusion.service.streams import Counted, Wanted
from fair_diffusion.service.tools import Tools, again, reason_of, show_partial

if TYPE_CHECKING:
    from fair_diffusion.result import Result

LOG = logging.getLogger("fair_diffusion.worker")
ROUND = 4
"""Once a round began so many batches of images, it takes more jobs only while theirs is the next turn of all."""
LONGEST = 64
"""A round ends after so many batches at the latest, so that it does not grow without end."""
TELL = 0.5
"""Seconds between two notes of how far the jobs are."""


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
        self._tools, self._waiting, self._jobs = tools, list(jobs), list(jobs)
        self._lane, self._alone = jobs[0].lane, alone or (len(jobs) == 1 and jobs[0].attempts > 1)
        self._drawn: list[_Drawn] = []
        self._begun, self._told = 0, time.monotonic()
        for job in jobs:
            tools.holding.add(job)

    def draw(self) -> None:
        """Draw until every job has ended or is given back. An error of one job ends that job alone."""
        tools = self._tools
        try:
            for finished in tools.pipe.run_together(self._planned(), self._on_step):
                self._finish([(self._drawn[k], result) for k, result in finished])
        except DatabaseError as error:
            LOG.error("%s; what was at hand is left to whoever claims it", error)
            self._leave(each.job for each in self._drawn if not each.over)
        except Exception as error:
            self._failed(error)
        self._give_back([*(each.job for each in self._drawn if not each.over), *self._waiting])
        for job in self._jobs:  # one that could not even be ended is left: its lease runs out
            tools.holding.drop(job)

    def _planned(self) -> Iterator[Planned | None]:
        """The jobs as they are begun: those at hand, then more of the lane; None where no more are there yet."""
        tools, linger = self._tools, True
        while not tools.stopping():
            waiting, self._waiting = self._waiting, []
            for each in self._begin(waiting):
                if tools.stopping():
                    return
                yield each.planned
            batches, over = divmod(self._begun, tools.batch)
            if self._alone or batches >= LONGEST:
                return
            more = tools.more(self._lane, tools.batch - over, linger=linger, in_turn=batches >= ROUND)
            for job in more:
                tools.holding.add(job)
            self._waiting = more
            self._jobs += more
            linger = bool(more)  # once for each batch, and not again whenever some of its images are finished
            if not more:
                if all(each.over for each in self._drawn):
                    return
                yield None

    def _begin(self, jobs: Sequence[Job]) -> list[_Drawn]:
        """Plan jobs and take their turns. A job that is cancelled, or that cannot be drawn, ends here."""
        plans, ends = list[tuple[Job, DrawBody, Planned]](), list[Ended]()
        for job in jobs:
            if self._tools.holding.cancelled(job):
                ends.append(Ended(job, CANCELLED))
                continue
            try:
                plans.append((job, *self._plan(job)))
            except DatabaseError as error:
                LOG.warning("%s: %s", job.id, type(error).__name__)
                self._leave([job])
            except ValueError as error:  # what only the loaded model can tell
                ends.append(Ended(job, FAILED, reason=str(error), result={"wrong_request": True}))
            except Exception as error:
                LOG.error("%s: %s", job.id, type(error).__name__)
                ends.append(Ended(job, FAILED, reason=reason_of(error)))
        self._end(ends)
        wanted = [one for job, body, planned in plans for one in self._turns(job, body, planned)]
        turns: dict[str, list[Turn]] = {}
        if wanted:
            held = [job for job, _, _ in plans]
            try:
                with self._tools.figures.timing("ledger"):
                    turns = again(partial(self._tools.claims.reserve_all, held, wanted))
            except DatabaseError as error:
                LOG.error("%s", error)
                self._leave(held)
                return []
            except Exception as error:  # of one of them: each is begun alone, so that it fails alone
                LOG.error("%s", type(error).__name__)
                if len(held) > 1:
                    return [drawn for job in held for drawn in self._begin([job])]
                self._end([Ended(job, FAILED, reason=reason_of(error)) for job in held])
                return []
        begun = []
        for job, body, planned in plans:
            if planned.quotas and body.instead is None and job.id not in turns:  # it is not this worker's any more
                self._leave([job])
                continue
            own = turns.get(job.id, [])
            show = partial(show_partial, self._tools, job, body)
            previews = Previews(self._begun, body.n, steps=body.steps, partials=body.partials, show=show)
            quotas = [turn.quotas for turn in own] if body.instead is None else _instead(planned, body.instead)
            planned = replace(planned, quotas=quotas, unwanted=partial(self._vain, job))
            begun.append(_Drawn(job=job, body=body, planned=planned, turns=own, previews=previews))
            self._begun += body.n
        self._drawn += begun
        return begun

    def _plan(self, job: Job) -> tuple[DrawBody, Planned]:
        body = DrawBody.of(job.body)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of instructions, told when the request came
            asked = body.drawing(self._tools.policy(body.version), batch=self._tools.batch)
            return body, self._tools.pipe.plan(asked)

    def _turns(self, job: Job, body: DrawBody, planned: Planned) -> list[Wanted]:
        """The turns that a job wants: one for each target."""
        if not planned.quotas or body.instead is not None:
            return []
        rule, model = ledger_key(planned.matched), self._tools.model
        targets = planned.matched.targets
        return [Wanted(rule=rule, target=target, n=body.n, model=model, job=job.id) for target in targets]

    def _on_step(self, info: StepInfo) -> None:
        """Show partial images, tell how far the jobs are, and end the round where nobody waits for it any more."""
        tools, at_work = self._tools, [each for each in self._drawn if not each.over]
        tools.figures.stepped(info)
        if (at_work and all(self._vain(each.job) for each in at_work)) or tools.give_up():
            raise KeyboardInterrupt
        with suppress(LostError, DatabaseError):
            for each in at_work:
                if rows := each.previews.wanted(info):
                    each.previews.show(info, rows, tools.backbone(each.body.size))
            if time.monotonic() - self._told > TELL:
                self._told = time.monotonic()
                for each in at_work:
                    tools.claims.progress(each.job, {"step": info.step + 1, "steps": info.steps})

    def _vain(self, job: Job) -> bool:
        """Whether what is drawn for a job is in vain: it is cancelled, or another worker has it."""
        return self._tools.holding.cancelled(job) or self._tools.holding.lost(job)

    def _finish(self, finished: Sequence[tuple[_Drawn, Result]]) -> None:
        """Store images and end their jobs; what was interrupted because the worker ends is given back."""
        tools, ends = self._tools, list[Ended]()
        tools.figures.read()
        whole: list[tuple[_Drawn, Result]] = []
        for drawn, result in finished:
            if tools.holding.lost(drawn.job):
                self._leave([drawn.job])
            elif result.stopped and not tools.holding.cancelled(drawn.job):
                drawn.over = True
                self._give_back([drawn.job])
            else:
                whole.append((drawn, result))
        files, note = tools.images.written([one for each in whole for one in self._pictures(*each)])
        stored = iter(files)
        for drawn, result in whole:
            cancelled = tools.holding.cancelled(drawn.job)
            ends.append(
                Ended(
                    drawn.job,
                    CANCELLED if cancelled else DONE,
                    result=result_of(
                        result,
                        [next(stored) for _ in result.images],
                        drawn.turns,
                        drawn.planned.matched,
                        quotes=tools.keep_prompts,
                    ),
                    counted=[Counted.of(turn, result.records) for turn in drawn.turns],
                    # one that was cancelled may be tried again
                    body=None if tools.keep_prompts or cancelled else drawn.body.erased.stored(),
                )
            )
            drawn.over = True
        self._end(ends, note)

    def _pictures(self, drawn: _Drawn, result: Result) -> list[Picture]:
        """The files of a result."""
        tools, job, body = self._tools, drawn.job, drawn.body
        public = {"made_by": "a model", "model": tools.model, "rule": result.rule, "policy": body.policy_hash}
        public["drawn"] = result.drawn
        return [
            Picture(
                tools.file(image, public, body),
                media=MEDIA[body.format],
                key=job.key,
                job=job.id,
                kept=tools.kept,
            )
            for image in result.images
        ]

    def _failed(self, error: Exception) -> None:
        """One job of the round cannot be drawn. Each is drawn alone then; one that fails alone has failed."""
        left = [each for each in self._drawn if not each.over]
        LOG.error("%s in a batch of %s jobs", type(error).__name__, len(left))
        if len(left) == 1:
            left[0].over = True
            self._end([Ended(left[0].job, FAILED, reason=reason_of(error, left[0].body))])
            return
        for each in left:
            each.over = True
            if self._tools.stopping():
                self._give_back([each.job])
            else:
                Round(self._tools, [each.job], alone=True).draw()

    def _end(self, ends: Sequence[Ended], also: Callable[[Connection], None] | None = None) -> None:
        """End jobs. If the database refuses it for long, they are left to whoever claims them."""
        if not ends:
            return
        try:
            ended = again(partial(self._tools.claims.end_all, ends, also))
        except DatabaseError as error:
            LOG.error("%s", error)
            ended = set()
        for each in ends:
            state = each.state if each.job.id in ended else "was not ended: it is not this worker's any more"
            if each.job.id in ended:
                self._tools.ended(each.job)
            LOG.info("%s %s (request %s)", each.job.id, state, each.job.body.get("request", ""))
            self._tools.holding.drop(each.job)

    def _give_back(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            with suppress(DatabaseError):  # its lease then runs out
                self._tools.claims.release([job])
            self._tools.holding.drop(job)

    def _leave(self, jobs: Iterable[Job]) -> None:
        """Keep jobs no longer; their lease runs out, or they are another worker's already."""
        for job in jobs:
            self._tools.holding.drop(job)
            for each in self._drawn:
                each.over = each.over or each.job.id == job.id


def _instead(planned: Planned, groups: Mapping[str, str]) -> list[list[int]]:
    """Quotas by which all images show these groups."""
    targets, n = planned.matched.targets, planned.request.n
    cells = [tuple(groups.get(name) for name in target.attributes) for target in targets]
    return [[n * (cell == wanted) for cell in target.shares] for target, wanted in zip(targets, cells, strict=True)]
