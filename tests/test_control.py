"""Natural-first control in a world that is known: what each image shows by itself, and what steering takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fair_diffusion.allocation import plan
from fair_diffusion.backbones import Guide, StableDiffusion, StepInfo
from fair_diffusion.control import NEW_SEED, RESEEDS, SPARE, Aim, Drawn, NaturalFirst, Shares, look_step
from fair_diffusion.policy import ATTRIBUTES, Policy, Target
from fair_diffusion.policy.target import cells as all_cells
from fair_diffusion.request import Request
from fair_diffusion.strengths import LEVELS, Strengths

STEPS = 5
PLAIN = 2 * STEPS
REPAIR = 2 * (STEPS - look_step(STEPS))


class World:
    """Images that show `looks` mid-way and `shows` in the end, unless steered at least as strongly as `needs` says.

    A group that is not in `needs` takes the usual strength. An image from a new seed shows what it did.
    """

    def __init__(
        self,
        backbone: StableDiffusion,
        shows: Sequence[Mapping[str, str | None]],
        *,
        looks: Sequence[Mapping[str, str | None]] | None = None,
        needs: Mapping[str, float] | None = None,
    ) -> None:
        self.backbone, self.shows, self.looks, self.needs = backbone, shows, looks or shows, needs or {}
        self.aims: Sequence[Aim] = []
        self.images: Sequence[int] = []
        self.strengths = Strengths()
        self.interrupt_at: int | None = None

    def run(self, instruction: str | Target, **request: Any) -> Drawn:
        targets: tuple[Target, ...] = (instruction,) if isinstance(instruction, Target) else ()
        if isinstance(instruction, str):
            targets = Policy.from_sentence(instruction).rules[0].targets
        asked = Request(prompt="a doctor", n=len(self.shows), steps=STEPS, guidance=2.0, batch_size=3, **request)
        return NaturalFirst(
            backbone=self.backbone,
            request=asked,
            targets=targets,
            quotas=plan(targets, asked.n, asked.seed),
            guide=self.guide,
            look=lambda batch: self.read([self.looks[i] for i in batch.images], targets),
            perceive=lambda pictures: self.read(self.made(pictures), targets),
            concept=("world",),
            strengths=self.strengths,
            on_step=self.on_step,
        ).run()

    def guide(self, aims: Sequence[Aim]) -> Guide:
        self.aims = aims
        rows = [0] * len(aims)
        return Guide(self.backbone.encode(["a doctor"])[rows], self.backbone.encode([""])[rows], 2.0)

    def on_step(self, info: StepInfo) -> None:
        self.images = info.images
        if self.interrupt_at is not None:
            self.interrupt_at -= 1
            if self.interrupt_at < 0:
                raise KeyboardInterrupt

    def made(self, pictures: Sequence[Image.Image]) -> list[dict[str, str | None]]:
        assert len(pictures) == len(self.images) == len(self.aims)
        return [
            {
                name: aim.assigned[name]
                if name in aim.assigned and aim.strength[name] >= self.needs.get(aim.assigned[name], 1.0)
                else own
                for name, own in self.shows[i].items()
            }
            for i, aim in zip(self.images, self.aims, strict=True)
        ]

    def read(self, labels: Sequence[Mapping[str, str | None]], targets: Sequence[Target]) -> Shares:
        def row(name: str, group: str | None) -> list[float]:
            return [0.9 if g == group else 0.02 for g in ATTRIBUTES[name].group_names]

        names = [name for target in targets for name in target.attributes]
        return {name: np.array([row(name, label[name]) for label in labels]) for name in names}


def genders(text: str) -> list[dict[str, str | None]]:
    return [{"gender": {"w": "woman", "m": "man", "a": "androgynous", "?": None}[letter]} for letter in text]


def assigned(drawn: Drawn) -> Counter[str]:
    return Counter(shown.assigned["gender"] for shown in drawn.shown)


@pytest.fixture(scope="module")
def backbone(tiny_sd: Any) -> StableDiffusion:
    return StableDiffusion(tiny_sd)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text("wma?", min_size=1, max_size=9), percent=st.integers(0, 100))
def test_quotas_are_met_and_only_the_surplus_is_steered(backbone: StableDiffusion, text: str, percent: int) -> None:
    drawn = World(backbone, genders(text)).run(f"doctor: {percent}% woman, {100 - percent}% man")
    wanted = assigned(drawn)
    natural = Counter(group["gender"] for group in genders(text))
    kept = sum(min(natural[group], wanted[group]) for group in ("woman", "man"))
    assert abs(wanted["woman"] - len(text) * percent / 100) < 1
    assert sum(not shown.steered for shown in drawn.shown) == kept
    assert [shown.evaluations for shown in drawn.shown] == [PLAIN] * len(text)
    assert not any(shown.missed or shown.repairs or shown.reseeds for shown in drawn.shown)
    assert drawn.notes == []
    for shown, group in zip(drawn.shown, genders(text), strict=True):
        assert shown.natural == group
        assert shown.strength == ({"gender": 1.0} if shown.steered else {})


def test_wrong_looks_that_cancel_out_cost_nothing(backbone: StableDiffusion) -> None:
    world = World(backbone, genders("wmwm"), looks=genders("mwwm"))
    drawn = world.run("doctor: half women, half men")
    assert [shown.assigned for shown in drawn.shown] == genders("wmwm")
    assert not any(shown.steered or shown.repairs or shown.missed for shown in drawn.shown)


def test_a_wrong_look_is_repaired_from_the_saved_state(backbone: StableDiffusion) -> None:
    drawn = World(backbone, genders("mmwm"), looks=genders("wmwm")).run("doctor: half women, half men")
    assert assigned(drawn) == {"woman": 2, "man": 2}
    (repaired,) = [shown for shown in drawn.shown if shown.repairs]
    assert repaired.steered
    assert not repaired.missed
    assert (repaired.repairs, repaired.reseeds) == (1, 0)
    assert repaired.evaluations == PLAIN + REPAIR


def test_a_miss_is_repaired_more_strongly_and_that_is_learnt(backbone: StableDiffusion) -> None:
    world = World(backbone, genders("m" * 8), needs={"woman": LEVELS[1]})
    drawn = world.run("doctor: all women", repair_budget=1)
    assert [shown.strength["gender"] for shown in drawn.shown[:3]] == [LEVELS[1]] * 3
    assert [shown.repairs for shown in drawn.shown] == [1] * 6 + [0] * 2  # known after two batches of three
    again = world.run("doctor: all women")
    assert not any(shown.repairs for shown in again.shown)


def test_the_last_resort_is_a_new_seed_and_giving_up_is_said(backbone: StableDiffusion) -> None:
    drawn = World(backbone, genders("mm"), needs={"woman": 99.0}).run("doctor: all women", repair_budget=100)
    for i, shown in enumerate(drawn.shown):
        assert shown.missed
        assert shown.reseeds == RESEEDS
        assert shown.seed == i + RESEEDS * NEW_SEED
    assert drawn.notes == ["2 of 2 images do not surely show what was assigned, whatever was tried"]


def test_the_budget_bounds_the_repairs(backbone: StableDiffusion) -> None:
    drawn = World(backbone, genders("m" * 12), needs={"woman": 99.0}).run("doctor: all women", repair_budget=0)
    spent = sum(shown.evaluations for shown in drawn.shown) - 12 * PLAIN
    assert SPARE * PLAIN <= spent <= SPARE * PLAIN + 3 * PLAIN
    assert drawn.notes == ["the repair budget is spent: 12 of 12 images do not surely show what was assigned"]


def test_others_change_in_place_of_an_image_that_cannot(backbone: StableDiffusion) -> None:
    class Stubborn(World):
        def made(self, pictures: Sequence[Image.Image]) -> list[dict[str, str | None]]:
            made = super().made(pictures)
            return [{"gender": "man"} if i == 0 else group for i, group in zip(self.images, made, strict=True)]

    drawn = Stubborn(backbone, genders("mm")).run("doctor: half women, half men", repair_budget=100)
    assert sorted(shown.assigned["gender"] for shown in drawn.shown) == ["man", "woman"]
    assert not any(shown.missed for shown in drawn.shown)
    assert drawn.notes == []


def test_joint_and_separate_targets(backbone: StableDiffusion) -> None:
    people: list[dict[str, str | None]] = [{"gender": "man", "skin_tone": "light"} for _ in range(20)]
    cells = {cell: Fraction(cell[0] != "androgynous", 10) for cell in all_cells(("gender", "skin_tone"))}
    joint = World(backbone, people).run(Target(("gender", "skin_tone"), cells))
    both = Counter((shown.assigned["gender"], shown.assigned["skin_tone"]) for shown in joint.shown)
    separate = World(backbone, people).run("doctor: half women; skin tone uniform")
    for drawn in (joint, separate):
        assert Counter(shown.assigned["gender"] for shown in drawn.shown) == {"woman": 10, "man": 10}
        assert set(Counter(shown.assigned["skin_tone"] for shown in drawn.shown).values()) == {4}
        assert not any(shown.missed for shown in drawn.shown)
        assert all(shown.steered == (shown.assigned != people[0]) for shown in drawn.shown)
    assert set(both.values()) == {2}
    assert len(both) == 10


@pytest.mark.parametrize(("steps", "finished"), [(0, 0), (3, 0), (7, 3), (12, 6), (15, 7), (17, 7)])
def test_an_interrupt_keeps_what_is_finished(backbone: StableDiffusion, steps: int, finished: int) -> None:
    world = World(backbone, genders("m" * 7), needs={"woman": LEVELS[1]})
    world.interrupt_at = steps
    drawn = world.run("doctor: all women", repair_budget=1)
    assert len(drawn.shown) == finished
    assert "interrupted" in drawn.notes[-1]
    assert all(shown.missed for shown in drawn.shown[:3])
