"""Moving images in a world that is known: what each original shows, and how many attempts it takes to move it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from fair_diffusion.allocation import plan
from fair_diffusion.backbones import Batch, Conditioning, Guide
from fair_diffusion.control import loop
from fair_diffusion.control.assignments import Shares, assignments
from fair_diffusion.control.order import Order
from fair_diffusion.control.tries import SPARE
from fair_diffusion.policy import Assignment, Attributes, Policy, built_in
from fair_diffusion.rebalance import Original, Rebalance, moving
from fair_diffusion.rebalance.moved import Moved
from fair_diffusion.rebalance.moving import RECONSTRUCTED, Mover
from fair_diffusion.steering.aim import Aim
from fair_diffusion.steering.brief import Aimed, Brief

STEPS, ATTEMPT = 4, 7
PLAIN = 2 * STEPS
GROUPS = built_in()["gender"].group_names
TONES = built_in()["skin_tone"].group_names
GREY, SHIFT = 100, 51


class Still:
    """Draws grey, `SHIFT` lighter than it should at every step, and knows no other picture. price: of an attempt."""

    distilled, reads_text = False, True

    def __init__(self, price: int) -> None:
        self.price = price

    def fork(self) -> Still:
        return self

    def take(self, places: Sequence[int]) -> Still:
        return self

    def timesteps(self, steps: int) -> Tensor:
        return torch.arange(steps)

    def visits(self, steps: int) -> int:
        return steps

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        return Conditioning(torch.zeros(len(prompts), 1, 1))

    def empty(self) -> Conditioning:
        return self.encode([""])

    def decode(self, latents: Tensor) -> Tensor:
        return ((latents.round() + SHIFT) / 255).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)

    def encode_images(self, pictures: Sequence[Image.Image]) -> Tensor:
        return torch.tensor([float(np.asarray(picture).mean()) for picture in pictures])

    def images(self, latents: Tensor) -> list[Image.Image]:
        return [Image.new("RGB", (8, 8), (round(float(value)) + SHIFT,) * 3) for value in latents]


def back(backbone: Any, images: Sequence[int], clean: Tensor, cond: Conditioning, **more: Any) -> Batch:
    return Batch(backbone, images, torch.arange(STEPS), clean, torch.zeros(len(images), dtype=torch.long), 2)


def on(batch: Batch, guide: Guide, *, until: int, **more: Any) -> Batch:
    backbone: Any = batch.backbone
    return replace(batch, latents=batch.latents + SHIFT, evaluations=batch.evaluations + backbone.price, step=until)


class World:
    """Images that show `shows` and take `needs` attempts to show what they are led to; pictures are told by width.

    The world is what steering asks, in the place of readers.
    """

    perceiver = early = None

    def __init__(
        self,
        shows: Sequence[str | None],
        needs: Mapping[int, int] | None = None,
        sure: float = 0.9,
        price: int = ATTEMPT,
    ) -> None:
        self.shows, self.needs, self.sure, self.price = shows, needs or {}, sure, price
        self.tries: dict[int, int] = {}
        self.seen: list[tuple[int, tuple[float, float]]] = []
        self.aims: Sequence[Aim] = []
        self.held: dict[int, list[Assignment]] = {}
        self.largest_batch = 0

    def run(self, instruction: str, **asked: Any) -> list[Moved]:
        targets = Policy.from_sentence(instruction).rules[0].targets
        usual: dict[str, Any] = {"prompt": "-", "n": len(self.shows), "steps": STEPS, "batch_size": 3}
        request = Rebalance(**usual | asked)
        with tempfile.TemporaryDirectory() as folder:
            originals = [Original(f"{i}.png", Path(folder, f"{i}.png"), "-") for i in range(len(self.shows))]
            for i, original in enumerate(originals):
                Image.new("RGB", (10 + i, 9), (GREY,) * 3).save(str(original.path))
            backbone: Any = Still(self.price)
            readers: Any = self
            self.order = Order(
                brief=Brief(backbone, request, targets=targets, held=("skin_tone",)),
                quotas=plan(targets, request.n, request.seed),
                readers=readers,
                guide=self.guide,
            )
            self.mover = Mover(self.order, originals, self.shares(list(self.shows), 0.9), Path(folder))
            assert list(loop.draw([self.order])) == [[self.order]]
            return self.mover.images

    def guide(self, images: Sequence[Aimed]) -> Guide:
        self.aims = [aim for _, aim in images]
        rows = Conditioning(torch.zeros(len(images), 1, 1))
        return Guide(rows, rows, 2.0)

    def perceive(self, pictures: Sequence[Image.Image], defined: Attributes) -> Shares:
        self.largest_batch = max(self.largest_batch, len(pictures))
        found: list[str | None] = []
        for aim, picture in zip(self.aims, pictures, strict=True):
            i = picture.width - 10
            self.tries[i] = self.tries.get(i, 0) + 1
            self.seen.append((i, self.mover._attempt(i)))
            self.held.setdefault(i, []).append(aim.held)
            found.append(aim.assigned["gender"] if self.tries[i] >= self.needs.get(i, 1) else self.shows[i])
        return self.shares(found, self.sure)

    @staticmethod
    def shares(labels: Sequence[str | None], sure: float) -> Shares:
        table = np.full((len(labels), len(GROUPS)), (1 - sure) / len(GROUPS))
        for row, label in zip(table, labels, strict=True):
            if label is not None:
                row[GROUPS.index(label)] = sure
        tones = np.zeros((len(labels), len(TONES)))
        tones[:, TONES.index("dark")] = 1.0
        return {"gender": table, "skin_tone": tones}


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "taken_back", back)
    monkeypatch.setattr(loop, "advance", on)


GENDERS = st.lists(st.sampled_from(["woman", "man", None]), min_size=1, max_size=7)
patched = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@patched
@given(shows=GENDERS)
def test_the_fewest_are_moved_and_the_quotas_met(shows: list[str | None]) -> None:
    world = World(shows)
    images = world.run("doctor: half women")
    quotas = dict(zip([cell[0] for cell in world.order.brief.targets[0].shares], world.order.quotas[0], strict=True))
    assert {group: sum(one.shows["gender"] == group for one in images) for group in quotas} == quotas
    fitting = sum(min(shows.count(group), quota) for group, quota in quotas.items())
    moved = [one for one in images if one.picture]
    assert len(moved) == len(shows) - fitting
    assert not any(one.misses or one.put_back for one in images)
    assert sum(one.evaluations for one in images) == ATTEMPT * len(moved)
    assert world.order.notes == []
    assert world.largest_batch <= 3


@patched
@given(
    shows=GENDERS,
    needs=st.dictionaries(st.integers(0, 6), st.integers(2, 9)),
    budget=st.sampled_from([0.0, 0.3, 5.0]),
    way=st.sampled_from(["inversion", "sdedit"]),
    price=st.integers(1, 5 * PLAIN),
)
def test_what_is_said_is_so_and_the_budget_holds(
    shows: list[str | None], needs: dict[int, int], budget: float, way: str, price: int
) -> None:
    """Also where steering makes an attempt dearer than drawing anew: price is what each takes."""
    world = World(shows, needs, price=price)
    images = world.run("doctor: half women", way=way, repair_budget=budget)
    for one, natural in zip(images, shows, strict=True):
        assert one.natural == {"gender": natural}
        assert one.misses == (one.shows != one.assigned)
        if one.picture is None:
            assert one.shows == one.natural
            assert (one.depth, one.strength) == (0, 0)
            assert one.put_back == (one.tries > 0)
        else:
            assert one.shows == one.assigned != one.natural
            assert not one.put_back
    missed = sum(one.misses for one in images)
    assert bool(missed) == bool(world.order.notes)
    assert all(f"{missed} of {len(shows)} images" in note for note in world.order.notes)
    limit = max(budget * len(shows), SPARE if budget else 0) * PLAIN
    wanted = dict(zip([cell[0] for cell in world.order.brief.targets[0].shares], world.order.quotas[0], strict=True))
    first = price * (len(shows) - sum(min(shows.count(group), quota) for group, quota in wanted.items()))
    assert sum(one.evaluations for one in images) == price * sum(one.tries for one in images) <= first + limit
    asked = [one.assigned["gender"] for one in images]
    assert abs(asked.count("woman") - asked.count("man")) <= 1


def test_attempts_go_from_weak_to_strong_to_deep() -> None:
    world = World(["man"], {0: 4})
    (image,) = world.run("doctor: all women", depth=0.5, repair_budget=100)
    assert world.seen == [(0, attempt) for attempt in world.mover._asked.attempts]
    assert (image.depth, image.strength) == world.mover._asked.attempts[-1]
    assert (image.tries, image.misses) == (4, False)


@pytest.mark.parametrize("needs", [1, 3, 4, 5])
def test_the_last_attempt_is_made_without_what_is_held(needs: int) -> None:
    world = World(["man"], {0: needs})
    world.run("doctor: all women", depth=0.5, repair_budget=100)
    held: list[Assignment] = [{"skin_tone": "dark"}] * 3 + [{}]
    assert world.held == {0: held[:needs]}


def test_one_attempt_too_few_is_a_miss_and_the_original_is_put_back() -> None:
    world = World(["man"], {0: 5})
    (image,) = world.run("doctor: all women", depth=0.5, repair_budget=100)
    assert (image.tries, image.misses, image.picture, image.put_back) == (4, True, None, True)
    assert world.order.notes == ["everything was tried: 1 of 1 images do not surely show what was assigned"]


def test_an_image_that_is_likely_but_not_surely_its_group_is_kept_and_misses() -> None:
    world = World(["man", "man"], sure=0.6)
    images = world.run("doctor: all women", repair_budget=0)
    assert all(one.misses and one.picture for one in images)
    assert "the repair budget is spent: 2 of 2" in world.order.notes[0]


def test_all_are_assigned_anew_once_per_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six images, one at a time, that take two attempts: at first, and after each."""
    rounds: list[Shares] = []

    def counted(targets: Any, quotas: Any, shares: Shares, *more: Any) -> list[Assignment]:
        rounds.append(shares)
        return assignments(targets, quotas, shares, *more)

    monkeypatch.setattr(moving, "assignments", counted)
    world = World(["man"] * 6, dict.fromkeys(range(6), 2))
    images = world.run("doctor: all women", batch_size=1, repair_budget=100)
    assert [one.tries for one in images] == [2] * 6
    assert len(rounds) == 3


def test_an_image_that_is_moved_again_is_not_put_back_any_more() -> None:
    class Hasty(World):
        def perceive(self, pictures: Sequence[Image.Image], defined: Attributes) -> Shares:
            self.mover._put_back(0)
            return super().perceive(pictures, defined)

    (image,) = Hasty(["man"]).run("doctor: all women")
    assert image.picture
    assert not image.put_back


def test_others_are_moved_in_place_of_those_that_cannot_be() -> None:
    """The first image to be moved never changes; another does, and that one is as it was."""
    stubborn = World(["man", "man", "man"])
    stubborn.run("doctor: 1/3 women")
    (first,) = stubborn.tries
    world = World(["man", "man", "man"], {first: 99})
    images = world.run("doctor: 1/3 women", repair_budget=100)
    assert not any(one.misses for one in images)
    assert sum(one.picture is not None for one in images) == 1
    assert images[first].picture is None
    assert images[first].put_back


def test_reconstruction_is_measured_on_some_of_the_moved_without_an_edit() -> None:
    """Pictures are grey; decoding adds 51 of 255, and the way back and on as much again."""
    n = RECONSTRUCTED + 5
    world = World([*["man"] * n, "woman"])
    images = world.run("doctor: all women", batch_size=8)
    measured = [one for one in images if one.error is not None]
    assert len(measured) == math.ceil(n / math.ceil(n / RECONSTRUCTED))
    assert world.mover.spent_on_reconstruction == ATTEMPT * len(measured)
    assert [one.error for one in measured] == pytest.approx([0.4] * len(measured))
    assert [one.encoder_error for one in measured] == pytest.approx([0.2] * len(measured))
    assert images[-1].error is None
