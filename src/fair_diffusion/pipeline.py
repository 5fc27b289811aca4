"""FairPipeline: instruction in, images with measured proportions out. The flow, top to bottom:

prompt, n, seed, instruction → match → quotas and assignment → denoise with steering → read groups → records and audit
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image

from fair_diffusion.allocation import deal, plan
from fair_diffusion.audit import Row, audit_rows, joint_groups, joint_labels
from fair_diffusion.backbones import StableDiffusion, StepInfo, denoise
from fair_diffusion.perception.reader import Reader, Reading
from fair_diffusion.policy import ATTRIBUTES, Cell, Group, Match, Policy, Target, match
from fair_diffusion.request import check_request
from fair_diffusion.result import Record, Result
from fair_diffusion.steering import SemanticGuidance, Steering, with_group

Assignment = dict[str, str]
"""The group that one image should show, by attribute; empty if nothing was asked of it."""


class FairPipeline:
    """A text-to-image model with a perceiver, which steering may ask, and a judge, which alone scores.

    `pipeline` is a loaded `diffusers.StableDiffusionPipeline`; `name` goes into records; `guidance` is the usual scale.
    """

    def __init__(self, pipeline: Any, *, name: str, perceiver: Reader, judge: Reader, guidance: float = 7.5) -> None:
        self.backbone = StableDiffusion(pipeline)
        self.name, self.perceiver, self.judge, self.guidance = name, perceiver, judge, guidance

    @classmethod
    def from_pretrained(cls, model: str) -> FairPipeline:
        """The embedded model, "pocket". `ValueError` for any other name."""
        if model != "pocket":
            raise ValueError(f"unknown model {model!r}; use 'pocket', or FairPipeline(pipeline, ...) with a loaded one")
        from fair_diffusion.perception import judge, pocket
        from fair_diffusion.pocket import GUIDANCE, load

        return cls(load(), name=model, perceiver=pocket.load(), judge=judge.load(), guidance=GUIDANCE)

    def __call__(
        self,
        prompt: str,
        *,
        n: int = 1,
        seed: int = 0,
        instruct: str | None = None,
        policy: Policy | None = None,
        method: str = "semantic",
        steps: int = 25,
        guidance: float | None = None,
        batch_size: int = 8,
        compare_plain: bool = False,
        on_step: Callable[[StepInfo], None] | None = None,
    ) -> Result:
        """Generate `n` images of `prompt`, image i from seed + i, as `instruct` or `policy` says.

        `method`: "semantic" (semantic guidance), "prompt" (the group's word put into the prompt) or "none".
        `compare_plain` adds the unsteered twins, same seeds. Interrupted from the keyboard it returns the images that
        are finished.
        `ValueError` for a wrong argument, `PolicyError` for a wrong instruction, both before anything runs."""
        guidance = self.guidance if guidance is None else guidance
        check_request(prompt, n=n, method=method, steps=steps, guidance=guidance, seed=seed)
        if instruct is not None and policy is not None:
            raise ValueError("both an instruction and a policy are given; give one")
        policy = Policy.from_sentence(instruct) if instruct is not None else policy or Policy()
        matched = match(policy, prompt)
        self.check(matched)
        targets = matched.targets if method != "none" else ()
        planned = plan(targets, n, seed)
        assignments = _assignments(targets, deal(targets, planned, seed), n)

        shared: dict[str, Any] = {"seed": seed, "steps": steps, "guidance": guidance, "batch_size": batch_size}
        shared["on_step"] = on_step
        result = self._generate(prompt, matched, assignments, planned, method=method, **shared)
        if not compare_plain or not result.images:
            return result
        nobody: list[Assignment] = [{} for _ in result.images]
        twins = self._generate(prompt, replace(matched, rule=None), nobody, [], method="none", **shared)
        if twins.interrupted:
            result = replace(result, notes=[*result.notes, f"the plain twins were {twins.notes[-1]}"])
        return replace(result, plain=twins if twins.images else None)

    def check(self, matched: Match) -> None:
        """`ValueError` naming the attribute if one that `matched` asks for cannot be read."""
        for name in (name for target in matched.targets for name in target.attributes):
            for role, reader in (("judge", self.judge), ("perceiver", self.perceiver)):
                if name not in reader.groups:
                    known = ", ".join(a for a in reader.groups if a in ATTRIBUTES)
                    raise ValueError(f"the {role} of {self.name!r} cannot read {name!r}; it reads {known}")

    def _generate(
        self,
        prompt: str,
        matched: Match,
        assignments: Sequence[Assignment],
        planned: Sequence[Sequence[int]],
        *,
        method: str,
        seed: int,
        steps: int,
        guidance: float,
        batch_size: int,
        on_step: Callable[[StepInfo], None] | None,
    ) -> Result:
        start = time.monotonic()
        n = len(assignments)
        prompts = [_prompt_for(prompt, matched, a) if method == "prompt" else prompt for a in assignments]
        unique = list(dict.fromkeys(prompts))
        notes = [target.note for target in matched.targets if target.note] + self._cut(unique)
        images: list[Image.Image] = []
        evaluations: list[int] = []
        try:
            for batch in denoise(
                self.backbone,
                prompts_cond=self.backbone.encode(unique),
                rows=[unique.index(text) for text in prompts],
                empty_cond=self.backbone.encode([""]),
                seeds=range(seed, seed + n),
                steps=steps,
                guidance=guidance,
                steering=self._steering(matched.targets, assignments) if method == "semantic" else None,
                batch_size=batch_size,
                on_step=on_step,
            ):
                images += self.backbone.images(batch.latents)
                evaluations += batch.evaluations
        except KeyboardInterrupt:
            notes.append(f"interrupted after {len(images)} of {n} images")
        judged, perceived = self.judge.read(images), self.perceiver.read(images)
        rule = matched.rule.name if matched.rule else None
        plain_evaluations = len(self.backbone.timesteps(steps)) * (2 if guidance > 1 else 1)
        records = [
            Record(
                index=i,
                prompt=prompt,
                used_prompt=prompts[i],
                seed=seed + i,
                model=self.name,
                method=method,
                rule=rule,
                steps=steps,
                guidance=guidance,
                assigned=assignments[i],
                judged={name: readings[i].label for name, readings in judged.items()},
                perceived={name: readings[i].label for name, readings in perceived.items()},
                confidence={name: round(readings[i].confidence, 4) for name, readings in judged.items()},
                evaluations=evaluations[i],
                plain_evaluations=plain_evaluations,
            )
            for i in range(len(images))
        ]
        return Result(
            prompt=prompt,
            model=self.name,
            method=method,
            seed=seed,
            rule=rule,
            reason=matched.reason,
            images=images,
            records=records,
            audit=_audit(judged, matched.targets, planned) if images else [],
            perceived_audit=_audit(perceived, matched.targets, planned) if images else [],
            seconds=time.monotonic() - start,
            requested=n,
            notes=notes,
        )

    def _cut(self, prompts: Sequence[str]) -> list[str]:
        """A note for each prompt whose end the text encoder does not see."""
        unseen = {text: self.backbone.unseen(text) for text in prompts}
        return [f"the model reads {text!r} without its end: {end!r}" for text, end in unseen.items() if end]

    def _steering(self, targets: Sequence[Target], assignments: Sequence[Assignment]) -> Steering | None:
        """Semantic guidance towards each image's groups and away from the others that the targets ask for."""
        concepts = [
            (name, group) for target in targets for name in target.attributes for group in _steered(target, name)
        ]
        if not concepts:
            return None
        directions = [[_direction(a.get(name), group.name) for name, group in concepts] for a in assignments]
        return SemanticGuidance().steer(
            self.backbone.encode([group.phrases[0] for _, group in concepts]), torch.tensor(directions)
        )


def _assignments(targets: Sequence[Target], dealt: Sequence[Sequence[Cell]], n: int) -> list[Assignment]:
    assignments: list[Assignment] = [{} for _ in range(n)]
    for target, cells in zip(targets, dealt, strict=True):
        for assignment, cell in zip(assignments, cells, strict=True):
            assignment.update(zip(target.attributes, cell, strict=True))
    return assignments


def _steered(target: Target, name: str) -> list[Group]:
    """The groups of one attribute that steering needs: those asked for; if it is one only, the usual ones too."""
    k = target.attributes.index(name)
    asked = {cell[k] for cell, share in target.shares.items() if share}
    usual = {group for group, share in ATTRIBUTES[name].default_shares.items() if share} if len(asked) == 1 else set()
    return [group for group in ATTRIBUTES[name].groups if group.name in asked | usual]


def _direction(assigned: str | None, group: str) -> float:
    return 0.0 if assigned is None else 1.0 if assigned == group else -1.0


def _prompt_for(prompt: str, matched: Match, assignment: Assignment) -> str:
    """The prompt with the assigned groups' adjectives, skin tone before gender as English has it."""
    order = sorted(assignment, key=lambda name: name == "gender")
    return with_group(prompt, matched.start, [ATTRIBUTES[name].group(assignment[name]).adjective for name in order])


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
