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
from fair_diffusion.control.strengths import LEVELS, Key, Strengths
from fair_diffusion.policy import ATTRIBUTES, Assignment, Target
from fair_diffusion.request import Request
from fair_diffusion.seeds import SEEDS

Shares = Mapping[str, NDArray[np.float64]]
"""Probabilities (images, groups) by attribute, in the order of its groups; what lacks to 1 is unknown."""

SURE_AT_LOOK = 0.5
"""From this probability on the look takes an image to become a group by itself: at most one group can reach it."""
SURE_AT_END = 0.7
"""The same for finished pictures. Less sure ones are made again, for on them readers often differ: see docs/control.md
for how this was chosen."""
LOOK = 0.2
"""Share of the trajectory that runs plain: see the accuracy of the early perceiver by step in `docs/control.md`."""
SPARE = 4
"""Repairs of a request may cost as much as this many images, however few it asks for."""
RESEEDS = 2
"""New seeds for one image, at most."""
NEW_SEED = 2**32
"""What a new seed adds to the old one: images of one request are nearer to each other."""
TOO_HARD = 10.0
"""How much harder to change an image counts that was tried in every way: others are changed in its place."""


@dataclass(frozen=True)
class Aim:
    """What steering is to do with one image: the groups to show, by attribute, and how strongly.

    `strength` is 0 for an image that goes on plain; `assigned` is empty for that, and for methods that assign no group.
    `change` holds the attributes that do not fit yet, each with the groups to leave (none if it is not known what the
    image shows).
    """

    assigned: Assignment = field(default_factory=dict)
    change: Mapping[str, Sequence[str]] = field(default_factory=dict)
    strength: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What became of one image of the request.

    natural: what the look said that it would show by itself, by attribute (None: unknown), with its confidence; for
    the seed that made it. steered_to: what it was drawn to show, how strongly: empty and 0 if it was not steered.
    repairs: how often it was made again, `reseeds` times of which from a new seed. missed: whether the perceiver is not
    sure that it shows what is assigned; None if it was not asked. evaluations: of the network, repairs included.
    """

    image: Image.Image
    seed: int
    assigned: Assignment
    natural: dict[str, str | None] = field(default_factory=dict)
    natural_confidence: dict[str, float] = field(default_factory=dict)
    steered_to: Assignment
    strength: float
    repairs: int = 0
    reseeds: int = 0
    missed: bool | None = None
    evaluations: int


@dataclass(frozen=True)
class Drawn:
    """The images of a request that were finished, in order.

    control: "natural-first", "all", or "none" if nothing was to be steered. plain_evaluations: what one image costs
    unsteered. interrupted: from the keyboard, before all was done.
    """

    shown: list[Shown]
    control: str
    plain_evaluations: int
    notes: list[str]
    interrupted: bool


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

    def change(self) -> dict[str, list[str]]:
        """The attributes that do not fit, with what it shows instead."""
        other = {name: group for name, group in self.shows.items() if group != self.assigned[name]}
        return {name: [] if group is None else [group] for name, group in other.items()}


@dataclass(kw_only=True)
class NaturalFirst:
    """One request under control.

    targets with their quotas, one count per cell in the order of `shares`. guide: how to guide a batch, one aim per
    image. look, perceive: what predicted clean latents and finished pictures show. concept: what strengths are learnt
    for, beside the group. start: the share of the trajectory at which to look.
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
    start: float = LOOK
    on_step: OnStep | None = None

    def run(self) -> Drawn:
        """Generate. Interrupted from the keyboard it gives the images that are finished, whatever they show."""
        n = self.request.n
        self._plans = [_Plan(seed=self.request.seed + i) for i in range(n)]
        self._shown: dict[int, Shown] = {}
        self._saved: dict[int, tuple[Batch, int]] = {}
        self._read = {name: np.zeros((n, len(ATTRIBUTES[name].groups))) for t in self.targets for name in t.attributes}
        self._dearest = self._cost = plain_evaluations(self.backbone, self.request, self.guide([Aim()]))
        notes, interrupted = [], False
        try:
            warm = [self._to_look(images) for images in batches(n, self.request.batch_size)]
            self._assign_naturals(warm)
            for batch in warm:
                self._finish(batch)
            notes += self._repair()
        except KeyboardInterrupt:
            done, interrupted = len(self._shown), True
            notes.append(f"interrupted after {done} of {n} images" if done < n else "interrupted while repairing")
        # An interrupted repair has cost something too.
        shown = [replace(self._shown[i], evaluations=self._plans[i].evaluations) for i in sorted(self._shown)]
        return Drawn(shown, "natural-first", self._cost, notes, interrupted)

    def _to_look(self, images: Sequence[int]) -> Batch:
        """Run images plain up to the look, and save them where steering begins."""
        begun = begin(self.backbone, images, seeds=[self._plans[i].seed for i in images], steps=self.request.steps)
        batch = self._advance(begun, self.guide([Aim()] * len(images)), look_step(len(begun.times), self.start))
        saved = batch if steering_start(len(begun.times), self.start) else begun
        self._saved.update({image: (saved, place) for place, image in enumerate(images)})
        return batch

    def _assign_naturals(self, warm: Sequence[Batch]) -> None:
        """Look, and say who shows what."""
        read = [self.look(batch) for batch in warm]
        natural = {name: np.concatenate([shares[name] for shares in read]) for name in self._read}
        for i, assigned in enumerate(self._assign(natural, SURE_AT_LOOK)):
            self._plans[i].assigned = assigned
            self._take_look(i, {name: shares[i] for name, shares in natural.items()})

    def _take_look(self, image: int, natural: Mapping[str, NDArray[np.float64]]) -> None:
        """Note what one image would show by itself; if that is not what is assigned, it will be steered."""
        plan = self._plans[image]
        plan.shows = plan.natural = {name: label(name, natural[name], SURE_AT_LOOK) for name in plan.assigned}
        plan.natural_confidence = {name: float(natural[name].max()) for name in plan.assigned}
        plan.steered = plan.natural != plan.assigned

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
        levels = [self._level(plan) for plan in plans]
        aims = [
            Aim(plan.assigned, plan.change(), LEVELS[level]) if plan.steered else Aim()
            for plan, level in zip(plans, levels, strict=True)
        ]
        end = self._advance(batch, self.guide(aims), None)
        self._dearest = max(self._dearest, int(end.evaluations.max()))  # from noise on, as from a new seed
        pictures = self.backbone.images(end.latents)
        read = self.perceive(pictures)
        for name, known in self._read.items():
            known[list(images)] = read[name]
        for i, plan, aim, level, picture in zip(images, plans, aims, levels, pictures, strict=True):
            plan.shows = {name: label(name, self._read[name][i], SURE_AT_END) for name in plan.assigned}
            if plan.steered:
                plan.level = level + 1
                for name in aim.change:
                    complied = plan.shows[name] == plan.assigned[name]
                    self.strengths.learn((*self.concept, name, plan.assigned[name]), level, complied=complied)
            self._shown[i] = Shown(
                image=picture,
                seed=plan.seed,
                assigned=plan.assigned,
                natural=plan.natural,
                natural_confidence=plan.natural_confidence,
                steered_to=aim.assigned,
                strength=aim.strength,
                repairs=plan.repairs,
                reseeds=plan.reseeds,
                missed=plan.shows != plan.assigned,
                evaluations=plan.evaluations,
            )

    def _advance(self, batch: Batch, guide: Guide, until: int | None) -> Batch:
        end = advance(batch, guide, until=until, on_step=self.on_step)
        for i, spent in zip(batch.images, (end.evaluations - batch.evaluations).tolist(), strict=True):
            self._plans[i].evaluations += spent
        return end

    def _assign(self, shares: Shares, sure: float, effort: Sequence[float] | None = None) -> list[Assignment]:
        """Meet every target's quotas with the least change of what the images show."""
        return assignments(self.targets, self.quotas, shares, sure, effort)

    def _level(self, plan: _Plan) -> int:
        """The level at which an image is steered: one for all its groups, which are steered together."""
        usual = [self.strengths.level((*self.concept, name, plan.assigned[name])) for name in plan.change()]
        return max([plan.level, *usual])

    def _repair(self) -> list[str]:
        """Make misses again until there are none, none that can be mended, or the budget is spent; and say so."""
        budget = self.request.repair_budget
        limit = self._cost * max(budget * self.request.n, SPARE if budget else 0)
        first_pass = sum(plan.evaluations for plan in self._plans)
        given_up: set[int] = set()
        while misses := self._misses(given_up):
            again = [i for i in misses if self._may_try(i)]
            given_up.update(set(misses) - set(again))
            while again:
                left = limit - (sum(plan.evaluations for plan in self._plans) - first_pass)
                part = again[: min(self.request.batch_size, max(0, int(left / self._dearest)))]
                if not part:
                    self._misses(given_up)
                    return self._say_missed("the repair budget is spent")
                self._again(part)
                again = again[len(part) :]
        return self._say_missed("everything was tried")

    def _say_missed(self, why: str) -> list[str]:
        missed = sum(bool(shown.missed) for shown in self._shown.values())
        of = f"{missed} of {self.request.n} images do not surely show what was assigned"
        return [f"{why}: {of}"] if missed else []

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
            read = self.look(self._to_look(fresh))
            for place, i in enumerate(fresh):
                self._take_look(i, {name: read[name][place] for name in self._read})
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
    notes, interrupted = [], False
    try:
        for images in batches(request.n, request.batch_size):
            asked = [aims[i] for i in images]
            batch = begin(backbone, images, seeds=[request.seed + i for i in images], steps=request.steps)
            batch = advance(batch, guide(asked), on_step=on_step)
            pictures, spent = backbone.images(batch.latents), batch.evaluations.tolist()
            for i, aim, picture, evaluations in zip(images, asked, pictures, spent, strict=True):
                one = Shown(
                    image=picture,
                    seed=request.seed + i,
                    assigned=aim.assigned,
                    steered_to=aim.assigned,
                    strength=aim.strength,
                    evaluations=evaluations,
                )
                shown.append(one)
    except KeyboardInterrupt:
        interrupted = True
        notes.append(f"interrupted after {len(shown)} of {request.n} images")
    control = "all" if any(aim.strength for aim in aims) else "none"
    return Drawn(shown, control, plain_evaluations(backbone, request, guide([Aim()])), notes, interrupted)


def plain_evaluations(backbone: Backbone, request: Request, guide: Guide) -> int:
    """Network evaluations that one unsteered image of the request costs."""
    return len(backbone.fork().timesteps(request.steps)) * guide.passes(backbone)


def look_step(steps: int, start: float = LOOK) -> int:
    """How many of the run's steps are plain before the look, which is at the share `start` of them: at least one."""
    return max(1, round(start * steps))


def steering_start(steps: int, start: float = LOOK) -> int:
    """The step from which images are steered: the look; the first one if the look is at the end, in a run of one."""
    look = look_step(steps, start)
    return look if look < steps else 0


def assignments(
    targets: Sequence[Target],
    quotas: Sequence[Sequence[int]],
    shares: Shares,
    sure: float,
    effort: Sequence[float] | None = None,
) -> list[Assignment]:
    """What each image shall show, so that all quotas are met with the least change of what images show by `shares`."""
    found: list[Assignment] = [{} for _ in range(sum(quotas[0]))]
    for target, counts in zip(targets, quotas, strict=True):
        cells = list(target.shares)
        chosen = least_change(*cells_of(shares, target, sure), counts, effort=effort)
        for assignment, k in zip(found, chosen, strict=True):
            assignment.update(zip(target.attributes, cells[k], strict=True))
    return found


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
