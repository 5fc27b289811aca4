"""The order of a queue: unbiased totals at any time, intervals that hold for wrong readers, and the uniform draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.stats import kstest

from fair_diffusion.statistics.active import inclusion, weighted_share
from fair_diffusion.statistics.drawing_order import chance_so_far, drawing_order


def _seen(weights: np.ndarray, seen: Sequence[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The pictures of an order at these places, and π of each, if people saw those and no others."""
    order = drawing_order(weights, seed=seed)
    drawn = np.argsort(order.places)[list(seen)]
    met = np.isin(np.arange(len(weights)), drawn)
    return drawn, chance_so_far(order.probabilities, order.priorities, met)[drawn]


def test_equal_weights_are_a_uniform_draw() -> None:
    places = np.array([drawing_order(np.ones(20), seed=seed).places for seed in range(4000)])
    assert (np.sort(places, axis=1) == np.arange(20)).all()
    assert kstest((places[:, 3] + np.random.default_rng(0).random(4000)) / 20, "uniform").pvalue > 0.001


@pytest.mark.parametrize(
    "seen", [range(5), range(17), range(40), [*range(3), *range(7, 30)], [*range(4, 12), *range(13, 20), 25]]
)
def test_totals_are_right_on_average_wherever_one_stops_and_whatever_is_left(seen: Sequence[int]) -> None:
    rng = np.random.default_rng(5)
    weights = rng.uniform(0.2, 3, 40)
    values = weights / 3 + rng.random(40)
    found = []
    for seed in range(6000):
        drawn, chance = _seen(weights, seen, seed)
        found.append(float((values[drawn] / chance).sum()))
    assert np.mean(found) == pytest.approx(values.sum(), abs=4 * np.std(found) / np.sqrt(6000) + 1e-9)


def test_pictures_behind_one_that_was_left_are_not_weighed_by_its_place() -> None:
    """Somebody leaves with the second picture, and others go on to the hundredth: 99 of 100 were shown, and not 1."""
    order = drawing_order(np.ones(100), seed=1)
    seen = np.array(order.places) != 1
    chance = chance_so_far(order.probabilities, order.priorities, seen)
    assert chance == pytest.approx(np.full(100, 0.99), abs=0.03)
    last = np.array(order.places) <= 98  # what lies behind the first that nobody saw changes nothing
    some = last | (np.array(order.places) == 99)
    assert chance_so_far(order.probabilities, order.priorities, last & seen)[some] == pytest.approx(
        chance_so_far(order.probabilities[some], order.priorities[some], (last & seen)[some])
    )
    assert (chance_so_far(order.probabilities, order.priorities, np.zeros(100)) == 0).all()
    assert (chance_so_far(order.probabilities, order.priorities, np.ones(100)) == 1).all()


def _places(rng: np.random.Generator, leave: bool) -> list[int]:
    """The places that people saw. Somebody who leaves in the middle holds four pictures; another one goes on behind."""
    first, more = int(rng.integers(5, 40)), int(rng.integers(60, 150))
    return [*range(first), *range(first + 4, first + 4 + more)] if leave else [*range(first + more)]


@pytest.mark.parametrize("wrong", [0.05, 1 / 3])
@pytest.mark.parametrize("leave", [False, True])
@pytest.mark.parametrize("skip", [False, True])
def test_an_interval_holds_wherever_raters_stop_leave_or_skip(wrong: float, leave: bool, skip: bool) -> None:
    """A reader is wrong of one group in one direction; pictures of which it is unsure are drawn more often.

    A quarter of the pictures shows nobody and is skipped. The reader sees the group in most of them, and is unsure."""
    rng, held, times, off = np.random.default_rng(8), 0, 600, []
    for seed in range(times):
        shown = (rng.random(400) < 0.4).astype(float)
        guess = np.where((shown == 1) & (rng.random(400) < wrong), 0, shown)
        unsure = np.where(guess == shown, rng.uniform(0, 0.5, 400), rng.uniform(0.3, 0.7, 400))
        if skip:
            nobody = rng.random(400) < 0.25
            shown[nobody], guess[nobody] = np.nan, rng.random(int(nobody.sum())) < 0.8
            unsure[nobody] = rng.uniform(0.4, 0.7, int(nobody.sum()))
        drawn, chance = _seen(inclusion(unsure, 1.0), _places(rng, leave), seed)
        found = weighted_share(shown[drawn], guess[drawn], chance, float(guess.sum()), 400)
        held += found.low <= 0.4 <= found.high
        off.append(found.estimate - 0.4)
    assert held / times >= 0.93
    assert np.mean(off) == pytest.approx(0, abs=4 * np.std(off) / np.sqrt(times))


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda: drawing_order([]), "numbers above 0"),
        (lambda: drawing_order([1.0, 0.0]), "numbers above 0"),
    ],
)
def test_what_cannot_be_weighed_is_refused(do: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        do()
