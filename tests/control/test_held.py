"""Held attributes under natural-first control: a steered image keeps what nobody asked to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from known_world import STEPS, World

from fair_diffusion.backbones import StableDiffusion
from fair_diffusion.control.strengths import LEVELS
from fair_diffusion.steering.window import look_step

HALF = "doctor: half women, half men"
REPAIR = 2 * (STEPS - look_step(STEPS))
MEN = [{"gender": "man", "skin_tone": tone} for tone in ("dark", "medium", "light", "dark")]
"""What four images show by themselves."""


@pytest.fixture(scope="module")
def backbone(shallow_sd: Any) -> StableDiffusion:
    return StableDiffusion(shallow_sd)


def world(backbone: StableDiffusion, shows: list[Any] = MEN, **told: Any) -> World:
    """A world in which every steered image becomes light, unless it is told to keep its tone."""
    made = World(backbone, shows, **told)
    made.held, made.drifts = ("skin_tone",), {"skin_tone": "light"}
    return made


def test_steered_images_are_told_what_they_show_by_themselves(backbone: StableDiffusion) -> None:
    drawn = world(backbone).run(HALF)
    for shown, natural in zip(drawn.finished, MEN, strict=True):
        assert shown.held == ({"skin_tone": natural["skin_tone"]} if shown.steered_to else {})
        assert "skin_tone" not in {**shown.assigned, **shown.steered_to, **shown.natural}
        assert shown.repairs == 0
    assert sum(bool(shown.steered_to) for shown in drawn.finished) == 2


def test_without_held_attributes_no_image_is_told(backbone: StableDiffusion) -> None:
    bare = world(backbone)
    bare.held = ()
    assert not any(shown.held or shown.repairs for shown in bare.run(HALF).finished)


def test_a_tone_that_the_look_cannot_tell_is_not_named(backbone: StableDiffusion) -> None:
    unclear: list[Mapping[str, str | None]] = [{"gender": "man", "skin_tone": None}] * 2
    assert all(shown.held == {} for shown in world(backbone, unclear).run("doctor: 100% woman").finished)


def test_a_lost_tone_is_made_again_once_and_more_strongly(backbone: StableDiffusion) -> None:
    one = world(backbone, MEN[:2])
    one.keeps = {"dark": LEVELS[1]}
    drawn = one.run("doctor: 100% woman")
    dark, medium = drawn.finished
    assert (dark.repairs, dark.strength, dark.missed) == (1, LEVELS[1], False)
    assert (medium.repairs, medium.strength) == (0, LEVELS[0])
    assert dark.evaluations == medium.evaluations + REPAIR
    assert drawn.notes == []


def test_a_picture_that_is_no_better_is_dropped(backbone: StableDiffusion) -> None:
    one = world(backbone, MEN[:2])
    one.keeps = {"dark": 100.0}
    before = world(backbone, MEN[:2]).run("doctor: 100% woman").finished[0].image
    dark = one.run("doctor: 100% woman").finished[0]
    assert (dark.repairs, dark.strength, dark.missed) == (1, LEVELS[0], False)
    assert dark.image.tobytes() == before.tobytes()


def test_what_is_held_never_costs_the_target(backbone: StableDiffusion) -> None:
    """The stronger try keeps the tone, but shows no woman: the former picture stays."""

    class Fickle(World):
        def drawn(self, name: str, own: str | None, aim: Any) -> str | None:
            if name == "gender" and aim.strength > LEVELS[0]:
                return "man"
            return super().drawn(name, own, aim)

    one = Fickle(backbone, MEN[:1])
    one.held, one.drifts, one.keeps = ("skin_tone",), {"skin_tone": "light"}, {"dark": LEVELS[1]}
    (dark,) = one.run("doctor: 100% woman").finished
    assert (dark.assigned, dark.missed, dark.strength) == ({"gender": "woman"}, False, LEVELS[0])


class Clashing(World):
    """No image becomes a woman while it is told to stay dark."""

    def drawn(self, name: str, own: str | None, aim: Any) -> str | None:
        if name == "gender" and aim.held.get("skin_tone") == "dark":
            return own
        return super().drawn(name, own, aim)


def test_an_image_that_misses_while_it_is_held_is_made_again_without(backbone: StableDiffusion) -> None:
    one = Clashing(backbone, MEN)
    one.held, one.drifts = ("skin_tone",), {"skin_tone": "light"}
    drawn = one.run("doctor: 100% woman")
    assert not any(shown.missed for shown in drawn.finished)
    assert [shown.repairs for shown in drawn.finished] == [1, 0, 0, 1]  # a lost tone that clashed is not tried again
    assert [shown.held for shown in drawn.finished] == [{}, {"skin_tone": "medium"}, {"skin_tone": "light"}, {}]


def test_a_strong_try_that_clashed_has_one_more_without_what_is_held(backbone: StableDiffusion) -> None:
    """What is known to take the most strength begins with it: the seed is still not given up at the first miss."""
    one = Clashing(backbone, MEN[:1], needs={"woman": LEVELS[1]})
    one.held, one.drifts = ("skin_tone",), {"skin_tone": "light"}
    for _ in range(4):
        one.strengths.learn(("world", "gender", "woman"), 0, complied=False)
    (shown,) = one.run("doctor: 100% woman").finished
    assert (shown.repairs, shown.reseeds, shown.missed, shown.held) == (1, 0, False, {})


def test_without_a_budget_nothing_is_made_again(backbone: StableDiffusion) -> None:
    one = world(backbone)
    one.keeps = {"dark": LEVELS[1], "medium": LEVELS[1], "light": LEVELS[1]}
    assert not any(shown.repairs for shown in one.run(HALF, repair_budget=0.0).finished)


def test_hard_misses_come_first(backbone: StableDiffusion) -> None:
    """The budget pays for one image: a lost tone waits for the man who is still to become a woman."""
    one = world(backbone, MEN * 2, needs={"woman": LEVELS[1]})
    one.keeps = {"dark": 100.0, "medium": 100.0, "light": 100.0}
    drawn = one.run("doctor: 100% woman")
    assert all(shown.missed is False for shown in drawn.finished[:4])
    assert all(shown.repairs <= 1 for shown in drawn.finished)


def test_images_whose_tone_is_sure_are_changed_first(backbone: StableDiffusion) -> None:
    unclear = [{"gender": "man", "skin_tone": None}, *({"gender": "man", "skin_tone": "dark"} for _ in range(3))]
    drawn = world(backbone, unclear).run("doctor: half women, half men")
    assert drawn.finished[0].steered_to == {}
    assert sum(bool(shown.steered_to) for shown in drawn.finished) == 2


def test_several_attributes_are_held_at_once(backbone: StableDiffusion) -> None:
    shows = [{"gender": "man", "skin_tone": "dark", "age": "old"}] * 2
    one = world(backbone, shows)
    one.held, one.drifts = ("skin_tone", "age"), {"skin_tone": "light", "age": "young"}
    for shown in one.run("doctor: 100% woman").finished:
        assert shown.held == {"skin_tone": "dark", "age": "old"}
