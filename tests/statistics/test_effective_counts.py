"""Weighted labels as a table of independent ones: readers at chance rarely pass, whatever their labels weigh."""

from __future__ import annotations

import numpy as np
import pytest

from fair_diffusion.statistics.effective_counts import effective_counts
from fair_diffusion.statistics.informedness import informedness


def test_equal_weights_are_the_labels_as_they_are() -> None:
    people, read = [0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 2, 0]
    for weight in (1.0, 1e-9, 7.5):
        found = effective_counts(people, read, [weight] * 7, 2)
        assert found == pytest.approx(np.array([[2, 1, 0], [1, 2, 1]]))


def test_a_group_is_weighed_by_itself() -> None:
    """By Kish's number over both groups together, the light one would have 5 labels and not 50."""
    people, read = np.repeat([0, 0, 1, 1], 25), np.tile(np.repeat([0, 1], 25), 2)
    found = effective_counts(people, read, np.repeat([1.0, 10.0], 50), 2)
    assert found.sum(axis=1) == pytest.approx([50, 50], rel=0.2)
    w = np.repeat([1.0, 10.0], 50)
    assert w.sum() ** 2 / (w**2).sum() * w[:50].sum() / w.sum() < 6


def test_what_does_not_fit_is_refused() -> None:
    for people, read, weights in (([0], [0, 1], [1]), ([2], [0], [1]), ([0], [0], [0]), ([0], [0], [np.inf])):
        with pytest.raises(ValueError, match="give"):
            effective_counts(people, read, weights, 2)


def _chances(kind: str, people: np.ndarray, read: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """With which probability each image comes to be labelled."""
    if kind == "equal":
        return np.ones(people.size)
    if kind == "by group":
        return np.where(people == 0, 1.0, 0.1)
    if kind == "by reading":
        return np.where(read == 0, 1.0, 0.2)
    if kind == "rarely by reading":
        return np.where(read == 0, 1.0, 0.05)
    return rng.choice([1.0, 0.1], people.size)


def _warned(kind: str, right: tuple[float, float], labels: int, times: int = 400) -> tuple[float, float]:
    """How often the interval includes 0; the same with Kish's number over all labels."""
    rng, warned = np.random.default_rng(2), np.zeros(2)
    for _ in range(times):
        people = (rng.random(12 * labels) < 0.5).astype(int)
        read = np.where(rng.random(people.size) < np.array(right)[people], people, 1 - people)
        chance = _chances(kind, people, read, rng)
        drawn = np.flatnonzero(rng.random(people.size) < chance)[:labels]
        g, j, w = people[drawn], read[drawn], 1 / chance[drawn]
        if len({*g.tolist()}) < 2:  # nothing can be told then
            warned += 1
            continue
        kish = np.zeros((2, 2))
        np.add.at(kish, (g, j), w * w.sum() / (w**2).sum())
        for k, counts in enumerate((effective_counts(g, j, w, 2), kish)):
            warned[k] += informedness(counts)[1][0] <= 0
    return warned[0] / times, warned[1] / times


@pytest.mark.parametrize("kind", ["equal", "by group", "by reading", "rarely by reading", "at random"])
@pytest.mark.parametrize("right", [(0.8, 0.2), (0.5, 0.5)])
def test_a_reader_at_chance_is_warned_of(kind: str, right: tuple[float, float]) -> None:
    """At 2.5 % of misses, with a margin for 400 repetitions. Kish's number alone misses four times as many."""
    warned, kish = _warned(kind, right, 80)
    assert warned >= 0.95
    if kind == "by reading" and right == (0.8, 0.2):
        assert kish < 0.93


def test_a_reader_that_is_better_than_chance_passes() -> None:
    assert _warned("equal", (0.75, 0.75), 80, 300)[0] < 0.05
    assert _warned("by group", (0.8, 0.8), 160, 300)[0] < 0.1
    assert _warned("by reading", (0.75, 0.75), 120, 300)[0] < 0.1
