"""FairPipeline: instruction in, images with measured proportions out. The flow, top to bottom:

prompt, n, seed, instruction → match → quotas → control (denoise, look, assign, steer, repair) → judge → records, audit
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from fair_diffusion.allocation import deal, plan
from fair_diffusion.audit import Row, audit_rows, cosine_distances, joint_groups, joint_labels, pixel_differences
from fair_diffusion.audit.study import Confusion
from fair_diffusion.backbones import Batch, Guide, OnStep, adapt
from fair_diffusion.control import Aim, Drawn, NaturalFirst, Shares, draw_all
from fair_diffusion.gradient_control import draw_distribution, draw_latents
from fair_diffusion.guides import Guides, aims
from fair_diffusion.made_with import made_with, sha256
from fair_diffusion.perception.reader import Reader, Reading
from fair_diffusion.policy import ATTRIBUTES, Match, Policy, Target, match
from fair_diffusion.request import Request
from fair_diffusion.result import Record, Result, Twins
from fair_diffusion.strengths import Strengths

if TYPE_CHECKING:
    from fair_diffusion.allocation.ledger import Ledger
    from fair_diffusion.perception.early import EarlyReader
    from fair_diffusion.steering.bottleneck_heads import BottleneckHeads


class FairPipeline:
    """A text-to-image model with a perceiver, which steering may ask, and a judge, which alone scores.

    `pipeline` is a loaded diffusers pipeline of a class that `backbones.FAMILIES` lists; `name` goes into records;
    `guidance` is the usual scale. `early` reads predicted clean latents; without one they are decoded and the perceiver
    reads the pictures; `heads` let distribution guidance read the middle of the network instead. `weights`, the hash of
    the model's, and `confusions`, how the judge errs, go into results.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        name: str,
        perceiver: Reader,
        judge: Reader,
        early: EarlyReader | None = None,
        heads: BottleneckHeads | None = None,
        guidance: float = 7.5,
        weights: str = "",
        confusions: Sequence[Confusion] = (),
    ) -> None:
        self.backbone = adapt(pipeline)
        self.name, self.perceiver, self.judge, self.early, self.guidance = name, perceiver, judge, early, guidance
        self.heads = heads
        self.weights, self.confusions = weights, confusions

    @classmethod
    def from_pretrained(cls, model: str) -> FairPipeline:
        """The embedded model, "pocket". `ValueError` for any other name."""
        if model != "pocket":
            raise ValueError(f"unknown model {model!r}; use 'pocket', or FairPipeline(pipeline, ...) with a loaded one")
        from fair_diffusion.perception import early, judge, pocket
        from fair_diffusion.pocket import GUIDANCE, UNET, load

        readers: dict[str, Any] = {"perceiver": pocket.load(), "judge": judge.load(), "early": early.load()}
        readers["confusions"] = [Confusion(**found) for found in judge.confusions()]
        return cls(load(), name=model, guidance=GUIDANCE, weights=f"sha256 {sha256(UNET)}", **readers)

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
            request: fields of `Request`: n, seed (image i is drawn from seed + i), method ("switch": the group's word
                enters the prompt mid-way; "semantic": semantic guidance; "prompt": the word is there from the start;
                "latents": the starting noise follows the perceiver's gradient; "distribution": denoising does; "none"),
                control ("natural-first": steer mid-way those images that would not fit by themselves, and
                repair misses; "all": steer every image, as published, and repair none), steps, guidance,
                repair_budget, batch_size.

        Raises:
            ValueError: a wrong argument; `PolicyError`: a wrong instruction. Both before anything runs.
        """
        asked = Request(prompt=prompt, **request)
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
        from fair_diffusion.turns import Turns

        with Turns(ledger, matched, n=asked.n, model=self.name) as turns:
            result = self._with_twins(asked, matched, turns.quotas, **after | {"on_step": turns.on_step(on_step)})
            turns.settle(result.records)
        return turns.judged(result)

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
        plain = self.draw(replace(asked, method="none"), replace(matched, rule=None), [], None, on_step)
        if plain.stopped:
            result = replace(result, notes=[*result.notes, f"the plain twins were {plain.notes[-1]}"])
            if not plain.images:
                return replace(result, stopped=True)
        return replace(result, plain=plain, twins=self._twins(result, plain))

    def check(self, matched: Match) -> None:
        """`ValueError` naming the attribute if one that `matched` asks for cannot be read."""
        for name in (name for target in matched.targets for name in target.attributes):
            for role, reader in (("judge", self.judge), ("perceiver", self.perceiver)):
                if name not in reader.groups:
                    known = ", ".join(a for a in reader.groups if a in ATTRIBUTES)
                    raise ValueError(f"the {role} of {self.name!r} cannot read {name!r}; it reads {known}")

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
        guidance = self.guidance if asked.guidance is None else asked.guidance
        guides = Guides(self.backbone, asked, guidance, matched.start)
        rule = matched.rule.name if matched.rule else None
        if asked.natural_first and planned:
            control = NaturalFirst(
                backbone=self.backbone,
                request=asked,
                targets=targets,
                quotas=planned,
                guide=guides.guide,
                look=self._look,
                perceive=lambda images: shares(self.perceiver, self.perceiver.every_probability(images)),
                concept=(
                    self.name,
                    asked.method,
                    matched.concept or "",
                    f"guidance {guidance:g}",
                    f"{asked.steps} steps",
                ),
                strengths=Strengths() if strengths is None else strengths,
                on_step=on_step,
            )
            drawn = control.run()
        elif asked.method in ("latents", "distribution") and targets:
            drawn = self._by_gradient(asked, targets, planned, lambda n: guides.guide([Aim()] * n), on_step)
        else:
            dealt = deal(targets, planned, asked.seed) if planned else []
            drawn = draw_all(self.backbone, asked, aims(targets, dealt, asked.n), guides.guide, on_step)
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
                judged={name: readings[i].label for name, readings in judged.items()},
                perceived={name: readings[i].label for name, readings in perceived.items()},
                confidence={name: round(readings[i].confidence, 4) for name, readings in judged.items()},
                plain_evaluations=drawn.plain_evaluations,
            )
            for i, shown in enumerate(drawn.shown)
        ]
        notes = [target.note for target in targets if target.note] + self._cut({r.used_prompt: None for r in records})
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
            audit=_audit(judged, targets, planned) if images else [],
            perceived_audit=_audit(perceived, targets, planned) if images else [],
            seconds=time.monotonic() - start,
            requested=asked.n,
            stopped=drawn.interrupted,
            notes=notes + drawn.notes,
            made_with=made_with(self.weights, matched),
            confusions=[confusion for confusion in self.confusions if confusion.attribute in ATTRIBUTES],
        )

    def _by_gradient(
        self,
        asked: Request,
        targets: Sequence[Target],
        planned: Sequence[Sequence[int]],
        plain: Callable[[int], Guide],
        on_step: OnStep | None,
    ) -> Drawn:
        """Generate by the perceiver's gradient, before or during denoising."""
        if asked.method == "latents":
            return draw_latents(self.backbone, asked, targets, planned, plain, self.perceiver, on_step)
        readers: dict[str, Any] = {"early": self.early, "heads": self.heads}
        return draw_distribution(self.backbone, asked, targets, plain, self.perceiver, on_step, **readers)

    def _look(self, batch: Batch) -> Shares:
        """What the images of a batch would become, from the clean latents predicted at its last step."""
        clean = batch.clean()
        if self.early is not None:
            return shares(self.early, self.early.early(clean, float(batch.times[batch.step - 1])))
        return shares(self.perceiver, self.perceiver.every_probability(self.backbone.images(clean)))

    @torch.no_grad()
    def _twins(self, result: Result, plain: Result) -> Twins:
        """How far images are from the unsteered twins of their seeds."""
        pairs = [i for i in range(len(plain.images)) if not result.records[i].reseeds]
        if not pairs:
            return Twins(untouched=0, untouched_difference=0.0, steered=0, pixel_distance=0.0, feature_distance=0.0)
        images, twins = ([part.images[i] for i in pairs] for part in (result, plain))
        steered = np.array([result.records[i].steered for i in pairs], dtype=bool)
        pixels = pixel_differences(images, twins)
        ours, theirs = (self.judge.features(self.judge.pixels(part)).cpu().numpy() for part in (images, twins))
        return Twins(
            untouched=int((~steered).sum()),
            untouched_difference=float(pixels[~steered, 1].max(initial=0.0)),
            steered=int(steered.sum()),
            pixel_distance=float(pixels[steered, 0].mean()) if steered.any() else 0.0,
            feature_distance=float(cosine_distances(ours, theirs)[steered].mean()) if steered.any() else 0.0,
        )

    def _cut(self, prompts: Iterable[str]) -> list[str]:
        """A note for each prompt whose end the text encoder does not see."""
        unseen = {text: self.backbone.unseen(text) for text in prompts}
        return [f"the model reads {text!r} without its end: {end!r}" for text, end in unseen.items() if end]


def shares(reader: Reader, probabilities: Mapping[str, Tensor]) -> Shares:
    """Probabilities (n, groups + unknown) of a reader by attribute, in the order of the attribute's groups."""
    found = {}
    for name, groups in reader.groups.items():
        if name in ATTRIBUTES:
            table = probabilities[name].double().cpu().numpy()
            missing = np.zeros(len(table))
            wanted = ATTRIBUTES[name].group_names
            found[name] = np.stack([table[:, groups.index(g)] if g in groups else missing for g in wanted], axis=1)
    return found


def _audit(
    readings: dict[str, list[Reading]], targets: Sequence[Target], planned: Sequence[Sequence[int]]
) -> list[Row]:
    """Rows for every target; without any, the shares of every attribute that was read."""
    labels = {name: [reading.label for reading in row] for name, row in readings.items()}
    if not targets:
        read = [name for name in labels if name in ATTRIBUTES]
        return [
            row
            for name in read
            for row in audit_rows(labels[name], attribute=name, groups=ATTRIBUTES[name].group_names)
        ]
    rows: list[Row] = []
    for k, target in enumerate(targets):
        rows += audit_rows(
            joint_labels(*(labels[name] for name in target.attributes)),
            attribute=" × ".join(target.attributes),
            groups=joint_groups(*(ATTRIBUTES[name].group_names for name in target.attributes)),
            target=[float(share) for share in target.shares.values()],
            quota=planned[k] if planned else None,
        )
    return rows
