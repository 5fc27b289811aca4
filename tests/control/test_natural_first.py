"""Natural-first control in a world that is known: what each image shows by itself, and what steering takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from known_world import STEPS, World
from PIL import Image

from fair_diffusion.backbones import Guide, StableDiffusion
from fair_diffusion.control.assignments import Shares
from fair_diffusion.control.natural_first import NEW_SEED, RESEEDS
from fair_diffusion.control.order import Order
from fair_diffusion.control.strengths import LEVELS
from fair_diffusion.control.tries import SPARE
from fair_diffusion.policy import Attributes, Target
from fair_diffusion.policy.target import cells as all_cells
from fair_diffusion.steering.brief import Aimed
from fair_diffusion.steering.semantic import SemanticGuidance
from fair_diffusion.steering.window import look_step

PLAIN = 2 * STEPS
REPAIR = 2 * (STEPS - look_step(STEPS))


def genders(text: str) -> list[dict[str, str | None]]:
    return [{"gender": {"w": "woman", "m": "man", "a": "androgynous", "?": None}[letter]} for letter in text]


def assigned(drawn: Order) -> Counter[str]:
    return Counter(shown.assigned["gender"] for shown in drawn.finished)


@pytest.fixture(scope="module")
def backbone(shallow_sd: Any) -> StableDiffusion:
    return StableDiffusion(shallow_sd)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text("wma?", min_size=1, max_size=9), percent=st.integers(0, 100))
def test_quotas_are_met_and_only_the_surplus_is_steered(backbone: StableDiffusion, text: str, percent: int) -> None:
    drawn = World(backbone, genders(text)).run(f"doctor: {percent}% woman, {100 - percent}% man")
    wanted = assigned(drawn)
    natural = Counter(group["gender"] for group in genders(text))
    kept = sum(min(natural[group], wanted[group]) for group in ("woman", "man"))
    assert abs(wanted["woman"] - len(text) * percent / 100) < 1
    assert sum(not shown.steered_to for shown in drawn.finished) == kept
    assert [shown.evaluations for shown in drawn.finished] == [PLAIN] * len(text)
    assert not any(shown.missed or shown.repairs or shown.reseeds for shown in drawn.finished)
    assert drawn.notes == []
    for shown, group in zip(drawn.finished, genders(text), strict=True):
        assert shown.natural == group
        assert shown.strength == (1.0 if shown.steered_to else 0.0)
        assert shown.steered_to == (shown.assigned if shown.steered_to else {})


def test_wrong_looks_that_cancel_out_cost_nothing(backbone: StableDiffusion) -> None:
    world = World(backbone, genders("wmwm"), looks=genders("mwwm"))
    drawn = world.run("doctor: half women, half men")
    assert [shown.assigned for shown in drawn.finished] == genders("wmwm")
    assert not any(shown.steered_to or shown.repairs or shown.missed for shown in drawn.finished)


def test_a_wrong_look_is_repaired_from_the_saved_state(backbone: StableDiffusion) -> None:
    drawn = World(backbone, genders("mmwm"), looks=genders("wmwm")).run("doctor: half women, half men")
    assert assigned(drawn) == {"woman": 2, "man": 2}
    (repaired,) = [shown for shown in drawn.finished if shown.repairs]
    assert repaired.steered_to == repaired.assigned
    assert not repaired.missed
    assert (repaired.repairs, repaired.reseeds) == (1, 0)
    assert repaired.evaluations == PLAIN + REPAIR


def test_a_miss_is_repaired_more_strongly_and_that_is_learnt(backbone: StableDiffusion) -> None:
    world = World(backbone, genders("m" * 8), needs={"woman": LEVELS[1]})
    drawn = world.run("doctor: all women", repair_budget=1)
    assert [shown.strength for shown in drawn.finished[:3]] == [LEVELS[1]] * 3
    assert [shown.repairs for shown in drawn.finished] == [1] * 6 + [0] * 2  # known after two batches of three
    again = world.run("doctor: all women")
    assert not any(shown.repairs for shown in again.finished)


def test_the_last_resort_is_a_new_seed_and_giving_up_is_said(backbone: StableDiffusion) -> None:
    drawn = World(backbone, genders("mm"), needs={"woman": 99.0}).run("doctor: all women", repair_budget=100)
    for i, shown in enumerate(drawn.finished):
        assert shown.missed
        assert shown.reseeds == RESEEDS
        assert shown.seed == i + RESEEDS * NEW_SEED
        assert shown.natural == {"gender": "man"}
    assert drawn.notes == ["everything was tried: 2 of 2 images do not surely show what was assigned"]
    assert not drawn.interrupted


@pytest.mark.parametrize(("n", "budget", "images"), [(12, 0.0, 0), (12, 0.01, SPARE), (1, 0.5, SPARE), (12, 0.5, 6)])
def test_the_budget_bounds_the_repairs(backbone: StableDiffusion, n: int, budget: float, images: int) -> None:
    world = World(backbone, genders("m" * n), needs={"woman": 99.0})
    drawn = world.run("doctor: all women", repair_budget=budget)
    spent = sum(shown.evaluations for shown in drawn.finished) - n * PLAIN
    assert images * PLAIN - PLAIN < spent <= images * PLAIN or spent == images == 0
    assert drawn.notes == [f"the repair budget is spent: {n} of {n} images do not surely show what was assigned"]
    assert all(shown.missed for shown in drawn.finished)


@pytest.mark.parametrize(("n", "budget", "images"), [(12, 0.0, 0), (12, 0.01, SPARE), (12, 0.5, 6)])
def test_the_budget_holds_where_steering_is_dear(backbone: StableDiffusion, n: int, budget: float, images: int) -> None:
    """Two concepts at every step after the look: an image then costs 10 + 8 evaluations from its seed on."""

    class Dear(World):
        def guide(self, images: Sequence[Aimed]) -> Guide:
            towards = torch.tensor([[aim.strength] * 2 for _, aim in images])
            asked = SemanticGuidance(warmup=look_step(STEPS), momentum_in_warmup=False)
            steering = asked.steer(self.backbone.encode(["female person", "male person"]), towards)
            return replace(super().guide(images), steering=steering.start(range(len(images))))

    drawn = Dear(backbone, genders("m" * n), needs={"woman": 99.0}).run("doctor: all women", repair_budget=budget)
    assert {shown.evaluations for shown in drawn.finished} <= {18 + again for again in (0, 16, 32)}
    spent = sum(shown.evaluations - 18 for shown in drawn.finished)
    assert spent == images * PLAIN // 18 * 16


def test_an_image_from_a_new_seed_is_looked_at_anew(backbone: StableDiffusion) -> None:
    """If it would fit by itself it goes on plain, and its record tells of the seed that made it."""

    class Lucky(World):
        natural = "w"

        def looked(self, images: Sequence[int]) -> Sequence[Mapping[str, str | None]]:
            self.natural = "w" if self.natural == "m" else "m"  # at the first look a man, at the second a woman
            return genders(self.natural)

        def made(self, pictures: Sequence[Image.Image]) -> list[dict[str, str | None]]:
            return genders("m" if self.aims[0].assigned else self.natural)

    (shown,) = Lucky(backbone, genders("m")).run("doctor: all women", repair_budget=100).finished
    assert (shown.reseeds, shown.seed) == (1, NEW_SEED)
    assert shown.natural == {"gender": "woman"}
    assert shown.steered_to == {}
    assert not shown.missed


def test_others_change_in_place_of_an_image_that_cannot(backbone: StableDiffusion) -> None:
    class Stubborn(World):
        def made(self, pictures: Sequence[Image.Image]) -> list[dict[str, str | None]]:
            made = super().made(pictures)
            return [{"gender": "man"} if i == 0 else group for i, group in zip(self.images, made, strict=True)]

    drawn = Stubborn(backbone, genders("mm")).run("doctor: half women, half men", repair_budget=100)
    first, second = drawn.finished
    assert first.assigned == first.natural == {"gender": "man"}
    assert second.assigned == second.steered_to == {"gender": "woman"}
    assert not any(shown.missed for shown in drawn.finished)
    assert drawn.notes == []
    if first.repairs:  # it was first to be the woman: its record says what it was drawn as
        assert first.steered_to == {"gender": "woman"}


class Fading(World):
    """Steered pictures show a woman less and less surely: the probability of each try, in order."""

    tries: Sequence[float] = (0.55, 0.6, 0.3, 0.2, 0.1, 0.05)

    def perceive(self, pictures: Sequence[Image.Image], defined: Attributes) -> Shares:
        woman, *self.tries = self.tries
        return {"gender": np.array([[woman, 0.3, 0.0]])}


def test_of_an_image_that_is_given_up_the_best_try_is_delivered(backbone: StableDiffusion) -> None:
    (shown,) = Fading(backbone, genders("m")).run("doctor: all women", repair_budget=100).finished
    assert (shown.seed, shown.strength) == (0, LEVELS[1])
    assert shown.steered_to == shown.assigned == {"gender": "woman"}
    assert shown.missed
    assert (shown.repairs, shown.reseeds) == (5, RESEEDS)
    assert shown.evaluations == PLAIN + REPAIR + RESEEDS * (PLAIN + REPAIR)


def test_the_best_try_is_delivered_where_the_budget_ends(backbone: StableDiffusion) -> None:
    first = Fading(backbone, genders("m"))
    first.tries = (0.6, 0.4, *first.tries[2:])
    (shown,) = first.run("doctor: all women", repair_budget=0.5).finished
    assert (shown.seed, shown.strength) == (0, LEVELS[0])
    assert shown.missed
    assert shown.repairs > 1


def test_joint_and_separate_targets(backbone: StableDiffusion) -> None:
    people: list[dict[str, str | None]] = [{"gender": "man", "skin_tone": "light"} for _ in range(20)]
    cells = {cell: Fraction(cell[0] != "androgynous", 10) for cell in all_cells(("gender", "skin_tone"))}
    joint = World(backbone, people).run(Target(("gender", "skin_tone"), cells))
    both = Counter((shown.assigned["gender"], shown.assigned["skin_tone"]) for shown in joint.finished)
    separate = World(backbone, people).run("doctor: half women; skin tone uniform")
    for drawn in (joint, separate):
        assert Counter(shown.assigned["gender"] for shown in drawn.finished) == {"woman": 10, "man": 10}
        assert set(Counter(shown.assigned["skin_tone"] for shown in drawn.finished).values()) == {4}
        assert not any(shown.missed for shown in drawn.finished)
        assert all(bool(shown.steered_to) == (shown.assigned != people[0]) for shown in drawn.finished)
    assert set(both.values()) == {2}
    assert len(both) == 10


@pytest.mark.parametrize(("steps", "finished"), [(0, 0), (3, 0), (7, 3), (12, 6), (15, 7), (17, 7)])
def test_an_interrupt_keeps_what_is_finished(backbone: StableDiffusion, steps: int, finished: int) -> None:
    world = World(backbone, genders("m" * 7), needs={"woman": LEVELS[1]})
    world.interrupt_at = steps
    drawn = world.run("doctor: all women", repair_budget=1)
    assert len(drawn.finished) == finished
    assert "interrupted" in drawn.notes[-1]
    assert drawn.interrupted
    assert sum(shown.evaluations for shown in drawn.finished) <= world.backbone.evaluations
    assert all(shown.missed for shown in drawn.finished[:3])
