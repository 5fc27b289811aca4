"""Guides: what the denoising loop needs to draw each image of a request plain or towards its group.

One method, one way to turn an aim into conditionings and steering: "switch" and "prompt" put the group's word into the
prompt (from the look on, or from the start), "semantic" pushes the prediction towards the group and away from what the
image would show instead, "bottleneck" adds the group's vector to the middle of the network. "hint" and "embedding" do
the same to every image's prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from fair_diffusion.backbones import Backbone, Conditioning, Guide
from fair_diffusion.control.natural_first import Aim, steering_start
from fair_diffusion.models.cards import Card, card_named
from fair_diffusion.policy import ATTRIBUTES, Assignment, Cell, Target
from fair_diffusion.policy.concepts import lists
from fair_diffusion.request import READING, UNASSIGNED, Request
from fair_diffusion.steering import SemanticGuidance, Steering, embedding, switched, with_group, with_hint
from fair_diffusion.steering.bottleneck import Directions
from fair_diffusion.steering.cost import Cost
from fair_diffusion.steering.embedding import projected

PAIRS = 30
"""Occupations from whose prompts the projection of text embeddings is made."""

Projection = tuple[Tensor, Cost]
"""A projection of text embeddings, and what learning it took."""


@dataclass(frozen=True)
class Guides:
    """How the images of one request are guided.

    start: where in the prompt the concept begins (see `with_group`). card: window and strengths that are usual.
    targets: those of the rule, if one fires. projections: of the model's text, by what they make alike: those that are
    there are used, a new one is added.
    """

    backbone: Backbone
    request: Request
    guidance: float
    start: int | None
    card: Card = field(default_factory=lambda: card_named("pocket"))
    targets: Sequence[Target] = ()
    projections: dict[str, Projection] = field(default_factory=dict)

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
        acts = any(aim.strength for aim in aims)
        if acts and self.request.method in ("switch", "prompt", "hint", "embedding"):
            usual = self.card.switch if self.request.method == "switch" else 1.0
            plain = switched(plain, self._instead(aims), torch.tensor([usual * aim.strength for aim in aims]))
        elif acts and self.request.method == "bottleneck":
            plain, empty = self._directions.steer(plain, empty, [(aim.assigned, aim.strength) for aim in aims])
        steering = self._steering(aims) if self.request.method == "semantic" else None
        run = steering.start(range(len(aims))) if steering else None
        return Guide(plain, empty, self.guidance, run, self.request.guidance_rescale)

    def used_prompt(self, assigned: Assignment) -> str:
        """The prompt with the assigned groups' adjectives, skin tone before gender as English has it; or the hint."""
        if self.request.method == "hint":
            return with_hint(self.request.prompt, [ATTRIBUTES[name].label for name in self._attributes])
        named = assigned if self.request.method in ("switch", "prompt") else ()
        order = sorted(named, key=lambda name: name == "gender")
        adjectives = [ATTRIBUTES[name].group(assigned[name]).adjective for name in order]
        return with_group(self.request.prompt, self.start, adjectives)

    @property
    def learnt(self) -> dict[str, float]:
        """What was learnt from the model's text for what was drawn, and the seconds that it took once."""
        if self.request.method != "embedding" or (name := _named(self._alike)) not in self.projections:
            return {}
        return {name: self.projections[name][1].seconds or 0.0}

    @cached_property
    def _plain(self) -> Conditioning:
        """What the prompt says; to a model that reads no text, nothing, by methods that do not need it to."""
        if self.backbone.reads_text or self.request.method in READING:
            return self.backbone.encode([self.request.prompt])
        return self.backbone.empty()

    @cached_property
    def _empty(self) -> Conditioning:
        """What guidance leads away from: the negative prompt, or what the family takes for no prompt."""
        negative = self.request.negative_prompt
        return self.backbone.empty() if negative is None else self.backbone.encode([negative])

    @property
    def _attributes(self) -> list[str]:
        return list(dict.fromkeys(name for target in self.targets for name in target.attributes))

    def _instead(self, aims: Sequence[Aim]) -> Conditioning:
        """The conditionings that steered images get instead of the plain ones."""
        if self.request.method == "embedding":
            return projected(self._plain, self._projection)[[0] * len(aims)]
        return self.backbone.encode([self.used_prompt(aim.assigned) for aim in aims])

    @cached_property
    def _directions(self) -> Directions:
        if self.request.file is None:  # `Request` sees to it
            raise ValueError("method 'bottleneck' needs a file")
        return Directions.load(self.request.file)

    @cached_property
    def _projection(self) -> Tensor:
        """The projection that makes the groups that the targets ask for alike."""
        asked = self._alike
        if (name := _named(asked)) not in self.projections:
            occupations = list(lists()["occupations"])[:PAIRS]
            prompts = [grouped_prompts(attribute, groups, occupations) for attribute, groups in asked.items()]
            self.projections[name] = embedding.learn(self.backbone, prompts)
        return self.projections[name][0]

    @property
    def _alike(self) -> dict[str, list[str]]:
        return {name: _asked(target, name) for target in self.targets for name in target.attributes}

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
        start, end = window(steps, self.card)
        return SemanticGuidance(strength=self.card.semantic, threshold=0.8, warmup=start, cooldown=end)


def _named(groups: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{name}: {', '.join(those)}" for name, those in groups.items())


def window(steps: int, card: Card) -> tuple[int, int]:
    """The steps from which, and before which, semantic guidance acts mid-way: at least one."""
    start = steering_start(steps, card.start)
    return start, max(start + 1, round(card.end * steps))


def grouped_prompts(name: str, groups: Sequence[str], concepts: Sequence[str]) -> list[list[str]]:
    """For each group of attribute `name` the prompts that name it before each concept."""
    before = "a photo of a "
    return [
        [with_group(before + concept, len(before), [ATTRIBUTES[name].group(group).adjective]) for concept in concepts]
        for group in groups
    ]


def aims(targets: Sequence[Target], dealt: Sequence[Sequence[Cell]], request: Request) -> list[Aim]:
    """The aims of a request's images when all are steered: to their cells, away from the other groups asked for.

    dealt: the cells of the images, for each target; empty if none is assigned a group."""
    n = request.n
    if not dealt:
        return [Aim(strength=1.0 if targets and request.method in UNASSIGNED else 0.0)] * n
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
