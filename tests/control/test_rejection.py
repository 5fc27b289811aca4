"""Rejection in a world that is known: what the plain image of each seed shows."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from untrained import pipe_of, weights

from fair_diffusion.allocation import plan
from fair_diffusion.backbones import Backbone, Guide, StepInfo, adapt
from fair_diffusion.control import loop, order
from fair_diffusion.control.assignments import Shares
from fair_diffusion.control.order import Order
from fair_diffusion.control.readers import Readers
from fair_diffusion.control.tries import SPARE
from fair_diffusion.files.pictures import from_pixels
from fair_diffusion.policy import Attributes, Policy, built_in
from fair_diffusion.request import Request
from fair_diffusion.steering.brief import Aimed, Brief

COST = 2
"""Evaluations of one plain image: one step, with and without the prompt."""


def draw(
    backbone: Backbone,
    shows: Callable[[int], str | None],
    n: int,
    *,
    instruct: str = "doctor: half women",
    on_step: Callable[[StepInfo], None] | None = None,
    **asked: Any,
) -> Order:
    """Draw where `shows` says what the plain image of each place is read as."""
    request = Request(prompt="a doctor", n=n, method="rejection", steps=1, seed=50, **asked)
    targets = Policy.from_sentence(instruct).rules[0].targets
    seen: list[int] = []

    class Told(Readers):
        def perceive(self, pictures: Sequence[Image.Image], defined: Attributes) -> Shares:
            rows = []
            for _ in pictures:
                group = shows(len(seen))
                rows.append([0.9 if name == group else 0.01 for name in built_in()["gender"].group_names])
                seen.append(1)
            return {"gender": np.array(rows)}

    def guide(images: Sequence[Aimed]) -> Guide:
        rows = [0] * len(images)
        return Guide(backbone.encode(["a man"])[rows], backbone.empty()[rows], 3.0)

    nobody: Any = None
    brief = Brief(backbone, request, targets=targets)
    asked_for = Order(brief=brief, quotas=plan(targets, n, 50), guide=guide, readers=Told(nobody))
    assert list(loop.draw([asked_for], on_step)) == [[asked_for]]
    return asked_for


def test_it_keeps_the_first_that_fit(tiny_sd: Any) -> None:
    """Every third is a woman: places 0, 3, 6 are kept as such; men beyond their quota are rejected."""
    drawn = draw(adapt(tiny_sd), lambda place: "man" if place % 3 else "woman", 6, repair_budget=3, batch_size=4)
    assert [shown.seed - 50 for shown in drawn.finished] == [0, 1, 2, 3, 4, 6]
    assert [shown.assigned["gender"] for shown in drawn.finished] == ["woman", "man", "man", "woman", "man", "woman"]
    assert [shown.reseeds for shown in drawn.finished] == [0, 0, 0, 0, 0, 1]
    assert [shown.evaluations for shown in drawn.finished] == [COST] * 5 + [2 * COST]
    assert not any(shown.missed or shown.strength or shown.steered_to for shown in drawn.finished)
    assert (drawn.control, drawn.plain_evaluations, drawn.notes) == ("all", COST, [])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shows=st.lists(st.sampled_from(["woman", "man", "androgynous", None]), min_size=40, max_size=40),
    n=st.integers(1, 6),
    budget=st.sampled_from([0.0, 0.25, 2.0]),
    batch_size=st.integers(1, 4),
)
def test_quotas_cost_and_budget(tiny_sd: Any, shows: list[str | None], n: int, budget: float, batch_size: int) -> None:
    backbone = adapt(tiny_sd)
    drawn = draw(backbone, shows.__getitem__, n, repair_budget=budget, batch_size=batch_size)
    assert len(drawn.finished) == n
    women = Counter(shown.assigned["gender"] for shown in drawn.finished)["woman"]
    assert abs(women - n / 2) <= 0.5
    # what was spent is what the network saw, and no more than the budget
    spent = sum(shown.evaluations for shown in drawn.finished)
    assert spent == backbone.evaluations
    limit = n + int(max(budget * n, SPARE if budget else 0))
    assert spent <= COST * limit
    missed = [shown for shown in drawn.finished if shown.missed]
    if missed:
        assert spent == COST * limit
        assert drawn.notes == [
            f"the budget of {limit} images is spent: {len(missed)} of {n} images do not surely show what was assigned"
        ]
    for shown in drawn.finished:
        assert shown.natural["gender"] == shows[shown.seed - 50]
        assert shown.missed == (shown.natural != shown.assigned)
    assert [shown.seed for shown in drawn.finished] == sorted({shown.seed for shown in drawn.finished})
    assert sum(shown.reseeds for shown in drawn.finished) == spent // COST - n


def test_the_rarest_group_sets_the_cost(tiny_sd: Any) -> None:
    """One in ten is a woman: ten women among twenty take 100 pictures or nearly, men are there by the way."""
    chance = np.random.default_rng(0)
    drawn = draw(
        adapt(tiny_sd), lambda _: "woman" if chance.random() < 0.1 else "man", 20, repair_budget=20, batch_size=20
    )
    ratio = sum(shown.evaluations for shown in drawn.finished) / (20 * COST)
    assert not any(shown.missed for shown in drawn.finished)
    assert 3 < ratio < 8  # 10 / 0.1 / 20 = 5, with a spread of 1.5


def test_pictures_that_cannot_be_shown_are_let_go(tiny_sd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred pictures only the first n may still fill a place: memory does not grow with the budget."""
    made, most = list[weakref.ref[Image.Image]](), 0

    def perceived(pixels: Tensor) -> list[Image.Image]:
        nonlocal most
        gc.collect()
        most = max(most, sum(one() is not None for one in made))
        return from_pixels(pixels)

    def kept(pixels: Tensor) -> list[Image.Image]:
        pictures = from_pixels(pixels)
        made.extend(map(weakref.ref, pictures))
        return pictures

    backbone = adapt(tiny_sd)
    monkeypatch.setattr(loop, "from_pixels", perceived)
    monkeypatch.setattr(order, "from_pixels", kept)
    gc.freeze()  # a collection looks at what is new
    drawn = draw(backbone, lambda _: "man", 4, repair_budget=24, batch_size=4)
    assert sum(shown.reseeds for shown in drawn.finished) == 96
    assert len(made) == 100
    assert most == 4  # the first four: a rejected picture of a later batch is let go at once


def test_what_is_kept_by_an_interrupt_is_given(tiny_sd: Any) -> None:
    def stop(info: StepInfo) -> None:
        if info.images[0] == 2:
            raise KeyboardInterrupt

    drawn = draw(adapt(tiny_sd), lambda place: "woman" if place % 2 else None, 4, batch_size=2, on_step=stop)
    assert [shown.seed for shown in drawn.finished] == [51]
    assert drawn.interrupted
    assert drawn.notes == ["interrupted after 1 of 4 images"]
    assert drawn.finished[0].evaluations == 2 * COST


def test_in_the_flow(tiny_sd: Any) -> None:
    """Untrained readers are sure of nothing: the first n seeds are given up, and are what plain gives."""
    pipe, before = pipe_of(tiny_sd), weights(tiny_sd)
    instruct = "doctor: half women; skin tone uniform"
    result = pipe("a doctor", n=5, steps=1, method="rejection", instruct=instruct, compare_plain=True, batch_size=5)
    assert result.plain is not None
    assert result.twins is not None
    assert [a.tobytes() for a in result.images] == [b.tobytes() for b in result.plain.images]
    assert result.twins.untouched == 5
    assert result.twins.untouched_difference == 0
    assert result.counts() == {"untouched": 5, "steered": 0, "repaired": 1, "reseeded": 1, "missed": 5}
    assert result.verdict == "misses"
    assert result.summary()["cost"]["ratio"] == pytest.approx(9 / 5)
    assert {row.quota for row in result.audit if row.attribute == "skin_tone"} == {1}
    assert {record.control for record in result.records} == {"all"}
    assert weights(tiny_sd) == before
