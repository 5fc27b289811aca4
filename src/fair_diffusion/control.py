"""Natural-first control: steer only the images that would not show their group anyway, and repair what misses.

1. every image runs plain up to the look, a share of the trajectory;
2. the early perceiver says from the clean latents predicted there what each image would become by itself;
3. the quotas are met with the least change (`allocation.least_change`);
4. images whose natural group fits go on plain, bit-identical to an unsteered run; the others are steered from there;
5. the finished pictures are perceived; while the quotas are missed, the fewest images that mend that are made again
   from their saved state at the look, each time more strongly, at last from a new seed, until the budget is spent.

The batches of 1 and 4 are those of an unsteered run; in 5, images of different batches are put together. The look is at
a share of the trajectory, so models of few steps do as well; a run of one step is looked at when it is done, and images
that do not fit begin again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fair_diffusion.allocation import least_change
from fair_diffusion.backbones import Backbone, Batch, Guide, OnStep, advance, batches, begin
from fair_diffusion.policy import ATTRIBUTES, Assignment, Target
from fair_diffusion.request import SEEDS, Request
from fair_diffusion.strengths import LEVELS, Key, Strengths

Shares = Mapping[str, NDArray[np.float64]]
"""Probabilities (images, groups) by attribute, in the order of its groups; what lacks to 1 is unknown."""

SURE_AT_LOOK = 0.5
"""From this probability on the look takes an image to become a group by itself: at most one group can reach it."""
SURE_AT_END = 0.7
"""The same for finished pictures. Less sure ones are made again, for on them perceiver and judge often differ."""
LOOK = 0.2
"""Share of the trajectory that runs plain: see the accuracy of the early perceiver by step in `docs/control.md`."""
SPARE = 4
"""Repairs of a request may always cost as much as this many images, however few it asks for."""
RESEEDS = 2
"""New seeds for one image, at most."""
NEW_SEED = 2**32
"""What a new seed adds to the old one: images of one request are nearer to each other."""
TOO_HARD = 10.0
"""How much harder to change an image counts that was tried in every way: others are changed in its place."""


@dataclass(frozen=True)
class Aim:
    """What steering is to do with one image, by attribute: the group to show, the groups to leave, how strongly.

    `assigned` is empty for an image that goes on plain.
    """

    assigned: Assignment = field(default_factory=dict)
    away: Mapping[str, Sequence[str]] = field(default_factory=dict)
    strength: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What became of one image of the request.

    natural: what the look said that it would show by itself, by attribute (None: unknown), with its confidence.
    steered: whether it was, at last; strength: how strongly to each assigned group. repairs: how often it was made
    again, `reseeds` times of which from a new seed. missed: whether the perceiver is not sure that it shows what was
    assigned. evaluations: of the network, repairs included.
    """

    image: Image.Image
    seed: int
    assigned: Assignment
    natural: dict[str, str | None] = field(default_factory=dict)
    natural_confidence: dict[str, float] = field(default_factory=dict)
    steered: bool
    strength: dict[str, float]
    repairs: int = 0
    reseeds: int = 0
    missed: bool = False
    evaluations: int


@dataclass(frozen=True)
class Drawn:
    """The images of a request that were finished, in order; `plain_evaluations` is what one costs unsteered."""

    shown: list[Shown]
    plain_evaluations: int
    notes: list[str]


@dataclass(kw_only=True)
class _Plan:
    """What is to be done with one image next.

    shows: what it last showed, or would show. level: the lowest one not yet tried with this seed and assignment.
    """

    seed: int
    assigned: Assignment = field(default_factory=dict)
    shows: dict[str, str | None] = field(default_factory=dict)
    natural: dict[str, str | None] = field(default_factory=dict)
    natural_confidence: dict[str, float] = field(default_factory=dict)
    steered: bool = False
    level: int = 0
    repairs: int = 0
    reseeds: int = 0
    evaluations: int = 0

    def away(self) -> dict[str, list[str]]:
        """What it shows instead of what is assigned."""
        return {name: [group] for name, group in self.shows.items() if group and group != self.assigned[name]}


@dataclass(kw_only=True)
class NaturalFirst:
    """One request under control.

    targets with their quotas, one count per cell in the order of `shares`. guide: how to guide a batch, one aim per
    image. look, perceive: what predicted clean latents and finished pictures show. concept: what strengths are learnt
    for, beside the group.
    """

    backbone: Backbone
    request: Request
    targets: Sequence[Target]
    quotas: Sequence[Sequence[int]]
    guide: Callable[[Sequence[Aim]], Guide]
    look: Callable[[Batch], Shares]
    perceive: Callable[[Sequence[Image.Image]], Shares]
    concept: Key
    strengths: Strengths
    on_step: OnStep | None = None

    def run(self) -> Drawn:
        """Generate. Interrupted from the keyboard it gives the images that are finished, whatever they show."""
        n = self.request.n
        self._plans = [_Plan(seed=self.request.seed + i) for i in range(n)]
        self._shown: dict[int, Shown] = {}
        self._saved: dict[int, tuple[Batch, int]] = {}
        self._read = {name: np.zeros((n, len(ATTRIBUTES[name].groups))) for t in self.targets for name in t.attributes}
        self._cost = plain_evaluations(self.backbone, self.request, self.guide([Aim()]))
        notes = []
        try:
            warm = [self._to_look(images) for images in batches(n, self.request.batch_size)]
            self._assign_naturals(warm)
            for batch in warm:
                self._finish(batch)
            notes += self._repair()
        except KeyboardInterrupt:
            done = len(self._shown)
            notes.append(f"interrupted after {done} of {n} images" if done < n else "interrupted while repairing")
        return Drawn([self._shown[i] for i in sorted(self._shown)], self._cost, notes)

    def _to_look(self, images: Sequence[int]) -> Batch:
        """Run images plain up to the look, and save them where steering begins."""
        begun = begin(self.backbone, images, seeds=[self._plans[i].seed for i in images], steps=self.request.steps)
        batch = self._advance(begun, self.guide([Aim()] * len(images)), look_step(len(begun.times)))
        saved = batch if steering_start(len(begun.times)) else begun
        self._saved.update({image: (saved, place) for place, image in enumerate(images)})
        return batch

    def _assign_naturals(self, warm: Sequence[Batch]) -> None:
        """Look, and say who shows what; an image that would not show it by itself will be steered."""
        read = [self.look(batch) for batch in warm]
        natural = {name: np.concatenate([shares[name] for shares in read]) for name in self._read}
        for i, (plan, assigned) in enumerate(zip(self._plans, self._assign(natural, SURE_AT_LOOK), strict=True)):
            plan.assigned = assigned
            plan.shows = plan.natural = {name: label(name, natural[name][i], SURE_AT_LOOK) for name in assigned}
            plan.natural_confidence = {name: float(natural[name][i].max()) for name in assigned}
            plan.steered = plan.natural != assigned

    def _finish(self, batch: Batch) -> None:
        """Take a batch from the look to the end. After the only step of a run, what is to be steered begins again."""
        again = (
            [image for image in batch.images if self._plans[image].steered] if batch.step == len(batch.times) else []
        )
        for image in again:
            self._plans[image].steered = False
        self._from_look(batch)
        for image in again:
            self._plans[image].steered = True
        if again:
            self._from_look(self._back(again))

    def _back(self, images: Sequence[int]) -> Batch:
        """These images as they were saved."""
        return Batch.join([batch.take([place]) for batch, place in (self._saved[image] for image in images)])

    def _from_look(self, batch: Batch) -> None:
        """Finish a batch, perceive it, and learn which strengths were enough."""
        images, plans = batch.images, [self._plans[i] for i in batch.images]
        levels = [self._levels(plan) for plan in plans]
        aims = [
            Aim(plan.assigned, plan.away(), {name: LEVELS[k] for name, k in level.items()}) if plan.steered else Aim()
            for plan, level in zip(plans, levels, strict=True)
        ]
        pictures = self.backbone.images(self._advance(batch, self.guide(aims), None).latents)
        read = self.perceive(pictures)
        for name, known in self._read.items():
            known[list(images)] = read[name]
        for i, plan, aim, level, picture in zip(images, plans, aims, levels, pictures, strict=True):
            plan.level = max(level.values(), default=-1) + 1
            plan.shows = {name: label(name, self._read[name][i], SURE_AT_END) for name in plan.assigned}
            self._shown[i] = Shown(
                image=picture,
                seed=plan.seed,
                assigned=plan.assigned,
                natural=plan.natural,
                natural_confidence=plan.natural_confidence,
                steered=plan.steered,
                strength=dict(aim.strength),
                repairs=plan.repairs,
                reseeds=plan.reseeds,
                missed=plan.shows != plan.assigned,
                evaluations=plan.evaluations,
            )
            for name, k in level.items():
                group = plan.assigned[name]
                self.strengths.learn((*self.concept, name, group), k, complied=plan.shows[name] == group)

    def _advance(self, batch: Batch, guide: Guide, until: int | None) -> Batch:
        end = advance(batch, guide, until=until, on_step=self.on_step)
        for i, spent in zip(batch.images, (end.evaluations - batch.evaluations).tolist(), strict=True):
            self._plans[i].evaluations += spent
        return end

    def _assign(self, shares: Shares, sure: float, effort: Sequence[float] | None = None) -> list[Assignment]:
        """Meet every target's quotas with the least change of what the images show."""
        assignments: list[Assignment] = [{} for _ in self._plans]
        for target, quotas in zip(self.targets, self.quotas, strict=True):
            cells = list(target.shares)
            chosen = least_change(*cells_of(shares, target, sure), quotas, effort=effort)
            for assignment, k in zip(assignments, chosen, strict=True):
                assignment.update(zip(target.attributes, cells[k], strict=True))
        return assignments

    def _levels(self, plan: _Plan) -> dict[str, int]:
        """The level for each group that an image is steered to; empty if it goes on plain."""
        if not plan.steered:
            return {}
        usual = {name: self.strengths.level((*self.concept, name, group)) for name, group in plan.assigned.items()}
        return {name: max(level, plan.level) for name, level in usual.items()}

    def _repair(self) -> list[str]:
        """Make misses again until there are none, none that can be mended, or the budget is spent; and say so."""
        n, given_up = self.request.n, set[int]()
        limit = self._cost * max(self.request.repair_budget * n, SPARE)
        first_pass = sum(plan.evaluations for plan in self._plans)
        while misses := self._misses(given_up):
            again = [i for i in misses if self._may_try(i)]
            given_up.update(set(misses) - set(again))
            for part in batches(len(again), self.request.batch_size):
                if sum(plan.evaluations for plan in self._plans) - first_pass >= limit:
                    missing = sum(shown.missed for shown in self._shown.values())
                    return [f"the repair budget is spent: {missing} of {n} images do not surely show what was assigned"]
                self._again([again[k] for k in part])
        missing = sum(shown.missed for shown in self._shown.values())
        return [f"{missing} of {n} images do not surely show what was assigned, whatever was tried"] if missing else []

    def _misses(self, given_up: set[int]) -> list[int]:
        """Assign anew by what the pictures show, and name those that do not show theirs and may still be mended."""
        effort = [TOO_HARD if i in given_up else 1.0 for i in range(len(self._plans))]
        for i, assigned in enumerate(self._assign(self._read, SURE_AT_END, effort)):
            plan = self._plans[i]
            if assigned != plan.assigned:
                plan.assigned, plan.level = assigned, 0
            self._shown[i] = replace(self._shown[i], assigned=assigned, missed=plan.shows != assigned)
        return [i for i, shown in self._shown.items() if shown.missed and i not in given_up]

    def _may_try(self, image: int) -> bool:
        """Plan one more try: steered, then more strongly, then from a new seed. False if all of that has failed."""
        plan = self._plans[image]
        plan.steered = True
        if plan.level == len(LEVELS):
            if plan.reseeds == RESEEDS:
                return False
            plan.seed, plan.level, plan.reseeds = (plan.seed + NEW_SEED) % SEEDS, 0, plan.reseeds + 1
            del self._saved[image]
        return True

    def _again(self, images: Sequence[int]) -> None:
        """Make images once more, from their saved state at the look, or from the start if they have a new seed."""
        if fresh := [i for i in images if i not in self._saved]:
            self._to_look(fresh)
        for i in images:
            self._plans[i].repairs += 1
        self._from_look(self._back(images))


def draw_all(
    backbone: Backbone,
    request: Request,
    aims: Sequence[Aim],
    guide: Callable[[Sequence[Aim]], Guide],
    on_step: OnStep | None,
) -> Drawn:
    """Generate, every image guided to its aim from the first step on, and none made again."""
    shown: list[Shown] = []
    notes = []
    try:
        for images in batches(request.n, request.batch_size):
            seeds = [request.seed + i for i in images]
            batch = begin(backbone, images, seeds=seeds, steps=request.steps)
            batch = advance(batch, guide([aims[i] for i in images]), on_step=on_step)
            for i, seed, picture, spent in zip(
                images, seeds, backbone.images(batch.latents), batch.evaluations, strict=True
            ):
                aim = aims[i]
                shown.append(
                    Shown(
                        image=picture,
                        seed=seed,
                        assigned=aim.assigned,
                        steered=bool(aim.assigned),
                        strength=dict(aim.strength),
                        evaluations=int(spent),
                    )
                )
    except KeyboardInterrupt:
        notes.append(f"interrupted after {len(shown)} of {request.n} images")
    return Drawn(shown, plain_evaluations(backbone, request, guide([Aim()])), notes)


def plain_evaluations(backbone: Backbone, request: Request, guide: Guide) -> int:
    """Network evaluations that one unsteered image of the request costs."""
    return len(backbone.fork().timesteps(request.steps)) * guide.passes(backbone)


def look_step(steps: int) -> int:
    """How many of the run's steps are plain before the look: at least one."""
    return max(1, round(LOOK * steps))


def steering_start(steps: int) -> int:
    """The step from which images are steered: the look; the first one if the look is at the end, in a run of one."""
    look = look_step(steps)
    return look if look < steps else 0


def label(name: str, shares: NDArray[np.float64], sure: float) -> str | None:
    """The group of attribute `name` that one image shows, None if none is as probable as `sure`."""
    k = int(shares.argmax())
    return ATTRIBUTES[name].group_names[k] if shares[k] >= sure else None


def cells_of(shares: Shares, target: Target, sure: float) -> tuple[list[int | None], NDArray[np.float64]]:
    """The cell of `target` that each image shows (None: unknown), and the probabilities (images, cells).

    Attributes are taken as independent given the picture."""
    groups = [ATTRIBUTES[name].group_names for name in target.attributes]
    probabilities = np.stack(
        [
            np.prod(
                [shares[n][:, g.index(part)] for n, g, part in zip(target.attributes, groups, cell, strict=True)], 0
            )
            for cell in target.shares
        ],
        axis=1,
    )
    place: dict[tuple[str | None, ...], int] = {cell: k for k, cell in enumerate(target.shares)}
    shown = [tuple(label(name, shares[name][i], sure) for name in target.attributes) for i in range(len(probabilities))]
    return [place.get(cell) for cell in shown], probabilities
