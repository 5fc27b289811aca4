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

from fair_diffusion.allocation import assign, quotas
from fair_diffusion.audit import Row, audit_rows, joint_groups, joint_labels
from fair_diffusion.backbones import StableDiffusion, StepInfo, denoise
from fair_diffusion.perception.reader import Reader, Reading
from fair_diffusion.policy import ATTRIBUTES, Match, Policy, Target, match
from fair_diffusion.result import Record, Result
from fair_diffusion.steering import SemanticGuidance, Steering, with_group

METHODS = ("semantic", "prompt", "none")
MAX_PROMPT = 32_000
MAX_IMAGES = 100_000
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
        batch_size: int = 32,
        compare_plain: bool = False,
        on_step: Callable[[StepInfo], None] | None = None,
    ) -> Result:
        """Generate `n` images of `prompt`, image i from seed + i, as `instruct` or `policy` says.

        `method`: "semantic" (semantic guidance), "prompt" (the group's word put into the prompt) or "none".
        `compare_plain` adds the unsteered twins. Interrupted from the keyboard it returns the images that are finished.
        `ValueError` for a wrong argument, `PolicyError` for a wrong instruction, both before anything runs."""
        guidance = self.guidance if guidance is None else guidance
        check_request(prompt, n=n, method=method, steps=steps, guidance=guidance, seed=seed)
        if instruct is not None and policy is not None:
            raise ValueError("both an instruction and a policy are given; give one")
        policy = Policy.from_sentence(instruct) if instruct is not None else policy or Policy()
        matched = match(policy, prompt)
        targets = matched.targets if method != "none" else ()
        self._check_readable(targets)
        plan = [quotas(list(target.shares.values()), n, seed + k) for k, target in enumerate(targets)]
        assignments = _assignments(targets, plan, n, seed)

        shared: dict[str, Any] = {"n": n, "seed": seed, "steps": steps, "guidance": guidance, "batch_size": batch_size}
        result = self._generate(prompt, matched, assignments, plan, method=method, on_step=on_step, **shared)
        if not compare_plain or not result.images:
            return result
        shared["n"] = len(result.images)
        nobody: list[Assignment] = [{} for _ in result.images]
        twins = self._generate(prompt, matched, nobody, plan, method="none", on_step=on_step, **shared)
        return replace(result, plain=replace(twins, rule=None))

    def _generate(
        self,
        prompt: str,
        matched: Match,
        assignments: Sequence[Assignment],
        plan: Sequence[Sequence[int]],
        *,
        method: str,
        n: int,
        seed: int,
        steps: int,
        guidance: float,
        batch_size: int,
        on_step: Callable[[StepInfo], None] | None,
    ) -> Result:
        start = time.monotonic()
        prompts = [_prompt_for(prompt, matched, a) if method == "prompt" else prompt for a in assignments]
        seeds = [seed + i for i in range(n)]
        images: list[Image.Image] = []
        evaluations: list[int] = []
        notes = [target.note for target in matched.targets if target.note]
        try:
            for batch in denoise(
                self.backbone,
                prompts_cond=self.backbone.encode(prompts),
                empty_cond=self.backbone.encode([""]),
                seeds=seeds,
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
        plain = len(self.backbone.timesteps(steps)) * (2 if guidance > 1 else 1)
        records = [
            Record(
                index=i,
                prompt=prompt,
                used_prompt=prompts[i],
                seed=seeds[i],
                model=self.name,
                method=method,
                rule=matched.rule.name if matched.rule else None,
                steps=steps,
                guidance=guidance,
                assigned=assignments[i],
                judged={name: readings[i].label for name, readings in judged.items()},
                perceived={name: readings[i].label for name, readings in perceived.items()},
                confidence={name: round(readings[i].confidence, 4) for name, readings in judged.items()},
                evaluations=evaluations[i],
                plain_evaluations=plain,
            )
            for i in range(len(images))
        ]
        return Result(
            prompt=prompt,
            model=self.name,
            method=method,
            seed=seed,
            rule=matched.rule.name if matched.rule else None,
            reason=matched.reason,
            images=images,
            records=records,
            audit=_audit(judged, matched.targets, plan) if images else [],
            perceived_audit=_audit(perceived, matched.targets, plan) if images else [],
            seconds=time.monotonic() - start,
            requested=n,
            notes=notes,
        )

    def _steering(self, targets: Sequence[Target], assignments: Sequence[Assignment]) -> Steering | None:
        """Semantic guidance towards each image's groups and away from the others that the targets ask for."""
        concepts = [
            (name, group)
            for target in targets
            for k, name in enumerate(target.attributes)
            for group in ATTRIBUTES[name].groups
            if any(cell[k] == group.name and share for cell, share in target.shares.items())
        ]
        if not concepts:
            return None
        directions = [[_direction(a.get(name), group.name) for name, group in concepts] for a in assignments]
        return SemanticGuidance().steer(
            self.backbone.encode([group.phrases[0] for _, group in concepts]), torch.tensor(directions)
        )

    def _check_readable(self, targets: Sequence[Target]) -> None:
        for name in (name for target in targets for name in target.attributes):
            if name not in self.judge.groups:
                known = ", ".join(a for a in self.judge.groups if a in ATTRIBUTES)
                raise ValueError(f"the judge of {self.name!r} cannot read {name!r}; it reads {known}")


def check_request(prompt: str, *, n: int, method: str, steps: int, guidance: float | None, seed: int) -> None:
    """`ValueError` naming the first argument that cannot be served, and the mend."""
    if not prompt.strip():
        raise ValueError("the prompt is empty; say what to draw")
    if len(prompt) > MAX_PROMPT:
        raise ValueError(f"the prompt has {len(prompt)} characters; shorten it to {MAX_PROMPT}")
    if not 1 <= n <= MAX_IMAGES:
        raise ValueError(f"n is {n}; ask for 1 to {MAX_IMAGES} images")
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; use one of {', '.join(METHODS)}")
    if not 1 <= steps <= 1000:
        raise ValueError(f"steps is {steps}; use 1 to 1000")
    if guidance is not None and not 0 <= guidance <= 100:  # also false for NaN
        raise ValueError(f"guidance is {guidance}; use 0 to 100")
    if not 0 <= seed < 2**53:
        raise ValueError(f"seed is {seed}; use 0 to {2**53 - 1}")


def _assignments(targets: Sequence[Target], plan: Sequence[Sequence[int]], n: int, seed: int) -> list[Assignment]:
    assignments: list[Assignment] = [{} for _ in range(n)]
    for k, (target, quota) in enumerate(zip(targets, plan, strict=True)):
        cells = list(target.shares)
        for assignment, cell in zip(assignments, assign(quota, seed + k), strict=True):
            assignment.update(zip(target.attributes, cells[cell], strict=True))
    return assignments


def _direction(assigned: str | None, group: str) -> float:
    return 0.0 if assigned is None else 1.0 if assigned == group else -1.0


def _prompt_for(prompt: str, matched: Match, assignment: Assignment) -> str:
    """The prompt with the assigned groups' adjectives, skin tone before gender as English has it."""
    order = sorted(assignment, key=lambda name: name == "gender")
    return with_group(prompt, matched.concept, [ATTRIBUTES[name].group(assignment[name]).adjective for name in order])


def _audit(readings: dict[str, list[Reading]], targets: Sequence[Target], plan: Sequence[Sequence[int]]) -> list[Row]:
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
            quota=plan[k] if plan else None,
        )
    return rows
