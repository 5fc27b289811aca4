"""The exact multinomial test: summed by hand, against the binomial test, and how often it raises a false alarm."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fair_diffusion.statistics.multinomial import chance_p


@settings(max_examples=60)
@given(st.lists(st.integers(0, 6), min_size=2, max_size=4).filter(any), st.data())
def test_p_sums_all_outcomes_that_are_at_most_as_likely(counts: list[int], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(1, 9), min_size=len(counts), max_size=len(counts)))
    target = tuple(weight / sum(weights) for weight in weights)
    n = sum(counts)
    own = stats.multinomial.pmf(counts, n, target)
    every = (
        float(stats.multinomial.pmf(outcome, n, target))
        for outcome in itertools.product(range(n + 1), repeat=len(counts))
        if sum(outcome) == n
    )
    expected = sum(chance for chance in every if chance <= own * (1 + 1e-9))
    assert chance_p(tuple(counts), target) == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 200), st.integers(1, 200), st.sampled_from([0.05, 0.3, 0.5, 0.9]))
def test_two_groups_are_the_exact_binomial_test(count: int, rest: int, share: float) -> None:
    expected = stats.binomtest(count, count + rest, share).pvalue
    assert chance_p((count, rest), (share, 1 - share)) == pytest.approx(expected, abs=1e-9)


def test_groups_that_were_not_asked_for() -> None:
    assert chance_p((5, 5, 1), (0.5, 0.5, 0.0)) == 0
    assert chance_p((5, 4, 0), (0.5, 0.5, 0.0)) == chance_p((5, 4), (0.5, 0.5))
    assert chance_p((7, 0), (1.0, 0.0)) == 1
    assert chance_p((0, 0), (0.5, 0.5)) == 1


def test_many_outcomes_are_drawn_and_give_nearly_the_same_p() -> None:
    # 60 images of 4 groups have 39,711 outcomes, which are summed; a fifth group, nearly never asked for, makes
    # 635,376.
    for counts in ((20, 15, 15, 10), (26, 16, 12, 6), (24, 18, 9, 9)):
        summed = chance_p(counts, (0.25,) * 4)
        drawn = chance_p((*counts, 0), (*[(1 - 1e-9) / 4] * 4, 1e-9))
        assert drawn == pytest.approx(summed, abs=4 * np.sqrt(summed * (1 - summed) / 1_999) + 1e-3)


@pytest.mark.parametrize(("target", "n"), [((0.2,) * 5, 20), ((0.9, 0.05, 0.05), 30), ((0.5, 0.3, 0.1, 0.1), 250)])
def test_it_raises_a_false_alarm_in_5_of_100_at_most(target: tuple[float, ...], n: int) -> None:
    draws = np.random.default_rng(0).multinomial(n, target, 2_000).tolist()
    alarms = np.mean([chance_p(tuple(draw), target) <= 0.05 for draw in draws])
    assert 0.02 <= alarms <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 2_000)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="do not fit the target"):
        chance_p((1, 2), (0.5, 0.3, 0.2))
    with pytest.raises(ValueError, match="do not fit the target"):
        chance_p((1, -2), (0.5, 0.5))
