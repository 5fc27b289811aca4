"""A job whose images another server draws: natural-first control where the model's inside cannot be reached.

1. Draw with the plain prompt, and let the perceiver read the pictures.
2. Take a turn of the ledger. Where the stream leaves a choice, it is of the groups that the pictures show.
3. Assign with the least change. Pictures that fit are kept; the others are drawn again, with the group's words in the
   prompt, as the method "prompt" does, and with the words for held attributes.
4. Pictures that still miss are drawn again within a budget. Of two pictures the one is kept that is likelier to fit.

A server that fails ends the job, which gives its turn back; in step 4 it ends the repairs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fair_diffusion.allocation.ledger import Turn
from fair_diffusion.allocation.ledger_request import ledger_key
from fair_diffusion.control.assignments import (
    SURE_AT_END,
    TOO_HARD,
    assignments,
    cells_of,
    label,
    natural_groups,
)
from fair_diffusion.control.readers import Readers
from fair_diffusion.control.records import read_fields
from fair_diffusion.control.tries import SPARE, missing
from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.perception.vocabulary import check_reads, known_groups
from fair_diffusion.policy import Assignment, match
from fair_diffusion.policy.holding import held
from fair_diffusion.request import Request
from fair_diffusion.result import Record, Result
from fair_diffusion.service.alone import done_alone, end
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.draw_result import result_of
from fair_diffusion.service.images import Picture
from fair_diffusion.service.job import CANCELLED, DONE, FAILED, Job
from fair_diffusion.service.picture_file import MEDIA
from fair_diffusion.service.proxied_image import ProxiedImage
from fair_diffusion.service.streams import Counted
from fair_diffusion.service.tools import JobTools, again
from fair_diffusion.service.upstream import Refusal, Upstream
from fair_diffusion.steering.prompt import naming

LOG = logging.getLogger("fair_diffusion.worker")
TRIES = 3
"""How often one image is drawn with words, at most."""


@dataclass(kw_only=True)
class ProxyTools(JobTools):
    """What the jobs of a proxy use.

    Attributes:
        upstream: the server that draws.
        perceiver: decides which images are drawn again.
        judge: scores.
        reading: held while a reader reads, so that few pictures are in its memory.
    """

    upstream: Upstream
    perceiver: Perceiver
    judge: Perceiver
    reading: threading.Lock = field(default_factory=threading.Lock)


class Proxied:
    """Draws one job, which was just claimed.

    Args:
        tools: of the worker.
        job: the job.
    """

    def __init__(self, tools: ProxyTools, job: Job) -> None:
        self._tools, self._job = tools, job
        self._images: list[ProxiedImage] = []
        self._notes: list[str] = []
        self._cut = False  # the job was cancelled before every image was finished

    def draw(self) -> None:
        """Draw until the job has ended or is given back."""
        done_alone(self._tools, self._job, self._done)

    def _done(self) -> None:
        if self._tools.vain(self._job):
            raise KeyboardInterrupt
        self._body = DrawBody.of(self._job.body)
        try:
            self._draw()
        except Refusal as error:
            LOG.warning("%s: the upstream server gave no image (%s, %s)", self._job.id, error.status, error.code)
            end(self._tools, self._job, FAILED, reason=error.message, result={"upstream": error.stored()})

    def _draw(self) -> None:
        tools, job, body, began = self._tools, self._job, self._body, time.monotonic()
        asked, matched = self._asked(), match(tools.policy_for(body), body.prompt)
        for role, reader in (("judge", tools.judge), ("perceiver", tools.perceiver)):
            check_reads(reader, matched.targets, f"the {role} of {tools.model!r}", matched.attributes)
        self._matched = matched
        wanted = held(matched, asked.hold_names)
        keeps = [name for name in wanted if known_groups(tools.perceiver, matched.attributes[name])]
        for picture, shares in filter(None, self._asked_for([body.prompt] * body.n)):
            kept = natural_groups(keeps, shares, matched.attributes)
            self._images.append(ProxiedImage(picture=picture, natural=shares, shares=shares, held=kept))
        if self._cut and matched.rule is not None:  # no image has its group yet
            raise KeyboardInterrupt
        turns = self._turns()
        if turns:
            self._steer([turn.quotas for turn in turns], asked.repair_budget)
        if self._cut:
            self._images = [one for one in self._images if not self._misses(one)]
            if not self._images:
                raise KeyboardInterrupt
        result = self._result(time.monotonic() - began)
        public = {"made_by": "a model", "model": tools.model, "rule": result.rule, "policy": body.policy_hash}
        files = [tools.file(one.picture, {**public, "drawn": result.drawn}, body) for one in self._images]
        stored = tools.images.put_all(
            [Picture(file, media=MEDIA[body.format], key=job.key, job=job.id, kept=tools.kept) for file in files]
        )
        told = result_of(result, stored, turns, matched, quotes=tools.keep_prompts)
        for image in told["images"]:
            del image["seed"]  # only the other server knows it
        counted = [Counted.of(turn, result.records) for turn in turns]
        left = None if tools.keep_prompts or self._cut else body.erased.stored()  # it may be tried again
        end(tools, job, CANCELLED if self._cut else DONE, result=told, counted=counted, body=left)

    def _asked(self) -> Request:
        body = self._body
        return Request(prompt=body.prompt, n=body.n, method=body.method, hold=body.hold if body.hold != [] else "none")

    def _asked_for(self, prompts: Sequence[str]) -> list[tuple[Image.Image, dict[str, NDArray[np.float64]]] | None]:
        """Pictures of these prompts, and what the perceiver reads in each; None for those that a cancelled job misses.

        `KeyboardInterrupt` if the job is not this worker's to finish any more."""
        tools, body = self._tools, self._body
        fields = {
            **({"size": body.size} if body.size else {}),
            **({"quality": body.quality} if body.quality != "auto" else {}),
        }
        pictures = tools.upstream.draw(prompts, fields, lambda: tools.vain(self._job))
        there = [picture for picture in pictures if picture is not None]
        if len(there) < len(pictures):
            if not tools.holding.cancelled(self._job):
                raise KeyboardInterrupt
            self._cut = True
        if not there:
            return [None] * len(pictures)
        with tools.reading:
            read = Readers(tools.perceiver).perceive(there, self._matched.attributes)
        found = iter([(each, {name: rows[k] for name, rows in read.items()}) for k, each in enumerate(there)])
        return [None if picture is None else next(found) for picture in pictures]

    def _turns(self) -> list[Turn]:
        """The turns of the job, of the groups that its images show as far as the streams leave a choice."""
        tools, matched, turns = self._tools, self._matched, list[Turn]()
        if matched.rule is None:
            return turns
        for target in matched.targets:
            cells = list(target.shares)
            places, _ = cells_of(self._shares(), target, SURE_AT_END)
            natural = [None if place is None else cells[place] for place in places]
            take = partial(tools.claims.reserve, self._job, rule=ledger_key(matched), target=target, natural=natural)
            turns.append(again(partial(take, n=self._body.n, model=tools.model)))
        return turns

    def _shares(self) -> dict[str, NDArray[np.float64]]:
        """The perceiver's probabilities (images, groups) in the pictures that are kept, by attribute."""
        return {name: np.stack([one.shares[name] for one in self._images]) for name in self._images[0].shares}

    def _steer(self, quotas: Sequence[Sequence[int]], budget: float) -> None:
        """Draw again what does not fit: once whatever it costs, and what then misses within the budget."""
        left, first = int(max(budget * len(self._images), SPARE if budget else 0)), True
        while misses := self._assigned(quotas):
            self._cut = self._cut or self._tools.holding.cancelled(self._job)
            if self._cut:
                return
            if not first:
                misses = sorted([one for one in misses if one.tries < TRIES], key=lambda one: one.tries)[:left]
                left -= len(misses)
            if not misses:
                break
            try:
                self._again(misses)
            except Refusal as error:
                if first:
                    raise
                self._notes.append(f"no further attempt: {error.message}")
                self._assigned(quotas)
                break
            first = False
        missed = sum(map(self._misses, self._images))
        self._notes += missing("the repair budget is spent, or everything was tried", missed, len(self._images))

    def _assigned(self, quotas: Sequence[Sequence[int]]) -> list[ProxiedImage]:
        """Assign by what the pictures show now. Returns the images that miss."""
        effort = [1.0 if one.tries < TRIES else TOO_HARD for one in self._images]
        found = assignments(self._matched.targets, quotas, self._shares(), SURE_AT_END, effort)
        for one, assigned in zip(self._images, found, strict=True):
            one.assigned = assigned
        return [one for one in self._images if self._misses(one)]

    def _again(self, images: Sequence[ProxiedImage]) -> None:
        """Draw images with the words for their groups."""
        prompts = [self._naming({**one.held, **one.assigned}) for one in images]
        try:
            drawn = self._asked_for(prompts)
        except Refusal as error:  # what the server says may quote the group's words, which clients are not told
            error.message = f"the upstream server refused to draw an image again ({error.code})"
            raise
        for one, new in zip(images, drawn, strict=True):
            if new is None:
                continue
            one.tries += 1
            if self._likely(one, new[1]) >= self._likely(one, one.shares):
                (one.picture, one.shares), one.words = new, one.assigned

    def _naming(self, groups: Assignment) -> str:
        """The prompt with the words for these groups; the plain one without groups."""
        matched = self._matched
        return naming(self._body.prompt, matched.start, matched.words, matched.attributes, groups)

    def _label(self, name: str, shares: Mapping[str, NDArray[np.float64]]) -> str | None:
        """The group of an attribute that a picture surely shows."""
        return label(self._matched.attributes[name].group_names, shares[name], SURE_AT_END)

    def _misses(self, one: ProxiedImage) -> bool:
        """Whether the perceiver is not sure that an image shows what it is assigned."""
        return any(self._label(name, one.shares) != group for name, group in one.assigned.items())

    def _likely(self, one: ProxiedImage, shares: Mapping[str, NDArray[np.float64]]) -> float:
        """How likely a picture with these probabilities shows what the image is assigned."""
        defined = self._matched.attributes
        places = [(name, defined[name].group_names.index(group)) for name, group in one.assigned.items()]
        return float(np.prod([shares[name][place] for name, place in places]))

    def _result(self, seconds: float) -> Result:
        """The images with their records, as judge and perceiver read them. A drawn image counts as one evaluation."""
        tools, body, matched = self._tools, self._body, self._matched
        pictures = [one.picture for one in self._images]
        with tools.reading:
            judged, perceived = tools.judge.read(pictures), tools.perceiver.read(pictures)
        rule = matched.rule.name if matched.rule else None
        same: dict[str, Any] = {"prompt": body.prompt, "model": tools.model, "method": body.method, "rule": rule}
        records = [
            Record(
                **same,
                **read_fields(judged, perceived, k),
                index=k,
                used_prompt=self._naming({**one.held, **one.words} if one.words else {}),
                seed=0,
                control="natural-first",
                steps=0,
                guidance=0.0,
                assigned=one.assigned,
                natural={name: self._label(name, one.natural) for name in one.assigned},
                natural_confidence={name: float(one.natural[name].max()) for name in one.assigned},
                steered_to=one.words,
                held=one.held if one.words else {},
                strength=1.0 if one.words else 0.0,
                repairs=max(0, one.tries - 1),
                reseeds=0,
                missed=self._misses(one) if one.assigned else None,
                evaluations=1 + one.tries,
                plain_evaluations=1,
            )
            for k, one in enumerate(self._images)
        ]
        return Result(
            **same,
            control="natural-first",
            seed=0,
            reason=matched.reason,
            images=pictures,
            records=records,
            audit=[],
            perceived_audit=[],
            seconds=seconds,
            requested=body.n,
            notes=self._notes,
            definitions=matched.attributes,
        )
