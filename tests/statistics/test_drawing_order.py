"""The order of a queue: unbiased totals at any time, intervals that hold for wrong readers, and the uniform draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import kstest

from fair_diffusion.statistics.active import inclusion, weighted_share
from fair_diffusion.statistics.drawing_order import chance_so_far, drawing_order


def _drawn(weights: np.ndarray, labelled: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The first pictures of an order, and π of each."""
    order = drawing_order(weights, seed=seed)
    ranked = np.argsort(order.places)
    first = ranked[:labelled]
    after = order.priorities[ranked[labelled]] if labelled < len(weights) else None
    return first, chance_so_far(order.probabilities[first], after)


def test_equal_weights_are_a_uniform_draw() -> None:
    places = np.array([drawing_order(np.ones(20), seed=seed).places for seed in range(4000)])
    assert (np.sort(places, axis=1) == np.arange(20)).all()
    assert kstest((places[:, 3] + np.random.default_rng(0).random(4000)) / 20, "uniform").pvalue > 0.001


def test_totals_are_right_on_average_wherever_one_stops() -> None:
    rng = np.random.default_rng(5)
    weights, values = rng.uniform(0.2, 3, 40), rng.random(40)
    for labelled in (5, 17, 40):
        found = []
        for seed in range(6000):
            first, chance = _drawn(weights, labelled, seed)
            found.append(float((values[first] / chance).sum()))
        assert np.mean(found) == pytest.approx(values.sum(), abs=4 * np.std(found) / np.sqrt(6000) + 1e-9)


@pytest.mark.parametrize("wrong", [0.05, 1 / 3])
def test_an_interval_holds_wherever_raters_stop(wrong: float) -> None:
    """A reader is wrong of one group in one direction; pictures of which it is unsure are drawn more often."""
    rng, held, times = np.random.default_rng(8), 0, 1000
    for seed in range(times):
        shown = (rng.random(400) < 0.4).astype(float)
        guess = np.where((shown == 1) & (rng.random(400) < wrong), 0, shown)
        unsure = np.where(guess == shown, rng.uniform(0, 0.5, 400), rng.uniform(0.3, 0.7, 400))
        first, chance = _drawn(inclusion(unsure, 1.0), int(rng.integers(30, 200)), seed)
        found = weighted_share(shown[first], guess[first], chance, float(guess.sum()), 400)
        held += found.low <= 0.4 <= found.high
    assert held / times >= 0.93


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
