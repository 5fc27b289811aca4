"""FairPipeline: instruction in, images with measured proportions out. The flow, top to bottom:

prompt, n, seed, instruction → match → quotas → control (denoise, look, assign, steer, repair) → judge → records, audit
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from fair_diffusion.allocation import assign_randomly, plan
from fair_diffusion.audit.table import AuditRow, audit_rows, joint_groups, joint_labels
from fair_diffusion.backbones import Batch, Guide, OnStep, adapt
from fair_diffusion.control.descent import Differentiable, draw_distribution, draw_latents
from fair_diffusion.control.natural_first import Aim, Drawn, NaturalFirst, Shares, draw_all
from fair_diffusion.control.rejection import draw_rejecting
from fair_diffusion.control.strengths import Strengths
from fair_diffusion.models.cards import Card, card_named, card_of
from fair_diffusion.models.edits import edited
from fair_diffusion.models.provenance import made_with, sha256
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.perceiver import Perceiver, Reading, occupations
from fair_diffusion.perception.probabilities import features, probabilities
from fair_diffusion.perception.roles import Named, open_roles
from fair_diffusion.perception.vocabulary import check_reads, known_groups, known_labels, shares
from fair_diffusion.policy import ATTRIBUTES, Match, Policy, Target, match
from fair_diffusion.request import Request
from fair_diffusion.result import Record, Result, Twins
from fair_diffusion.statistics.distance import cosine_distances, pixel_differences
from fair_diffusion.steering.guides import Guides, Projection, aims

if TYPE_CHECKING:
    from fair_diffusion.allocation.ledger import Ledger
    from fair_diffusion.perception.early import EarlyReader


class FairPipeline:
    """A text-to-image model with a perceiver, which steering may ask, and a judge, which alone scores.

    `pipeline` is a loaded diffusers pipeline of a class that `backbones.FAMILIES` lists; `name` goes into records;
    `card` says what is usual for it, by its class and configuration if None. `early` reads predicted clean latents;
    without one they are decoded and the perceiver reads the pictures. Where steering follows a perceiver's gradient, it
    is the second reader that has to be convinced. `weights`, the hash of the model's, and
    `confusions`, how the judge errs, go into results.
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
        cls, model: Any, *, perceiver: Named | None = None, judge: Named | None = None, **loading: Any
    ) -> FairPipeline:
        """The embedded model, "pocket", or any that `loading.load` takes, with its keyword arguments.

        perceiver, judge: who steers and who scores, as words of `perception.open_perceiver` or objects; to be named for
        every model but the pocket, which brings its own. `ValueError` in one line for what cannot be had."""
        from fair_diffusion.models import pocket
        from fair_diffusion.models.hub import Hub
        from fair_diffusion.models.loading import added, load, name_of, provenance
        from fair_diffusion.models.weights import check_model

        hub = Hub()
        extra: dict[str, Any] = {what: loading.get(what) or () for what in ("lora", "textual_inversion")}
        if model == "pocket":
            if perceiver is not None or judge is not None:
                raise ValueError("the model 'pocket' brings its perceiver and its judge; name none")
            own, pipeline = _of_pocket(), load(pocket.load(), **loading, hub=hub)
            weights = ", ".join([own["weights"], *added(**extra, hub=hub)])
            return cls(pipeline, name=model, **own | {"weights": weights})
        named = isinstance(model, (str, Path))
        name = str(model) if named else name_of(model)
        if named:
            check_model(name, hub)
        perceiver, judge = open_roles(perceiver, judge, model=name)
        pipeline = load(model, **loading, hub=hub)
        facts: dict[str, Any] = {
            "weights": provenance(pipeline, model, **extra, hub=hub),
            "confusions": getattr(judge, "confusions", ()),
        }
        return cls(pipeline, name=name, perceiver=perceiver, judge=judge, **facts)

    def __call__(
        self,
        prompt: str,
        *,
        instruct: str | None = None,
        policy: Policy | None = None,
        strengths: Strengths | None = None,
        ledger: Ledger | None = None,
        compare_plain: bool = False,
        on_step: OnStep | None = None,
        **request: Any,
    ) -> Result:
        """Generate images of `prompt` as `instruct` or `policy` says.

        Args:
            prompt: what to draw.
            instruct: a sentence such as "firefighter: 50% woman, 50% man".
            policy: the same as rules; not both.
            strengths: learnt from earlier requests; they are used and added to.
            ledger: keeps the proportions across requests; without one they hold within each.
            compare_plain: also draw the unsteered twins, same seeds.
            on_step: called after each step of each batch. Raising `KeyboardInterrupt` there, as from the keyboard,
                ends the run with the images that are finished.
            request: fields of `Request`: n, seed (image i is drawn from seed + i), method, control, steps and
                guidance (the card's if None), negative_prompt, guidance_rescale, repair_budget, batch_size, file,
                loss.
                method: "switch": the group's word enters the prompt mid-way; "semantic": semantic guidance; "prompt":
                the word is there from the start; "bottleneck": the group's vector, from `file`, is
                added in the middle of the network; "rejection": plain images are drawn until the quotas are full;
                "latents": the starting noise descends on the fairness loss, in the variant `loss` ("assigned", or
                "mean" and "confident", which assign no group). And
                those that assign no group: "hint": the prompt asks for all groups; "embedding": what tells the groups
                apart is taken out of the text; "edit": the weights are those of `file`; "distribution": denoising
                follows the gradient of the fairness loss, in the middle of the network if `file` holds heads for it;
                "none".
                control: "natural-first": steer mid-way those images that would not fit by themselves, and repair
                misses ("switch" and "semantic"); "all": steer every image, as published, and repair none.

        Raises:
            ValueError: a wrong argument; `PolicyError`: a wrong instruction. Both before anything runs.
        """
        asked = Request(prompt=prompt, **self.with_usual(request))
        if instruct is not None and policy is not None:
            raise ValueError("both an instruction and a policy are given; give one")
        policy = Policy.from_sentence(instruct) if instruct is not None else policy or Policy()
        matched = match(policy, prompt)
        self.check(matched)
        after: dict[str, Any] = {"strengths": strengths, "compare_plain": compare_plain, "on_step": on_step}
        if matched.rule is None or not asked.assigns:
            result = self._with_twins(asked, matched, [], **after)
            nothing = ["no image is assigned a group, so the ledger counts nothing"] if ledger else []
            return replace(result, notes=[*result.notes, *nothing])
        if ledger is None:
            return self._with_twins(asked, matched, plan(matched.targets, asked.n, asked.seed), **after)
        from fair_diffusion.allocation.ledger_request import Turns

        with Turns(ledger, matched, n=asked.n, model=self.name) as turns:
            result = self._with_twins(asked, matched, turns.quotas, **after | {"on_step": turns.on_step(on_step)})
            turns.settle(result.records)
        return turns.judged(result)

    def with_usual(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a request that are given, and the card's steps and guidance where they are not."""
        given = {field: value for field, value in request.items() if value is not None}
        return {"steps": self.card.steps, "guidance": self.card.guidance} | given

    def _with_twins(
        self,
        asked: Request,
        matched: Match,
        planned: Sequence[Sequence[int]],
        *,
        strengths: Strengths | None,
        compare_plain: bool,
        on_step: OnStep | None,
    ) -> Result:
        """The images and, if asked for and nothing interrupted them, their unsteered twins."""
        result = self.draw(asked, matched, planned, strengths, on_step)
        if not compare_plain or result.stopped:
            return result
        plain = self.draw(asked.plain, replace(matched, rule=None, said=""), [], None, on_step)
        if plain.stopped:
            result = replace(result, notes=[*result.notes, f"the plain twins were {plain.notes[-1]}"])
            if not plain.images:
                return replace(result, stopped=True)
        return replace(result, plain=plain, twins=self._twins(result, plain))

    def check(self, matched: Match) -> None:
        """`ValueError` naming the attribute or group if one that `matched` asks for cannot be read."""
        for role, reader in (("judge", self.judge), ("perceiver", self.perceiver)):
            check_reads(reader, matched.targets, f"the {role} of {self.name!r}")

    def draw(
        self,
        asked: Request,
        matched: Match,
        planned: Sequence[Sequence[int]],
        strengths: Strengths | None = None,
        on_step: OnStep | None = None,
    ) -> Result:
        """Generate with these quotas under the control that was asked for, and let the judge count.

        planned: for each target of `matched` one count per cell, in the order of its shares; empty: all plain."""
        start, targets = time.monotonic(), matched.targets
        guidance = self.card.guidance if asked.guidance is None else asked.guidance
        guides = Guides(self.backbone, asked, guidance, matched.start, self.card, targets, self.projections)
        rule = matched.rule.name if matched.rule else None
        drawn = self._drawn(guides, matched, planned, strengths, on_step)
        images = [shown.image for shown in drawn.shown]
        judged, perceived = self.judge.read(images), self.perceiver.read(images)
        records = [
            Record(
                **{key: value for key, value in vars(shown).items() if key != "image"},
                index=i,
                prompt=asked.prompt,
                used_prompt=guides.used_prompt(shown.steered_to),
                model=self.name,
                method=asked.method,
                control=drawn.control,
                rule=rule,
                steps=asked.steps,
                guidance=guidance,
                negative_prompt=asked.negative_prompt,
                guidance_rescale=asked.guidance_rescale,
                judged={name: readings[i].label for name, readings in judged.items()},
                perceived={name: readings[i].label for name, readings in perceived.items()},
                confidence={name: round(readings[i].confidence, 4) for name, readings in judged.items()},
                plain_evaluations=drawn.plain_evaluations,
            )
            for i, shown in enumerate(drawn.shown)
        ]
        told = dict.fromkeys([*(record.used_prompt for record in records), asked.negative_prompt or ""])
        notes = [target.note for target in targets if target.note] + self._cut(told)
        provenance = self.provenance(matched, file=asked.file)
        if asked.method == "latents" and targets:
            provenance["made_with"]["fairness loss"] = asked.loss
        return Result(
            prompt=asked.prompt,
            model=self.name,
            method=asked.method,
            control=drawn.control,
            seed=asked.seed,
            rule=rule,
            reason=matched.reason,
            images=images,
            records=records,
            audit=audited(judged, targets, planned, self.attributes) if images else [],
            perceived_audit=audited(perceived, targets, planned, self.attributes) if images else [],
            seconds=time.monotonic() - start,
            requested=asked.n,
            stopped=drawn.interrupted,
            notes=notes + drawn.notes,
            learnt=guides.learnt,
            occupations=occupations(self.judge),
            **provenance,
        )

    def provenance(self, matched: Match, file: Path | None = None) -> dict[str, Any]:
        """What made a result, and how its judge errs: the fields `made_with` and `confusions` of a `Result`."""
        return {
            "made_with": made_with(self.weights, self.card.name, matched, file)
            | {"dtype": str(self.backbone.dtype).removeprefix("torch.")},
            "confusions": [confusion for confusion in self.confusions if confusion.attribute in ATTRIBUTES],
        }

    def _drawn(
        self,
        guides: Guides,
        matched: Match,
        planned: Sequence[Sequence[int]],
        strengths: Strengths | None,
        on_step: OnStep | None,
    ) -> Drawn:
        """The images of a request, by its method and under its control."""
        asked, targets = guides.request, matched.targets

        def plain(n: int) -> Guide:
            return guides.guide([Aim()] * n)

        if asked.method == "rejection" and planned:
            return draw_rejecting(self.backbone, asked, targets, planned, plain, self._perceive, on_step)
        if asked.method in ("latents", "distribution") and targets:
            return self._by_gradient(asked, targets, planned, plain, on_step)
        if asked.natural_first and planned:
            return self._natural_first(
                guides, matched, planned, Strengths() if strengths is None else strengths, on_step
            )
        dealt = assign_randomly(targets, planned, asked.seed) if planned else []
        # What no rule asks for, the unsteered twins among it, is drawn with the weights as they are.
        edit = asked.file if asked.method == "edit" and matched.rule else None
        with edited(self.backbone.pipeline, edit) if edit else nullcontext():
            return draw_all(self.backbone, asked, aims(targets, dealt, asked), guides.guide, on_step)

    def _natural_first(
        self,
        guides: Guides,
        matched: Match,
        planned: Sequence[Sequence[int]],
        strengths: Strengths,
        on_step: OnStep | None,
    ) -> Drawn:
        """Generate under natural-first control; what strength took is kept by all that may change it."""
        asked = guides.request
        return NaturalFirst(
            backbone=self.backbone,
            request=asked,
            targets=matched.targets,
            quotas=planned,
            guide=guides.guide,
            look=self._look,
            perceive=self._perceive,
            start=self.card.start,
            concept=(
                self.name,
                asked.method,
                matched.concept or "",
                f"guidance {guides.guidance:g}",
                f"{asked.steps} steps",
                *(["negative prompt"] if asked.negative_prompt else []),
                *([f"rescale {asked.guidance_rescale:g}"] if asked.guidance_rescale else []),
            ),
            strengths=strengths,
            on_step=on_step,
        ).run()

    def _by_gradient(
        self,
        asked: Request,
        targets: Sequence[Target],
        planned: Sequence[Sequence[int]],
        plain: Callable[[int], Guide],
        on_step: OnStep | None,
    ) -> Drawn:
        """Generate by the perceiver's gradient, before or during denoising."""
        perceiver = self.perceiver
        if not isinstance(perceiver, Differentiable):
            raise ValueError(
                f"method {asked.method!r} needs a perceiver through which gradients flow, which that of {self.name!r} "
                "is not; name pocket, clip:MODEL, classifier:MODEL or trained:FOLDER, or use another method"
            )
        if asked.method == "latents":
            return draw_latents(self.backbone, asked, targets, planned, plain, perceiver, on_step, early=self.early)
        return draw_distribution(self.backbone, asked, targets, plain, perceiver, on_step, early=self.early)

    def _look(self, batch: Batch) -> Shares:
        """What the images of a batch would become, from the clean latents predicted at its last step."""
        clean = batch.clean()
        if self.early is not None:
            return shares(self.early, self.early.early(clean, float(batch.times[batch.step - 1])))
        return shares(self.perceiver, probabilities(self.perceiver, self.backbone.images(clean)))

    def _perceive(self, images: Sequence[Image.Image]) -> Shares:
        """What finished pictures show, as steering may ask."""
        return shares(self.perceiver, probabilities(self.perceiver, images))

    @torch.no_grad()
    def _twins(self, result: Result, plain: Result) -> Twins:
        """How far images are from the unsteered twins of their seeds; a new seed has none."""
        place = {twin.seed: i for i, twin in enumerate(plain.records)}
        pairs = [(i, place[record.seed]) for i, record in enumerate(result.records) if record.seed in place]
        if not pairs:
            return Twins(untouched=0, untouched_difference=0.0, steered=0, pixel_distance=0.0, feature_distance=0.0)
        images, twins = [result.images[i] for i, _ in pairs], [plain.images[i] for _, i in pairs]
        steered = np.array([result.records[i].steered for i, _ in pairs], dtype=bool)
        pixels = pixel_differences(images, twins)
        ours, theirs = (features(self.judge, part) for part in (images, twins))
        away = None if ours is None or theirs is None else cosine_distances(ours, theirs)[steered]
        return Twins(
            untouched=int((~steered).sum()),
            untouched_difference=float(pixels[~steered, 1].max(initial=0.0)),
            steered=int(steered.sum()),
            pixel_distance=float(pixels[steered, 0].mean()) if steered.any() else 0.0,
            feature_distance=None if away is None else float(away.mean()) if steered.any() else 0.0,
        )

    def _cut(self, prompts: Iterable[str]) -> list[str]:
        """A note for each prompt whose end the text encoder does not see, or one if it sees none."""
        if not self.backbone.reads_text:
            return ["the model draws without text: what the prompt says changes no image"]
        cut = {text: self.backbone.truncated_text(text) for text in prompts}
        return [f"the model reads {text!r} without its end: {end!r}" for text, end in cut.items() if end]


def _of_pocket() -> dict[str, Any]:
    """What the pocket model brings beside its networks."""
    from fair_diffusion.models.pocket import UNET
    from fair_diffusion.perception import early, judge
    from fair_diffusion.perception import pocket as perceiver

    readers: dict[str, Any] = {"perceiver": perceiver.load(), "judge": judge.load(), "early": early.load()}
    return readers | {
        "confusions": judge.load().confusions,
        "card": card_named("pocket"),
        "weights": f"sha256 {sha256(UNET)}",
    }


def audited(
    readings: dict[str, list[Reading]],
    targets: Sequence[Target],
    planned: Sequence[Sequence[int]],
    attributes: Sequence[str],
) -> list[AuditRow]:
    """Rows for every target; without any, the shares of all `attributes`. A group that is none of ours is unknown."""
    labels = {name: known_labels([reading.label for reading in readings[name]], name) for name in attributes}
    if not targets:
        return [
            row
            for name in attributes
            for row in audit_rows(labels[name], attribute=name, groups=ATTRIBUTES[name].group_names)
        ]
    rows: list[AuditRow] = []
    for k, target in enumerate(targets):
        rows += audit_rows(
            joint_labels(*(labels[name] for name in target.attributes)),
            attribute=" × ".join(target.attributes),
            groups=joint_groups(*(ATTRIBUTES[name].group_names for name in target.attributes)),
            target=[float(share) for share in target.shares.values()],
            quota=planned[k] if planned else None,
        )
    return rows
