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
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.control import natural_first
from fair_diffusion.control.order import Arrival
from fair_diffusion.control.seen import Seen
from fair_diffusion.control.strengths import Strengths
from fair_diffusion.models.cards import card_named
from fair_diffusion.perception.calibration import Calibration, LabelledImage, calibrated
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


class World:
    """One concept: who is shown, and who is misread."""

    def __init__(self, rng: np.random.Generator, perceiver: str) -> None:
        self.women = float(rng.beta(0.5, 0.7))
        missed = {"right": 0.0, "wrong": float(rng.beta(2, 2)) / 3, "worse": float(rng.beta(1.5, 4.5))}
        self.missed = missed[perceiver]
        self.noise = 0.01
        self._rng = rng

    def draw(self, n: int, calibration: Calibration | None, name: str) -> tuple[list[int], list[int], float]:
        """What people see and what the perceiver reads in each of n images, and the evaluations over plain ones."""
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
                    state=each.seed, evaluations=2 * cost, shares={"gender": p}, finite=True, since_noise=2 * STEPS
                )
                each.take(cast(Arrival, arrival))
        spent = sum(shown.evaluations for shown in order.shown.values())
        return [people[i] for i in range(n)], [read[i] for i in range(n)], spent / (2 * STEPS * n)

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


def calibration_of(pools: Mapping[str, tuple[list[int], list[int]]], labels: int, rng: np.random.Generator) -> Any:
    """What so many labels say, drawn at random from the images of all concepts."""
    if not labels:
        return None
    every = [(name, i) for name, (people, _) in pools.items() for i in range(len(people))]
    rows = [
        LabelledImage(
            reader="perceiver",
            model="world",
            attribute="gender",
            people=GROUPS[pools[name][0][i]],
            read=GROUPS[pools[name][1][i]],
            concept=name,
        )
        for name, i in (every[k] for k in rng.permutation(len(every))[:labels])
    ]
    return calibrated(rows, built_in())


def repetition(seed: int, perceiver: str) -> dict[int, tuple[float, float, float]]:
    """By number of labels: the mean and the largest deviation as people see it, and the evaluations over plain ones."""
    rng = np.random.default_rng(seed)
    worlds = {name: World(rng, perceiver) for name in NAMES}
    pools = {name: world.draw(POOL, None, name)[:2] for name, world in worlds.items()}
    target = [0.5 if k in (WOMAN, MAN) else 0.0 for k in range(len(GROUPS))]
    found = {}
    for labels in LABELS:
        calibration = calibration_of(pools, labels, rng)
        off, ratio = [], []
        for name, world in worlds.items():
            people, _, cost = world.draw(IMAGES, calibration, name)
            off.append(float(total_variation(np.bincount(people, minlength=len(GROUPS)) / IMAGES, target)))
            ratio.append(cost)
        found[labels] = float(np.mean(off)), max(off), float(np.mean(ratio))
    return found


def main(repetitions: int) -> str:
    """The table."""
    lines = [f"# Labels close the loop in a known world: {CONCEPTS} × {IMAGES} images, {repetitions} repetitions", ""]
    lines += ["| perceiver | labels | TV people, mean | worst repetition | worst concept, mean | evaluations |"]
    lines += ["|---|---|---|---|---|---|"]
    for perceiver in ("wrong", "worse", "right"):
        runs = [repetition(seed, perceiver) for seed in range(repetitions)]
        for labels in LABELS:
            mean, worst, ratio = (np.array([run[labels][k] for run in runs]) for k in range(3))
            cells = [perceiver, f"{labels:,}", f"{mean.mean():.3f}", f"{mean.max():.3f}"]
            lines.append(f"| {' | '.join([*cells, f'{worst.mean():.3f}', f'{ratio.mean():.2f}×'])} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=4)
    text = main(parser.parse_args().repetitions)
    Path(__file__).with_suffix(".md").write_text(text)
    print(text)
