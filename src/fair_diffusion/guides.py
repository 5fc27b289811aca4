"""Guides: what the denoising loop needs to draw each image of a request plain or towards its group.

One method, one way to turn an aim into conditionings and steering: "switch" and "prompt" put the group's word into the
prompt (from the look on, or from the start), "semantic" pushes the prediction towards the group and away from what the
image would show instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from fair_diffusion.backbones import Backbone, Conditioning, Guide
from fair_diffusion.cards import Card, card_named
from fair_diffusion.control import Aim, steering_start
from fair_diffusion.policy import ATTRIBUTES, Assignment, Cell, Target
from fair_diffusion.request import Request
from fair_diffusion.steering import SemanticGuidance, Steering, switched, with_group

WINDOW = 0.8
"""Share of the trajectory after which semantic guidance from the look on stops: what is left is detail."""


@dataclass(frozen=True)
class Guides:
    """How the images of one request are guided.

    start: where in the prompt the concept begins (see `with_group`). card: window and strengths that are usual."""

    backbone: Backbone
    request: Request
    guidance: float
    start: int | None
    card: Card = field(default_factory=lambda: card_named("pocket"))

    def __post_init__(self) -> None:
        """`ValueError` if the request asks for what acts only where an empty prompt is evaluated too, and none is."""
        asked = {"negative prompt": self.request.negative_prompt, "guidance rescale": self.request.guidance_rescale}
        useless = next((name for name, value in asked.items() if value), None)
        if useless and self.backbone.distilled:
            raise ValueError(
                f"a {useless} means nothing to a model that is distilled or draws without text; leave it out"
            )
        if useless and self.guidance <= 1:
            raise ValueError(
                f"a {useless} does nothing at guidance {self.guidance:g}; use a scale above 1, or leave it out"
            )

    def guide(self, aims: Sequence[Aim]) -> Guide:
        """The guide of a batch, one aim per image."""
        plain, empty = self._plain[[0] * len(aims)], self._empty[[0] * len(aims)]
        if self.request.method in ("switch", "prompt") and any(aim.assigned for aim in aims):
            grouped = self.backbone.encode([self.used_prompt(aim.assigned) for aim in aims])
            usual = self.card.switch if self.request.method == "switch" else 1.0
            strength = [usual * aim.strength for aim in aims]
            plain = switched(plain, grouped, torch.tensor(strength))
        steering = self._steering(aims) if self.request.method == "semantic" else None
        run = steering.start(range(len(aims))) if steering else None
        return Guide(plain, empty, self.guidance, run, self.request.guidance_rescale)

    def used_prompt(self, assigned: Assignment) -> str:
        """The prompt with the assigned groups' adjectives, skin tone before gender as English has it."""
        named = assigned if self.request.method in ("switch", "prompt") else ()
        order = sorted(named, key=lambda name: name == "gender")
        adjectives = [ATTRIBUTES[name].group(assigned[name]).adjective for name in order]
        return with_group(self.request.prompt, self.start, adjectives)

    @cached_property
    def _plain(self) -> Conditioning:
        return self.backbone.encode([self.request.prompt])

    @cached_property
    def _empty(self) -> Conditioning:
        """What guidance leads away from: the negative prompt, or what the family takes for no prompt."""
        negative = self.request.negative_prompt
        return self.backbone.empty() if negative is None else self.backbone.encode([negative])

    def _steering(self, aims: Sequence[Aim]) -> Steering | None:
        """Semantic guidance towards each image's groups that do not fit yet, and away from those to leave."""
        signs = [
            {(name, other): -aim.strength for name, others in aim.change.items() for other in others}
            | {(name, aim.assigned[name]): aim.strength for name in aim.change}
            for aim in aims
        ]
        concepts = sorted({concept for sign in signs for concept in sign})
        if not concepts:
            return None
        phrases = [ATTRIBUTES[name].group(group).phrases[0] for name, group in concepts]
        directions = torch.tensor([[sign.get(concept, 0.0) for concept in concepts] for sign in signs])
        return self._settings.steer(self.backbone.encode(phrases), directions)

    @cached_property
    def _settings(self) -> SemanticGuidance:
        """The published settings, or those of the window between the look and the end of steering.

        The published warm-up is kept where the look is that late; runs of fewer steps would never leave it.
        """
        steps = len(self.backbone.fork().timesteps(self.request.steps))
        if not self.request.natural_first:
            return SemanticGuidance(warmup=min(5, round(self.card.start * steps)))
        start = steering_start(steps, self.card.start)
        end = max(start + 1, round(self.card.end * steps))
        return SemanticGuidance(strength=self.card.semantic, threshold=0.8, warmup=start, cooldown=end)


def aims(targets: Sequence[Target], dealt: Sequence[Sequence[Cell]], n: int) -> list[Aim]:
    """The aims of n images when all are steered: to their cells, away from the other groups that are asked for.

    dealt: the cells of the images, for each target; empty if none is steered."""
    if not dealt:
        return [Aim()] * n
    asked = {name: _asked(target, name) for target in targets for name in target.attributes}
    assignments: list[Assignment] = [{} for _ in range(n)]
    for target, cells in zip(targets, dealt, strict=True):
        for assignment, cell in zip(assignments, cells, strict=True):
            assignment.update(zip(target.attributes, cell, strict=True))
    return [
        Aim(
            assigned,
            {name: [other for other in asked[name] if other != group] for name, group in assigned.items()},
            1.0,
        )
        for assigned in assignments
    ]


def _asked(target: Target, name: str) -> list[str]:
    """The groups of one attribute that a target asks for; if it is one only, the usual ones too."""
    k = target.attributes.index(name)
    asked = {cell[k] for cell, share in target.shares.items() if share}
    usual = {group for group, share in ATTRIBUTES[name].default_shares.items() if share} if len(asked) == 1 else set()
    return [group for group in ATTRIBUTES[name].group_names if group in asked | usual]
