"""FairPipeline: instruction in, images with measured proportions out. The flow, top to bottom:

requests → match → quotas → control (denoise, look, assign, steer, repair) → judge → records, audit
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from fair_diffusion.allocation import plan
from fair_diffusion.audit.study import Confusion
from fair_diffusion.backbones import OnStep, StepInfo, adapt
from fair_diffusion.control.loop import draw
from fair_diffusion.control.order import Order
from fair_diffusion.control.readers import Readers
from fair_diffusion.control.records import Readings, asked_fields, audited, prompt_of, read_fields
from fair_diffusion.control.strengths import Strengths
from fair_diffusion.control.twins import twins_of
from fair_diffusion.models.cards import Card, card_of
from fair_diffusion.models.options import LoadingOptions, check_options
from fair_diffusion.models.provenance import made_with
from fair_diffusion.perception.perceiver import Perceiver, occupations
from fair_diffusion.perception.roles import Named, open_roles
from fair_diffusion.perception.vocabulary import check_reads, known_groups
from fair_diffusion.policy import ATTRIBUTES, Match, Policy, match
from fair_diffusion.request import Request, RequestFields, check_fields
from fair_diffusion.result import Record, Result
from fair_diffusion.steering import check_file
from fair_diffusion.steering.brief import Brief, Projection

if TYPE_CHECKING:
    from fair_diffusion.allocation.ledger import Ledger
    from fair_diffusion.backbones import Conditioning
    from fair_diffusion.perception.early import EarlyReader

    Texts = defaultdict[Path | None, dict[str, Conditioning]]  # encoded prompts, by the file of the weights in use


@dataclass(frozen=True, kw_only=True, eq=False)
class Planned:
    """A request with what its policy asks of it.

    Attributes:
        request: what is asked for.
        matched: the rule that fires, if one does.
        quotas: for each target one count per cell, in the order of its shares; empty: no image is assigned a group.
        strengths: what steering took so far; it is used and added to.
    """

    request: Request
    matched: Match
    quotas: Sequence[Sequence[int]] = ()
    strengths: Strengths | None = None


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
    ) -> None:
        self.backbone = adapt(pipeline)
        self.name, self.perceiver, self.judge, self.early = name, perceiver, judge, early
        self.card = card or card_of(pipeline, name)
        self.weights, self.confusions = weights, confusions
        self.projections: dict[str, Projection] = {}  # learnt once, for as long as the text encoders stay as they are
        self.attributes = [name for name in ATTRIBUTES if all(known_groups(by, name) for by in (perceiver, judge))]
        if not self.attributes:
            raise ValueError(f"perceiver and judge of {name!r} read no attribute in common that has known groups")

    @classmethod
    def from_pretrained(
        cls,
        model: Any,
        *,
        perceiver: Named | None = None,
        judge: Named | None = None,
        **loading: Unpack[LoadingOptions],
    ) -> FairPipeline:
        """Load a model with its readers.

        Args:
            model: "pocket", the embedded model, or what `models.loading.load` takes: a hub id, a folder, a
                .safetensors file, or a loaded diffusers pipeline.
            perceiver: who steers, as words of `perception.opening` or as an object; the pocket model brings its own.
            judge: who scores, likewise, of other weights than the perceiver.
            loading: precision, device, memory, LoRAs and learned words: see `models.loading.load`.

        Raises:
            ValueError: in one line, what cannot be had, or which argument is wrong.
        """
        from fair_diffusion.models.hub import Hub
        from fair_diffusion.models.loading import load, name_of, provenance
        from fair_diffusion.models.weights import check_model

        check_options(loading)
        hub = Hub()
        if model == "pocket":
            if perceiver is not None or judge is not None:
                raise ValueError("the model 'pocket' brings its perceiver and its judge; name none")
            return cls(**_pocket(hub, loading))
        named = isinstance(model, (str, Path))
        name = str(model) if named else name_of(model)
        if named:
            check_model(name, hub)
        perceiver, judge = open_roles(perceiver, judge, model=name)
        pipeline = load(model, **loading, hub=hub)
        added: dict[str, Any] = {what: loading.get(what) or () for what in ("lora", "textual_inversion")}
        weights = provenance(pipeline, model, **added, hub=hub)
        errs = getattr(judge, "confusions", ())
        return cls(pipeline, name=name, perceiver=perceiver, judge=judge, weights=weights, confusions=errs)

    def __call__(
        self,
        prompt: str,
        *,
        strengths: Strengths | None = None,
        ledger: Ledger | None = None,
        compare_plain: bool = False,
        on_step: OnStep | None = None,
        **fields: Unpack[RequestFields],
    ) -> Result:
        """Generate images of one prompt as an instruction or a policy says.

        Args:
            prompt: what to draw.
            strengths: what steering took in earlier requests; it is used and added to.
            ledger: keeps the proportions across requests; without one they hold within this request.
            compare_plain: also draw the plain twins: the same seeds without steering.
            on_step: called after each step of each batch. Raising `KeyboardInterrupt` there, as from the keyboard,
                ends the run with the images that are finished.
            fields: of `Request`, which tells what each is: n, seed, instruct, policy, method, control, steps,
                guidance, negative_prompt, guidance_rescale, repair_budget, batch_size, file, loss.

        Raises:
            ValueError: a wrong argument; `PolicyError`: a wrong instruction. Both before anything is drawn.
        """
        check_fields(fields, RequestFields.__annotations__)
        asked = Request(prompt=prompt, **fields)
        return self.many([asked], strengths=strengths, ledger=ledger, compare_plain=compare_plain, on_step=on_step)[0]

    def many(
        self,
        requests: Sequence[Request],
        *,
        strengths: Strengths | None = None,
        ledger: Ledger | None = None,
        compare_plain: bool = False,
        on_step: OnStep | None = None,
    ) -> list[Result]:
        """Generate for many requests at once; batches are filled across them.

        Args:
            requests: what to draw. Each image is the same as if its request were alone, but for rounding.
            strengths: as in a call; requests then learn from each other.
            ledger: as in a call; each request takes its own turn.
            compare_plain: as in a call.
            on_step: as in a call; `control.loop.draw` tells how images are counted.

        Returns:
            One result per request, in their order.
        """
        with ExitStack() as stack:
            planned = [self.plan(request, strengths) for request in requests]
            turns: dict[int, Any] = {}
            if ledger is not None:
                from fair_diffusion.allocation.ledger_request import Turns

                for k, each in enumerate(planned):
                    if each.quotas:
                        turn = Turns(ledger, each.matched, n=each.request.n, model=self.name)
                        turns[k] = stack.enter_context(turn)
                        planned[k] = replace(each, quotas=turn.quotas)

            def renewing(info: StepInfo) -> None:
                for turn in turns.values():
                    turn.renew()
                if on_step is not None:
                    on_step(info)

            results = self._with_twins(planned, compare_plain, renewing if turns else on_step)
            for k, result in enumerate(results):
                if k in turns:
                    turns[k].settle(result.records)
                    results[k] = turns[k].judged(result)
                elif ledger is not None:
                    nothing = "no image is assigned a group, so the ledger counts nothing"
                    results[k] = replace(result, notes=[*result.notes, nothing])
            return results

    def each(self, requests: Iterable[Request], *, on_step: OnStep | None = None) -> Iterator[tuple[int, Result]]:
        """Generate for requests as they come; batches are filled across them.

        Yields:
            The number of a request and its result, as soon as it is finished: not always in their order. After an
            interrupt those that were begun, with the images that are finished.
        """
        return self.run((self.plan(request) for request in requests), on_step)

    def plan(self, request: Request, strengths: Strengths | None = None) -> Planned:
        """The request with the rule that fires and its quotas. `ValueError` naming what cannot be read or used."""
        policy = Policy.from_sentence(request.instruct) if request.instruct is not None else request.policy
        matched = match(policy or Policy(), request.prompt)
        self.check(matched)
        if request.file is not None:
            check_file(request.row, request.file)
        quotas = plan(matched.targets, request.n, request.seed) if matched.rule and request.assigns else []
        return Planned(request=request, matched=matched, quotas=quotas, strengths=strengths)

    def check(self, matched: Match) -> None:
        """`ValueError` naming the attribute or group if one that `matched` asks for cannot be read."""
        for role, reader in (("judge", self.judge), ("perceiver", self.perceiver)):
            check_reads(reader, matched.targets, f"the {role} of {self.name!r}")

    def run(self, planned: Iterable[Planned], on_step: OnStep | None = None) -> Iterator[tuple[int, Result]]:
        """Draw planned requests, let the judge count, and describe what came out; as in `each`."""
        texts: Texts = defaultdict(dict)
        begun: dict[Order, tuple[int, Planned]] = {}

        def orders() -> Iterator[Order]:
            for k, each in enumerate(planned):
                order = self._order(each, texts)
                begun[order] = k, each
                yield order

        for finished in draw(orders(), on_step):
            start = time.monotonic()
            images = [shown.image for order in finished for shown in order.finished]
            judged, perceived = self.judge.read(images), self.perceiver.read(images)
            reading, first = time.monotonic() - start, 0
            for order in finished:
                part = slice(first, first + len(order.shown))
                first = part.stop
                order.seconds += reading * len(order.shown) / max(1, len(images))
                read = [{name: rows[part] for name, rows in readings.items()} for readings in (judged, perceived)]
                k, each = begun.pop(order)
                yield k, self._result(order, each, *read)

    def provenance(self, matched: Match, file: Path | None = None) -> dict[str, Any]:
        """What made a result, and how its judge errs: the fields `made_with` and `confusions` of a `Result`."""
        return {
            "made_with": made_with(self.weights, self.card.name, matched, file)
            | {"dtype": str(self.backbone.dtype).removeprefix("torch.")},
            "confusions": [confusion for confusion in self.confusions if confusion.attribute in ATTRIBUTES],
        }

    def _with_twins(self, planned: Sequence[Planned], compare_plain: bool, on_step: OnStep | None) -> list[Result]:
        """The results and, if asked for and nothing interrupted them, their plain twins."""
        results = self._all(planned, on_step)
        if not compare_plain or any(result.stopped for result in results):
            return results
        unsteered = [
            Planned(request=each.request.plain, matched=replace(each.matched, rule=None, said="")) for each in planned
        ]
        for k, plain in enumerate(self._all(unsteered, on_step)):
            if plain.stopped:
                notes = [*results[k].notes, f"the plain twins were {plain.notes[-1]}"]
                results[k] = replace(results[k], notes=notes, stopped=not plain.images)
            if plain.images:
                results[k] = replace(results[k], plain=plain, twins=twins_of(results[k], plain, self.judge))
        return results

    def _all(self, planned: Sequence[Planned], on_step: OnStep | None) -> list[Result]:
        """A result for each, also for those that an interrupt left untouched."""
        found = dict(self.run(planned, on_step))
        for k, each in enumerate(planned):
            if k not in found:
                order = self._order(each, defaultdict(dict))
                order.interrupted, order.notes = True, [f"interrupted after 0 of {order.n} images"]
                found[k] = self._result(order, each, self.judge.read([]), self.perceiver.read([]))
        return [found[k] for k in range(len(planned))]

    def _order(self, planned: Planned, texts: Texts) -> Order:
        """An order for the loop."""
        asked, matched = planned.request, planned.matched
        # Without a rule that asks for it, the plain twins among it, images are drawn with the weights as they are.
        edit = asked.file if asked.row.name == "edit" and matched.rule else None
        brief = Brief(self.backbone, asked, matched.start, self.card, matched.targets, self.projections, texts[edit])
        return Order(
            brief=brief,
            quotas=planned.quotas,
            readers=self._readers,
            strengths=Strengths() if planned.strengths is None else planned.strengths,
            key=(
                self.name,
                asked.row.name,
                matched.concept or "",
                f"guidance {brief.guidance:g}",
                f"{brief.steps} steps",
                *(["negative prompt"] if asked.negative_prompt else []),
                *([f"rescale {asked.guidance_rescale:g}"] if asked.guidance_rescale else []),
            ),
            edit=edit,
        )

    @property
    def _readers(self) -> Readers:
        return Readers(self.perceiver, self.early)

    def _result(self, order: Order, planned: Planned, judged: Readings, perceived: Readings) -> Result:
        """What came of an order, described."""
        asked, matched, brief = planned.request, planned.matched, order.brief
        rule, targets = matched.rule.name if matched.rule else None, matched.targets
        same = asked_fields(brief, model=self.name, rule=rule)
        records = [
            Record(
                **{key: value for key, value in vars(shown).items() if key != "image"},
                **same,
                **read_fields(judged, perceived, i),
                index=i,
                used_prompt=prompt_of(brief, shown.steered_to),
                control=order.control,
                plain_evaluations=order.plain_evaluations,
            )
            for i, shown in enumerate(order.finished)
        ]
        told = dict.fromkeys([*(record.used_prompt for record in records), asked.negative_prompt or ""])
        provenance = self.provenance(matched, file=asked.file)
        if asked.row.losses and targets:
            provenance["made_with"]["fairness loss"] = asked.fairness_loss
        return Result(
            prompt=asked.prompt,
            model=self.name,
            method=asked.row.name,
            control=order.control,
            seed=asked.seed,
            rule=rule,
            reason=matched.reason,
            images=[shown.image for shown in order.finished],
            records=records,
            audit=audited(judged, targets, planned.quotas, self.attributes) if records else [],
            perceived_audit=audited(perceived, targets, planned.quotas, self.attributes) if records else [],
            seconds=order.seconds,
            requested=asked.n,
            stopped=order.interrupted,
            notes=[target.note for target in targets if target.note] + self._truncated(told) + order.notes,
            learnt=brief.learnt,
            occupations=occupations(self.judge),
            **provenance,
        )

    def _truncated(self, prompts: Iterable[str]) -> list[str]:
        """A note for each prompt whose end the text encoder does not read, or one if it reads no text."""
        if not self.backbone.reads_text:
            return ["the model draws without text: what the prompt says changes no image"]
        ends = {text: self.backbone.truncated_text(text) for text in prompts}
        return [f"the model reads {text!r} without its end: {end!r}" for text, end in ends.items() if end]


def _pocket(hub: Any, loading: LoadingOptions) -> dict[str, Any]:
    """The arguments of `FairPipeline` for the pocket model, which brings its readers."""
    from fair_diffusion.models import pocket
    from fair_diffusion.models.cards import card_named
    from fair_diffusion.models.loading import added, load
    from fair_diffusion.models.provenance import sha256
    from fair_diffusion.perception import early, judge
    from fair_diffusion.perception import pocket as perceiver

    pipeline = load(pocket.load(), **loading, hub=hub)
    more: dict[str, Any] = {what: loading.get(what) or () for what in ("lora", "textual_inversion")}
    scores = judge.load()
    return {
        "pipeline": pipeline,
        "name": "pocket",
        "perceiver": perceiver.load(),
        "judge": scores,
        "early": early.load(),
        "card": card_named("pocket"),
        "weights": ", ".join([f"sha256 {sha256(pocket.UNET)}", *added(**more, hub=hub)]),
        "confusions": scores.confusions,
    }
