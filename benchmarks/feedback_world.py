"""The loop of labels in a world that is known: natural-first control itself, without a network, many times over.

20 concepts differ in the women whom they show by themselves, and in how often a woman there has a look that a
perceiver calls a man. The wrong one calls a third of short-haired women men, whose share differs from concept to
concept; the worse one errs in a quarter of all women on average, and in some concepts in most of them. An image keeps
its look when it is made again with the same seed. All perceivers err in 1 of 100 images besides. Steering reaches its
group in 9 of 10 images at the usual strength, in 98 of 100 at the next. Target: half women. Labels are of 50 images of
each concept, drawn without a calibration. Each repetition draws world, images and labels anew. `benchmarks.feedback`
does the same with the pocket model.

    python -m benchmarks.feedback_world [--repetitions 4]      → a table, and benchmarks/feedback_world.md
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom

from fair_diffusion.control import natural_first
from fair_diffusion.control.order import Arrival
from fair_diffusion.control.seen import Seen
from fair_diffusion.control.strengths import Strengths
from fair_diffusion.models.cards import card_named
from fair_diffusion.perception.calibrating import calibrated
from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.perception.kept_chances import kept_chances
from fair_diffusion.perception.labelled_image import LabelledImage
from fair_diffusion.policy import Policy, built_in
from fair_diffusion.policy.concepts import lists
from fair_diffusion.statistics.metrics import total_variation
from fair_diffusion.steering.window import look_step

Array = NDArray[np.float64]
GROUPS = built_in()["gender"].group_names
WOMAN, MAN = GROUPS.index("woman"), GROUPS.index("man")
CONCEPTS, IMAGES, POOL, STEPS = 20, 100, 50, 15
LABELS = (0, 50, 100, 300, 1_000)
COMPLY = {0: 0.9, 1: 0.98}
"""How often steering reaches its group, by the level of strength."""
NAMES = list(lists()["occupations"])[:CONCEPTS]
SURE = 0.97
"""The perceiver's probability of the group that it reads."""


class Drawn(NamedTuple):
    """Images of one concept.

    Attributes:
        people: what people see in each.
        read: what the perceiver reads in each.
        chances: as `kept_chances` gives them.
        ratio: the evaluations over plain ones.
    """

    people: list[int]
    read: list[int]
    chances: list[float]
    ratio: float


class World:
    """One concept: who is shown, and who is misread."""

    def __init__(self, rng: np.random.Generator, perceiver: str) -> None:
        self.women = float(rng.beta(0.5, 0.7))
        missed = {"right": 0.0, "wrong": float(rng.beta(2, 2)) / 3, "worse": float(rng.beta(1.5, 4.5))}
        self.missed = missed[perceiver]
        self.noise = 0.01
        self._rng = rng

    def draw(self, n: int, calibration: Any, name: str) -> Drawn:
        """Draw n images."""
        self._natural: dict[int, int] = {}
        self._look: dict[int, bool] = {}
        order = self._order(n, calibration, name)
        people: dict[int, int] = {}
        read: dict[int, int] = {}
        steps = natural_first.draw(order)
        for stretches in steps:
            for each in stretches:
                shown = self._shown(each)
                reading = self._read(each.seed, shown)
                if each.until is None:
                    people[each.image], read[each.image] = shown, reading
                cost = STEPS if each.state is None and each.until is None else (each.until or STEPS - order.look)
                p = np.full(len(GROUPS), (1 - SURE) / (len(GROUPS) - 1))
                p[reading] = SURE
                arrival = SimpleNamespace(
                    state=each.seed,
                    evaluations=(3 if each.aim.strength else 2) * cost,
                    shares={"gender": p},
                    finite=True,
                    since_noise=2 * STEPS,
                )
                each.take(cast(Arrival, arrival))
        spent = sum(shown.evaluations for shown in order.shown.values())
        kept = [order.shown[i] for i in range(n)]
        chances = kept_chances([one.natural["gender"] for one in kept], [one.strength > 0 for one in kept])
        return Drawn([people[i] for i in range(n)], [read[i] for i in range(n)], chances, spent / (2 * STEPS * n))

    def _order(self, n: int, calibration: Calibration | None, name: str) -> Any:
        """What natural-first control asks of an order and of its brief."""
        (target,) = Policy.from_sentence("doctor: half women, half men").rules[0].targets
        known = calibration.find("perceiver", "world", built_in()["gender"]) if calibration else None
        card = card_named("pocket")
        brief = SimpleNamespace(
            attributes=("gender",), held=(), definitions=built_in(), targets=(target,), times=STEPS, card=card
        )
        asked = SimpleNamespace(seed=0, batch_size=25, repair_budget=0.25, natural_first=True)
        return SimpleNamespace(
            brief=brief,
            request=asked,
            n=n,
            quotas=[[round(n * float(share)) for share in target.shares.values()]],
            seen=Seen({"gender": known.of(name)}, {"gender": GROUPS}, "v") if known else Seen(),
            strengths=Strengths(),
            key=("world",),
            plain_evaluations=2 * STEPS,
            shown={},
            notes=[],
            kept=lambda arrival: Path("none"),
            look=look_step(STEPS, card.start),
        )

    def _shown(self, stretch: Any) -> int:
        """What people see at the end of a stretch."""
        own = self._natural.setdefault(stretch.seed, WOMAN if self._rng.random() < self.women else MAN)
        if not stretch.aim.strength:
            return own
        reached = self._rng.random() < COMPLY[int(stretch.aim.strength > 1)]
        return GROUPS.index(stretch.aim.assigned["gender"]) if reached else own

    def _read(self, seed: int, shown: int) -> int:
        """What the perceiver reads: a look stays with its seed."""
        look = self._look.setdefault(seed, bool(self._rng.random() < self.missed))
        if shown == WOMAN and look:
            return MAN
        return (MAN if shown == WOMAN else WOMAN) if self._rng.random() < self.noise else shown


@dataclass(frozen=True)
class Known:
    """A calibration from any number of labels: the rates as they are."""

    worlds: Mapping[str, World]

    def find(self, *asked: object) -> Known:
        """The rates of the perceiver."""
        return self

    def of(self, concept: str) -> Array:
        """The rates of a concept."""
        world, found = self.worlds[concept], np.eye(len(GROUPS) + 1)
        read_woman = (1 - world.missed) * (1 - world.noise)
        found[WOMAN, [WOMAN, MAN]] = read_woman, 1 - read_woman
        found[MAN, [WOMAN, MAN]] = world.noise, 1 - world.noise
        return found


def calibration_of(pools: Mapping[str, Drawn], labels: int, rng: np.random.Generator) -> Calibration | None:
    """What so many labels say, drawn at random from the images of all concepts."""
    if not labels:
        return None
    every = [(name, i) for name, pool in pools.items() for i in range(len(pool.people))]
    rows = [
        LabelledImage(
            reader="perceiver",
            model="world",
            attribute="gender",
            people=GROUPS[pools[name].people[i]],
            read=GROUPS[pools[name].read[i]],
            concept=name,
            probability=pools[name].chances[i],
        )
        for name, i in (every[k] for k in rng.permutation(len(every))[:labels])
        if pools[name].chances[i] > 0
    ]
    return calibrated(rows, built_in())


def repetition(seed: int, perceiver: str) -> dict[int | None, tuple[float, float, float]]:
    """By number of labels (None: the rates are known): the mean and the largest deviation as people see it, and the
    evaluations over plain ones."""
    rng = np.random.default_rng(seed)
    worlds = {name: World(rng, perceiver) for name in NAMES}
    pools = {name: world.draw(POOL, None, name) for name, world in worlds.items()}
    target = [0.5 if k in (WOMAN, MAN) else 0.0 for k in range(len(GROUPS))]
    found = dict[int | None, tuple[float, float, float]]()
    for labels in (*LABELS, None):
        calibration = Known(worlds) if labels is None else calibration_of(pools, labels, rng)
        off, ratio = [], []
        for name, world in worlds.items():
            people, _, _, cost = world.draw(IMAGES, calibration, name)
            off.append(float(total_variation(np.bincount(people, minlength=len(GROUPS)) / IMAGES, target)))
            ratio.append(cost)
        found[labels] = float(np.mean(off)), max(off), float(np.mean(ratio))
    return found


def left_alone(labels: int | None, *, draws: int = 4_000) -> float:
    """The mean deviation of any method that leaves as many images alone as it can, with the wrong perceiver.

    Of n images a share w shows women, of whom a share m is read as men: a share R = 1 − w (1 − m) of the images. Of
    these a share q = (1 − w) / R shows people men. L = min(R n, n / (2 q)) of them are left alone, and the quotas are
    shifted by what is expected of them, without noise and without misses. What is left is how they fall out, and what
    the labels leave open of m:

        E|deviation| = √(2 / π) · √(L q (1 − q) + L² (∂q/∂m)² Var(m | labels)) / n,   ∂q/∂m = −w / ((1 − m) R)

    (R is known, since it is read). The variance is that of the posterior under the distribution of m in this world, so
    no estimator does better on average: its N labels are of women, half of all labels of a concept.

    Args:
        labels: of all concepts together; None if m is known.
        draws: concepts drawn.
    """
    rng = np.random.default_rng(0)
    grid = (np.arange(400) + 0.5) / 1_200
    prior = beta.pdf(3 * grid, 2, 2)
    found = []
    for _ in range(draws):
        world = World(rng, "wrong")
        w, m = world.women, world.missed
        open_to = 0.0
        if labels is not None:
            women = round(labels / CONCEPTS / 2)
            posterior = prior * binom.pmf(rng.binomial(women, m), women, grid)
            posterior /= posterior.sum()
            open_to = float(posterior @ grid**2 - (posterior @ grid) ** 2)
        read = 1 - w * (1 - m)
        q = (1 - w) / read
        alone = min(read * IMAGES, IMAGES / 2 / max(q, 1e-9))
        slope = w / ((1 - m) * read)
        found.append(np.sqrt(alone * q * (1 - q) + (alone * slope) ** 2 * open_to) / IMAGES)
    return float(np.sqrt(2 / np.pi) * np.mean(found))


def main(repetitions: int) -> str:
    """The table."""
    lines = [f"# Labels close the loop in a known world: {CONCEPTS} × {IMAGES} images, {repetitions} repetitions", ""]
    lines += ["| perceiver | labels | TV people, mean | worst repetition | worst concept, mean | evaluations |"]
    lines += ["|---|---|---|---|---|---|"]
    for perceiver in ("wrong", "worse", "right"):
        runs = [repetition(seed, perceiver) for seed in range(repetitions)]
        for labels in (*LABELS, None):
            mean, worst, ratio = (np.array([run[labels][k] for run in runs]) for k in range(3))
            cells = [
                perceiver,
                "rates known" if labels is None else f"{labels:,}",
                f"{mean.mean():.3f}",
                f"{mean.max():.3f}",
            ]
            lines.append(f"| {' | '.join([*cells, f'{worst.mean():.3f}', f'{ratio.mean():.2f}×'])} |")
    bounds = [f"{left_alone(labels):.3f} with {labels:,} labels" for labels in LABELS if labels]
    lines += [
        "",
        "A bound for the wrong perceiver: a method that leaves every image alone that reads as its group, and",
    ]
    lines += ["shifts the quotas as well as anybody could, deviates on average by at least"]
    lines += [f"{', '.join(bounds)}, and by {left_alone(None):.3f} if the rates are known."]
    lines += ["Control gets below it by steering the images that leave too much to chance."]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=4)
    text = main(parser.parse_args().repetitions)
    Path(__file__).with_suffix(".md").write_text(text)
    print(text)
