"""FairPipeline: instruction in, images with measured proportions out. The flow, top to bottom:

requests → match → quotas → control (denoise, look, assign, steer, repair) → judge → records, audit
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from fair_diffusion.allocation import plan
from fair_diffusion.backbones import OnStep, adapt
from fair_diffusion.control.counting import Counting, Keep
from fair_diffusion.control.loop import check_order, draw
from fair_diffusion.control.order import Order
from fair_diffusion.control.planned import Planned, Shared, held_by
from fair_diffusion.control.readers import Readers
from fair_diffusion.control.records import Readings
from fair_diffusion.control.results import images_of, result_of
from fair_diffusion.control.strengths import Strengths
from fair_diffusion.control.twins import twins_of
from fair_diffusion.models.cards import Card, card_of
from fair_diffusion.models.fingerprint import of_reader
from fair_diffusion.models.options import LoadingOptions, check_options
from fair_diffusion.perception.assembly import assembled
from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.labelled_image import JUDGE, PERCEIVER
from fair_diffusion.perception.perceiver import Perceiver, all_read
from fair_diffusion.perception.roles import Named
from fair_diffusion.perception.vocabulary import check_reads, known_groups
from fair_diffusion.policy import Attributes, Match, Policy, built_in, match
from fair_diffusion.request import Request, RequestFields, check_fields
from fair_diffusion.result import Result
from fair_diffusion.steering import check_file
from fair_diffusion.steering.brief import Projection

if TYPE_CHECKING:
    from fair_diffusion.allocation.keeps_streams import KeepsStreams
    from fair_diffusion.perception.early import EarlyReader


class FairPipeline:
    """A text-to-image model with a perceiver, which steering may ask, and a judge, which alone scores.

    Args:
        pipeline: a loaded diffusers pipeline of a class that `backbones.FAMILIES` lists.
        name: what records call the model.
        perceiver: reads images for steering. Where steering follows a gradient, it is the perceiver's.
        judge: reads images for results; steering never asks it.
        early: reads predicted clean latents; without one they are decoded, and the perceiver reads the pictures.
        card: the usual settings of the model; found by its class and configuration if None.
        weights: the hash of the model's weights, for results.
        confusions: how the judge errs, for results.
        calibration: what people's labels say of how perceiver and judge err; without it both are taken at their word.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        name: str,
        perceiver: Perceiver,
        judge: Perceiver,
        early: EarlyReader | None = None,
        card: Card | None = None,
        weights: str = "",
        confusions: Sequence[Confusion] = (),
        calibration: Calibration | None = None,
    ) -> None:
        self.backbone = adapt(pipeline)
        self.name, self.perceiver, self.judge, self.early = name, perceiver, judge, early
        self.card = card or card_of(pipeline, name)
        self.weights, self.calibration = weights, calibration or Calibration(readers=())
        self.confusions = list(confusions)
        self.projections: dict[str, Projection] = {}  # learnt once, for as long as the text encoders stay as they are
        self.attributes = self.readable(built_in())
        if not any(len({*groups} & {*judge.groups.get(name, ())}) > 1 for name, groups in perceiver.groups.items()):
            raise ValueError(f"perceiver and judge of {name!r} read no attribute in common with two groups or more")

    @classmethod
    def from_pretrained(
        cls,
        model: Any,
        *,
        perceiver: Named | None = None,
        judge: Named | None = None,
        calibration: Calibration | str | Path | None = None,
        **loading: Unpack[LoadingOptions],
    ) -> FairPipeline:
        """Load a model with its readers.

        Args:
            model: "pocket", the embedded model, or what `models.loading.load` takes: a hub id, a folder, a
                .safetensors file, or a loaded diffusers pipeline.
            perceiver: who steers, as words of `perception.opening` or as an object; the pocket model brings its own.
            judge: who scores, likewise, of other weights than the perceiver.
            calibration: what people's labels say of both, or the file of it (`fair-diffusion calibrate`).
            loading: precision, device, memory, LoRAs and learned words: see `models.loading.load`.

        Raises:
            ValueError: in one line, what cannot be had, or which argument is wrong.
        """
        check_options(loading)
        known = Calibration.load(Path(calibration)) if isinstance(calibration, (str, Path)) else calibration
        parts = assembled(model, perceiver, judge, loading)
        if known is not None:
            known.check_for(parts["name"], {PERCEIVER: parts["perceiver"], JUDGE: parts["judge"]})
        return cls(**parts, calibration=known)

    def __call__(
        self,
        prompt: str,
        *,
        strengths: Strengths | None = None,
        ledger: KeepsStreams | None = None,
        compare_plain: bool = False,
        on_step: OnStep | None = None,
        **fields: Unpack[RequestFields],
    ) -> Result:
        """Generate images of one prompt as an instruction or a policy says.

        Args:
            prompt: what to draw.
            strengths: what steering took in earlier requests; it is used and added to.
            ledger: keeps the proportions across requests; without one they hold within this request. The images count
                when the result is returned; after an error nothing counts.
            compare_plain: also draw the plain twins: the same seeds without steering.
            on_step: called after each step of each batch. Raising `KeyboardInterrupt` there, as from the keyboard,
                ends the run with the images that are finished.
            fields: of `Request`, which tells what each is: n, seed, instruct, policy, method, control, steps,
                guidance, negative_prompt, guidance_rescale, repair_budget, batch_size, size, file, loss, hold, lot,
                attributes.

        Raises:
            ValueError: a wrong argument; `PolicyError`: a wrong instruction. Both before anything is drawn.
        """
        own = ("prompt", "strengths", "ledger", "compare_plain", "on_step")
        check_fields(fields, [*RequestFields.__annotations__, *own])
        given: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
        asked = Request(prompt=prompt, **given)
        return self.many([asked], strengths=strengths, ledger=ledger, compare_plain=compare_plain, on_step=on_step)[0]

    def many(
        self,
        requests: Iterable[Request],
        *,
        strengths: Strengths | None = None,
        ledger: KeepsStreams | None = None,
        compare_plain: bool = False,
        on_step: OnStep | None = None,
        keep: Keep | None = None,
        scratch: Path | None = None,
    ) -> list[Result]:
        """Generate for many requests at once; batches are filled across them.

        Args:
            requests: what to draw. Each image is the same as if its request were alone, but for rounding.
            strengths: as in a call; requests then learn from each other.
            ledger: as in a call; each request takes its own turn.
            compare_plain: as in a call.
            on_step: as in a call; `control.loop.draw` tells how images are counted.
            keep: called with the number of each request and its result before the ledger counts its images, to save
                them. If it raises, the ledger counts neither them nor what comes after.
            scratch: a folder in which the pictures lie instead of in memory, for as long as results are used.

        Returns:
            One result per request, in their order.
        """
        _check_arguments(strengths, ledger, compare_plain, on_step)
        planned = [self.plan(request, strengths) for request in _checked(requests)]
        with Counting(ledger, planned, model=self.name) as counting:
            shared = Shared(Readers(self.perceiver, self.early), scratch=scratch)
            on_step = counting.renewing(on_step)
            return counting.settle(self._with_twins(counting.planned, compare_plain, on_step, shared), keep)

    def each(self, requests: Iterable[Request], *, on_step: OnStep | None = None) -> Iterator[tuple[int, Result]]:
        """Generate for requests as they come; batches are filled across them.

        Yields:
            The number of a request and its result, as soon as it is finished: not always in their order. After an
            interrupt those that were begun, with the images that are finished.

        Raises:
            ValueError: a request is wrong, or no image of it came out as numbers. No more requests are taken then, and
                the others that were begun are yielded first.
        """
        _check_arguments(on_step=on_step)
        return self.run((self.plan(request) for request in _checked(requests)), on_step)

    def plan(self, request: Request, strengths: Strengths | None = None) -> Planned:
        """The request with the rule that fires and its quotas. `ValueError` naming what cannot be read or used."""
        policy = request.policy
        if request.instruct is not None:
            policy = Policy.from_sentence(request.instruct, request.attributes)
            for warning in policy.warnings:
                warnings.warn(warning, stacklevel=2)
        matched = match(policy or Policy(attributes=request.definitions), request.prompt)
        self.check(matched)
        if request.file is not None:
            check_file(request.row, request.file, matched.targets if matched.rule else ())
        quotas = plan(matched.targets, request.n, *request.ties) if matched.rule and request.assigns else []
        held = held_by(self, request, matched)
        planned = Planned(request=request, matched=matched, quotas=quotas, strengths=strengths, held=held)
        check_order(Shared(Readers(self.perceiver, self.early)).order(self, planned))
        return planned

    def with_usual(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a request that are given, and the card's steps and guidance where they are not."""
        usual = {"steps": self.card.steps, "guidance": self.card.guidance}
        return usual | {name: value for name, value in given.items() if value is not None}

    def check(self, matched: Match) -> None:
        """`ValueError` naming the attribute or group if one that `matched` asks for cannot be read."""
        for role, reader in (("judge", self.judge), ("perceiver", self.perceiver)):
            check_reads(reader, matched.targets, f"the {role} of {self.name!r}", matched.attributes)

    def judge_confusions(self, defined: Attributes) -> list[Confusion]:
        """How the judge errs on these attributes: as people's labels of them say, else as it was measured."""
        known = self.calibration.replacing(self.confusions, JUDGE, self.name, defined)
        return [one for one in known if one.attribute in defined]

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprints of perceiver and judge, by which a calibration knows whose errors it has."""
        return {PERCEIVER: of_reader(self.perceiver), JUDGE: of_reader(self.judge)}

    def readable(self, defined: Attributes) -> list[str]:
        """The attributes among the defined ones that perceiver and judge both read."""
        both = (self.perceiver, self.judge)
        return [name for name, each in defined.items() if all(known_groups(by, each) for by in both)]

    def run(
        self, planned: Iterable[Planned], on_step: OnStep | None = None, shared: Shared | None = None
    ) -> Iterator[tuple[int, Result]]:
        """Draw planned requests, let the judge count, and describe what came out; as in `each`."""
        for finished in self.run_together(planned, on_step, shared):
            yield from finished

    def run_together(
        self, planned: Iterable[Planned | None], on_step: OnStep | None = None, shared: Shared | None = None
    ) -> Iterator[list[tuple[int, Result]]]:
        """As `run`, and requests that are finished by the same batch come together.

        None in the place of a request: there is no next one yet, so a batch that is not full is drawn."""
        shared = shared or Shared(Readers(self.perceiver, self.early))
        begun: dict[Order, tuple[int, Planned]] = {}
        wrong: list[ValueError] = []

        def orders() -> Iterator[Order | None]:
            numbers = count()
            try:
                for each in planned:
                    order = None if each is None else shared.order(self, each)
                    if order is not None and each is not None:
                        begun[order] = next(numbers), each
                    yield order
                    if wrong:
                        return
            except ValueError as error:  # it waits until the requests before it are drawn
                wrong.append(error)

        drawing = draw(orders(), on_step)
        finished = next(drawing, None)
        while finished is not None:
            try:
                read, stopped = self._read(finished), False
            except KeyboardInterrupt:  # what is drawn is kept: it is read again, and all else is ended
                read, stopped = self._read(finished), True
            results = list[tuple[int, Result]]()
            for order, readings in zip(finished, read, strict=True):
                if order.not_finite and not order.shown:
                    wrong.append(ValueError(f"{order.request.prompt!r}: {order.not_finite}"))
                    continue
                if stopped and not order.interrupted:
                    order.interrupted = True
                    order.notes.append("interrupted while the images were read")
                k, each = begun.pop(order)
                results.append((k, result_of(self, order, each, *readings)))
            yield results
            finished = drawing.throw(KeyboardInterrupt) if stopped else next(drawing, None)
        if wrong:
            raise wrong[0]

    def _read(self, orders: Sequence[Order]) -> list[tuple[Readings, Readings]]:
        """What judge and perceiver read in the finished images of each order; all images are read at once."""
        start = time.monotonic()
        images = images_of(orders)
        both = all_read(self.judge, images), all_read(self.perceiver, images)
        seconds, first, parts = time.monotonic() - start, 0, list[tuple[Readings, Readings]]()
        for order in orders:
            part = slice(first, first + len(order.shown))
            first = part.stop
            order.seconds += seconds * len(order.shown) / max(1, len(images))
            judged, perceived = ({name: rows[part] for name, rows in readings.items()} for readings in both)
            parts.append((judged, perceived))
        return parts

    def _with_twins(
        self, planned: Sequence[Planned], compare_plain: bool, on_step: OnStep | None, shared: Shared
    ) -> list[Result]:
        """The results and, if asked for and nothing interrupted them, their plain twins."""
        results = self._all(planned, on_step, shared)
        if not compare_plain or any(result.stopped for result in results):
            return results
        unsteered = [
            Planned(request=each.request.plain, matched=replace(each.matched, rule=None, said="")) for each in planned
        ]
        for k, plain in enumerate(self._all(unsteered, on_step, shared)):
            if plain.stopped:
                notes = [*results[k].notes, f"the plain twins were {plain.notes[-1]}"]
                results[k] = replace(results[k], notes=notes, stopped=not plain.images)
            if plain.images:
                results[k] = replace(results[k], plain=plain, twins=twins_of(results[k], plain, self.judge))
        return results

    def _all(self, planned: Sequence[Planned], on_step: OnStep | None, shared: Shared) -> list[Result]:
        """A result for each, also for those that an interrupt left untouched."""
        found = dict(self.run(planned, on_step, shared))
        for k, each in enumerate(planned):
            if k not in found:
                order = shared.order(self, each)
                order.interrupted, order.notes = True, [f"interrupted after 0 of {order.n} images"]
                found[k] = result_of(self, order, each, self.judge.read([]), self.perceiver.read([]))
        return [found[k] for k in range(len(planned))]


def _checked(requests: Any) -> Iterator[Request]:
    """The requests as they come. `ValueError` naming what is no request: at once if it is not even a list."""
    if isinstance(requests, str) or not isinstance(requests, Iterable):
        raise ValueError(f"requests is {requests!r}; give a list of Request")

    def each() -> Iterator[Request]:
        for k, request in enumerate(requests):
            if not isinstance(request, Request):
                raise ValueError(f"requests[{k}] is {request!r}; give a Request, such as Request(prompt=...)")
            yield request

    return each()


def _check_arguments(
    strengths: Strengths | None = None,
    ledger: KeepsStreams | None = None,
    compare_plain: bool = False,
    on_step: OnStep | None = None,
) -> None:
    """`ValueError` naming the first argument that is of a wrong type."""
    if ledger is not None and not hasattr(ledger, "reserve"):  # its class loads a database library
        raise ValueError(f"ledger is {ledger!r}; give a Ledger, such as Ledger(PATH)")
    if strengths is not None and not isinstance(strengths, Strengths):
        raise ValueError(f"strengths is {strengths!r}; give Strengths, such as Strengths.load(PATH)")
    if not isinstance(compare_plain, bool):
        raise ValueError(f"compare_plain is {compare_plain!r}; give True or False")
    if on_step is not None and not callable(on_step):
        raise ValueError(f"on_step is {on_step!r}; give a function of one StepInfo")
