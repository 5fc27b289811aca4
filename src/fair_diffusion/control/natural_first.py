"""Natural-first control: steer only the images that would not show their group anyway, and repair what misses.

1. Every image runs plain up to the look, which is at a share of the trajectory.
2. The early perceiver reads the clean latents predicted there: what each image would show by itself.
3. Images are assigned to groups so that the quotas are met with the least change (`allocation.least_change`).
4. Images whose natural group fits go on plain, bit-identical to an unsteered run. The others are steered from the look.
5. The finished pictures are perceived. While the quotas are missed, the fewest images that mend that are made again
   from their state at the look, first without what they were to keep, then more strongly and at last from a new seed,
   until the budget is spent.
6. Steered images that lost a held group are made again once, from what is left of the budget.
7. Of an image that is given up, the try that most probably shows its group is delivered.

The batches of 1 and 4 are those of an unsteered run. Models of few steps have a look too, because it is at a share of
the trajectory. In a run of one step the look is at the end, and images that do not fit begin again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.backbones import batches
from fair_diffusion.control.assignments import (
    SURE_AT_END,
    SURE_AT_LOOK,
    Shares,
    assignments,
    differing,
    label,
    lost_groups,
    natural_groups,
)
from fair_diffusion.control.doubt import in_doubt
from fair_diffusion.control.former_tries import FormerTries, FormerTry
from fair_diffusion.control.image_plan import Plan
from fair_diffusion.control.order import Arrival, Order, Shown, State, Steps, Stretch
from fair_diffusion.control.seen import Read, unsure
from fair_diffusion.control.strengths import LEVELS
from fair_diffusion.control.tries import missing, repair
from fair_diffusion.policy import Assignment
from fair_diffusion.seeds import SEEDS
from fair_diffusion.steering.aim import PLAIN, Aim
from fair_diffusion.steering.window import look_step, steering_start

RESEEDS = 2
"""New seeds for one image, at most."""
NEW_SEED = 2**32
"""The difference between a new seed and the old one. Seeds within a request differ by less."""

HARD_TO_HOLD = 0.5
"""The additional effort of changing an image of which nobody knows what it should keep. Below 1, so that never two
images are changed in the place of one."""


def draw(order: Order) -> Steps:
    """Draw an order with natural-first control."""
    order.control, order.perceives = "natural-first", True
    return _NaturalFirst(order).draw()


class _NaturalFirst:
    """The images of one order under natural-first control."""

    def __init__(self, order: Order) -> None:
        self.order, self._brief, self._seen = order, order.brief, order.seen
        self._plans = [Plan(seed=order.request.seed + i) for i in range(order.n)]
        names = (*order.brief.attributes, *order.brief.held)
        self._defined = order.brief.definitions
        self._read = {name: np.zeros((order.n, len(self._defined[name].groups))) for name in names}
        self._looks: dict[int, Read] = {}
        self._doubtful: dict[str, set[int]] = {}  # images to steer although they read right, by attribute
        self._noted: set[tuple[int, str, str]] = set()  # image, attribute and group of the attempts that were noted
        self._meant: dict[int, Assignment] = {}  # what each finished picture was steered to, held groups too
        self._former = FormerTries(self._defined, self._seen.of)
        self._look = look_step(self._brief.times, self._brief.card.start)
        self._dearest = order.plain_evaluations

    @property
    def spent(self) -> int:
        """Network evaluations so far, of all images."""
        return sum(plan.evaluations for plan in self._plans)

    @property
    def dearest(self) -> float:
        """The network evaluations of the most expensive image so far, counted from noise."""
        return self._dearest

    def draw(self) -> Steps:
        """All stretches of all images, in order."""
        order, parts = self.order, batches(self.order.n, self.order.request.batch_size)
        try:
            for part in parts:
                yield from self._to_look(part)
            shares = {name: np.stack([self._looks[i][name] for i in range(order.n)]) for name in self._read}
            looked: dict[int, Assignment] = {i: {} for i, plan in enumerate(self._plans) if plan.looked is not None}
            for i, assigned in enumerate(self._assign_at_look(shares, looked)):
                self._plans[i].assigned = assigned
                self._note_look(i)
            for part in parts:
                yield from self._finish([i for i in part if self._plans[i].looked is not None])
            why = yield from repair(self)
            self._put_back_better()
            order.notes += missing(why, sum(bool(shown.missed) for shown in order.shown.values()), order.n)
        finally:  # an interrupted repair has its cost too
            for i, shown in order.shown.items():
                seen = self._seen.told(self._seen.word(self._read_in(i), self._meant[i]))
                order.shown[i] = replace(shown, evaluations=self._plans[i].evaluations, seen=seen)

    def assign_anew(self, effort: Sequence[float]) -> list[int]:
        """Assign by what the pictures show; return the images that do not surely show their groups."""
        for i, assigned in enumerate(self._assign(self._read, self._meant, SURE_AT_END, effort)):
            plan = self._plans[i]
            if self._seen.rates and i in self._meant:  # what a reading means is known better with every image
                plan.shows = self._labels(i, self._as_seen(i, self._read_in(i)), SURE_AT_END)
            if assigned != plan.assigned:
                plan.assigned, plan.level = assigned, 0
            if shown := self.order.shown.get(i):
                self.order.shown[i] = replace(shown, assigned=assigned, missed=plan.shows != assigned)
        return [i for i in range(self.order.n) if i not in self.order.shown or self.order.shown[i].missed]

    def left(self, misses: Sequence[int]) -> list[int]:
        """Plan one more try for each miss: steered, more strongly, or from a new seed. Return those that have a try."""
        return [i for i in misses if self._plan_again(i)]

    def again(self, images: Sequence[int]) -> Steps:
        """Make images again, from where steering begins. Images with a new seed run to the look first."""
        if fresh := [i for i in images if self._plans[i].looked is None]:
            yield from self._to_look(fresh)
            for i in fresh:
                self._note_look(i)
        for i in images:
            self._plans[i].repairs += 1
        yield from self._from({i: self._begin(i) for i in images if self._plans[i].looked is not None})

    def _picture(self, image: int) -> FormerTry:
        return FormerTry(self.order.shown[image], self._read_in(image), self._meant[image])

    def _put_back_better(self) -> None:
        """Deliver, of each image that still misses, the picture that most probably shows what it is assigned."""
        for i, shown in self.order.shown.items():
            plan = self._plans[i]
            best = self._former.better(i, self._picture(i), plan.assigned) if shown.missed else None
            if best is None:
                continue
            self._meant[i] = best.meant
            for name, known in self._read.items():
                known[i] = best.read[name]
            plan.shows = self._labels(i, self._as_seen(i, self._read_in(i)), SURE_AT_END)
            self.order.shown[i] = replace(
                best.shown,
                assigned=plan.assigned,
                missed=plan.shows != plan.assigned,
                repairs=shown.repairs,
                reseeds=shown.reseeds,
            )

    def lost(self) -> list[int]:
        """The steered images that show what they are assigned, but not what they were to keep, with a try left."""
        fitting = [i for i, shown in self.order.shown.items() if shown.steered_to and not shown.missed]
        plans = {i: self._plans[i] for i in fitting}
        left = [i for i, one in plans.items() if one.level < len(LEVELS) and one.looked is not None and not one.free]
        return sorted(i for i in left if self._lost(i, self._read_in(i)))

    def _lost(self, image: int, shares: Mapping[str, NDArray[np.float64]]) -> list[str]:
        return lost_groups(self._plans[image].held, self._as_seen(image, shares), self._defined)

    def _read_in(self, image: int) -> Read:
        return {name: known[image].copy() for name, known in self._read.items()}

    def _as_seen(self, image: int, read: Read) -> Read:
        """What people would see in a finished picture."""
        return self._seen.of(read, self._meant[image])

    def _labels(self, image: int, shares: Mapping[str, NDArray[np.float64]], sure: float) -> dict[str, str | None]:
        """The groups that an image shows of the attributes that it is assigned."""
        names = self._plans[image].assigned
        return {name: label(self._defined[name].group_names, shares[name], sure) for name in names}

    def regain(self, images: Sequence[int]) -> Steps:
        """Make images again more strongly. A picture that is no better is dropped, and the former one stays."""
        stretches = []
        for i in images:
            plan = self._plans[i]
            aim = Aim(plan.assigned, differing(plan.natural, plan.assigned), LEVELS[plan.level], plan.held)
            plan.level, plan.repairs = plan.level + 1, plan.repairs + 1
            take = partial(self._take_regained, i, aim)
            stretches.append(
                Stretch(order=self.order, image=i, seed=plan.seed, aim=aim, state=self._begin(i), take=take)
            )
        yield stretches

    def _take_regained(self, image: int, aim: Aim, arrival: Arrival) -> None:
        """Keep a new picture if it shows what it is assigned and what it was to keep; else the former one."""
        plan, shown, read = self._plans[image], self.order.shown[image], arrival.shares
        plan.evaluations += arrival.evaluations
        if arrival.finite:
            self._note(image, aim, read)
        if arrival.finite and not self._lost(image, read):
            shows = self._labels(image, self._as_seen(image, read), SURE_AT_END)
            if shows == plan.assigned:
                shown = replace(shown, picture=self.order.kept(arrival), strength=aim.strength)
                for name, known in self._read.items():
                    known[image] = read[name]
        self.order.shown[image] = replace(shown, repairs=plan.repairs, evaluations=plan.evaluations)

    def _to_look(self, images: Sequence[int]) -> Steps:
        """Run images plain up to the look."""
        seeds = {i: self._plans[i].seed for i in images}
        yield [
            Stretch(order=self.order, image=i, seed=seed, until=self._look, take=partial(self._take_look, i))
            for i, seed in seeds.items()
        ]

    def _take_look(self, image: int, arrival: Arrival) -> None:
        """Keep the state of an image at the look, and what the look reads in it.

        An image that is not finite there can only be made again from a new seed.
        """
        plan = self._plans[image]
        plan.evaluations += arrival.evaluations
        if arrival.finite:
            plan.looked = arrival.state
            if image not in self._looks:  # a new seed is in the place of an image that was often misread
                self._seen.note(arrival.shares)
            self._looks[image] = arrival.shares
        else:
            plan.level = len(LEVELS)
            self._looks[image] = {name: np.zeros(known.shape[1]) for name, known in self._read.items()}

    def _note_look(self, image: int) -> None:
        """Note what an image would show by itself. If that is not what it is assigned, it will be steered."""
        plan, natural = self._plans[image], self._looks[image]
        if plan.looked is not None:
            natural = self._seen.natural(natural)
        plan.natural = self._labels(image, natural, SURE_AT_LOOK)
        plan.natural_confidence = {name: float(natural[name].max()) for name in plan.assigned}
        plan.shows = {name: None if image in self._doubtful.get(name, ()) else g for name, g in plan.natural.items()}
        plan.held = natural_groups(self._brief.held, natural, self._defined)
        plan.steered = plan.shows != plan.assigned

    def _finish(self, images: Sequence[int]) -> Steps:
        """Take images from the look to the end. After the only step of a run, images to be steered begin again."""
        at_end = self._look == self._brief.times
        again = [i for i in images if at_end and self._plans[i].steered]
        for i in again:
            self._plans[i].steered = False
        yield from self._from({i: self._plans[i].looked for i in images})
        for i in again:
            self._plans[i].steered = True
        if again:
            yield from self._from({i: self._begin(i) for i in again})

    def _begin(self, image: int) -> State | None:
        """Where steering begins: at the look, or at the noise (None) in a run of one step."""
        return self._plans[image].looked if steering_start(self._brief.times, self._brief.card.start) else None

    def _from(self, states: Mapping[int, State | None]) -> Steps:
        """Finish images from these states, note what is read in them, and learn which strengths were enough."""
        levels = {i: self._level(self._plans[i]) for i in states}
        aims = {i: self._aim(self._plans[i], level) for i, level in levels.items()}
        takes = {i: partial(self._take, i, aims[i], levels[i]) for i in states}
        yield [
            Stretch(order=self.order, image=i, seed=self._plans[i].seed, aim=aims[i], state=state, take=takes[i])
            for i, state in states.items()
        ]

    def _take(self, image: int, aim: Aim, level: int, arrival: Arrival) -> None:
        """Note what a finished picture shows, and whether steering was strong enough."""
        plan = self._plans[image]
        plan.evaluations += arrival.evaluations
        self._dearest = max(self._dearest, arrival.since_noise)  # an image from a new seed would cost as much
        if not arrival.finite:
            plan.level = level + 1 if plan.steered else len(LEVELS)
            return
        if image in self.order.shown:
            self._former.add(image, self._picture(image))
        for name, known in self._read.items():
            known[image] = arrival.shares[name]
        self._note(image, aim, arrival.shares)
        plan.shows = self._labels(image, self._as_seen(image, arrival.shares), SURE_AT_END)
        if plan.steered:
            plan.level = level + 1
            if aim.held and plan.shows != plan.assigned:  # one more try at least, without the held groups
                plan.free, plan.level = True, min(plan.level, len(LEVELS) - 1)
            for name in aim.change:
                complied = plan.shows[name] == plan.assigned[name]
                key = (*self.order.key, name, plan.assigned[name])
                self.order.strengths.learn(key, level, complied=complied)
        self.order.shown[image] = Shown(
            picture=self.order.kept(arrival),
            seed=plan.seed,
            assigned=plan.assigned,
            natural=plan.natural,
            natural_confidence=plan.natural_confidence,
            steered_to=aim.assigned,
            held=aim.held,
            strength=aim.strength,
            repairs=plan.repairs,
            reseeds=plan.reseeds,
            missed=plan.shows != plan.assigned,
            evaluations=plan.evaluations,
        )

    def _note(self, image: int, aim: Aim, read: Read) -> None:
        """Note what was read in a finished picture, and what it was meant to show.

        Only the first attempt tells of such images: those that are read otherwise are made again, and often have a look
        that is always misread."""
        self._meant[image] = {**aim.held, **aim.assigned}
        first = {key: group for key, group in self._meant[image].items() if (image, key, group) not in self._noted}
        self._noted |= {(image, *item) for item in first.items()}
        self._seen.note(read, first)

    def _holding_effort(self) -> list[float] | None:
        """How hard it is to change each image: harder if it is less sure what it would show of held attributes."""
        held = self._brief.held
        if not held:
            return None
        sure = [float(np.prod([self._looks[i][name].max() for name in held])) for i in range(self.order.n)]
        return [1 + HARD_TO_HOLD * (1 - p) for p in sure]

    def _assign_at_look(self, shares: Shares, looked: Mapping[int, Assignment]) -> list[Assignment]:
        """Assign by what images would show by themselves, and steer those too that would leave too much to chance."""
        effort = self._holding_effort()
        while True:
            assigned = self._assign(shares, looked, SURE_AT_LOOK, effort)
            if not (more := self._in_doubt(shares, looked, assigned)):
                return assigned
            for name, images in more.items():
                self._doubtful.setdefault(name, set()).update(images)

    def _in_doubt(
        self, shares: Shares, looked: Mapping[int, Assignment], assigned: Sequence[Assignment]
    ) -> dict[str, list[int]]:
        """By attribute, images of an assignment that are to be steered though they would be left alone."""
        if not self._seen.rates:
            return {}
        natural, expected = self._natural(shares, looked), self._seen.all_of(shares, looked, word=True)
        found = {}
        for name in self._seen.rates.keys() & assigned[0].keys():
            groups = self._defined[name].group_names
            alone = [i for i in looked if label(groups, natural[name][i], SURE_AT_LOOK) == assigned[i][name]]
            found[name] = in_doubt(alone, expected[name])
        return {name: images for name, images in found.items() if images}

    def _natural(self, shares: Shares, looked: Mapping[int, Assignment]) -> Shares:
        """What people would see in images that are left alone. Images in doubt are not sure."""
        found = self._seen.all_of(shares, looked, look=True)
        for name, images in self._doubtful.items():
            for i in images:
                found[name][i] = unsure(found[name][i])
        return found

    def _assign(
        self, shares: Shares, meant: Mapping[int, Assignment], sure: float, effort: Sequence[float] | None = None
    ) -> list[Assignment]:
        """Assign by what people would see in images, of which `meant` tells what they were steered to."""
        expected = None
        if self._seen.rates:
            expected = self._seen.all_of(shares, meant, word=True)
            shares = self._natural(shares, meant) if sure == SURE_AT_LOOK else self._seen.all_of(shares, meant)
        return assignments(self._brief.targets, self.order.quotas, shares, sure, effort, expected)

    def _aim(self, plan: Plan, level: int) -> Aim:
        if not plan.steered:
            return PLAIN
        held = {} if plan.free else plan.held
        return Aim(plan.assigned, differing(plan.shows, plan.assigned), LEVELS[level], held)

    def _level(self, plan: Plan) -> int:
        """The level of strength for an image: one level for all its groups, because they are steered together."""
        changed = differing(plan.shows, plan.assigned)
        usual = [self.order.strengths.level((*self.order.key, name, plan.assigned[name])) for name in changed]
        return max([plan.level, *usual])

    def _plan_again(self, image: int) -> bool:
        """Plan one more try of an image. Return False if every try has failed."""
        plan = self._plans[image]
        plan.steered = True
        if plan.level == len(LEVELS):
            if plan.reseeds == RESEEDS:
                return False
            plan.seed, plan.level, plan.reseeds = (plan.seed + NEW_SEED) % SEEDS, 0, plan.reseeds + 1
            plan.looked = None
            for images in self._doubtful.values():
                images.discard(image)
        return True
