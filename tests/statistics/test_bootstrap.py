import itertools

import numpy as np
import pytest
from scipy import stats

from fair_diffusion.statistics.bootstrap import FEWEST_PAIRS, paired_differences


def by_hand(values: np.ndarray, seed: int) -> float:
    """The quantile of the largest statistic, pair by pair, with resamples of its own."""
    prompts, ways = values.shape
    again = values[np.random.default_rng(seed).integers(prompts, size=(4_000, prompts))]
    largest = np.zeros(4_000)
    for i, j in itertools.combinations(range(ways), 2):
        own, whole = again[..., i] - again[..., j], (values[:, i] - values[:, j]).mean()
        largest = np.maximum(largest, np.abs(own.mean(axis=1) - whole) / stats.sem(own, axis=1))
    return float(np.quantile(largest, 0.95))


def test_intervals_are_those_of_the_largest_statistic() -> None:
    values = np.random.default_rng(0).random((100, 3))
    difference, low, high = paired_differences(values, 1)
    for i, j in ((0, 1), (2, 1)):
        paired = values[:, i] - values[:, j]
        assert difference[i, j] == pytest.approx(paired.mean())
        half = by_hand(values, 1) * stats.sem(paired)
        assert (low[i, j], high[i, j]) == pytest.approx(
            (paired.mean() - half, paired.mean() + half), rel=0.05, abs=0.01
        )


def test_two_ways_of_many_prompts_give_the_normal_interval() -> None:
    values = np.random.default_rng(4).normal(size=(2_000, 2))
    difference, low, high = paired_differences(values, np.ptp(values, axis=1).max())
    half = 1.96 * stats.sem(values[:, 0] - values[:, 1])
    assert (low[0, 1], high[0, 1]) == pytest.approx((difference[0, 1] - half, difference[0, 1] + half), abs=0.05 * half)
    assert (low[1, 0], high[1, 0]) == pytest.approx((-high[0, 1], -low[0, 1]))


def test_what_prompts_have_in_common_cancels_out() -> None:
    rng = np.random.default_rng(2)
    prompt, noise = rng.normal(0, 10, (300, 1)), rng.normal(0, 0.1, (300, 2))
    _, low, high = paired_differences(prompt + noise + [0, 1], 1.5)
    assert 0.8 < low[1, 0] < 1 < high[1, 0] < 1.2


def test_it_is_reproducible() -> None:
    values = np.random.default_rng(6).random((100, 2))
    first, again, other = (paired_differences(values, 1, seed=seed)[1] for seed in (5, 5, 6))
    assert np.array_equal(first, again, equal_nan=True)
    assert not np.array_equal(first, other, equal_nan=True)


def test_no_interval_where_the_prompts_do_not_tell() -> None:
    few = np.random.default_rng(0).random((FEWEST_PAIRS - 1, 2))
    difference, low, high = paired_differences(few, 1)
    assert difference[0, 1] == pytest.approx((few[:, 0] - few[:, 1]).mean())
    assert np.isnan([low, high]).all()
    values = np.random.default_rng(1).random((20, 3))
    values[:, 1] = values[:, 0]  # two ways that are the same
    _, low, high = paired_differences(values, 1)
    assert np.isnan([low[0, 1], high[0, 1], low[0, 0], high[0, 0]]).all()
    assert np.isfinite([low[0, 2], high[1, 2]]).all()
    once = np.zeros((20, 2))
    once[0, 1] = 0.5  # one prompt of 20: a third of the resamples lack it
    assert np.isnan(paired_differences(once, 0.5)[1]).all()


def test_prompts_that_were_not_drawn_may_turn_a_difference_over() -> None:
    apart = np.array([[0.0, 0.2]] * 20)  # no spread
    difference, low, high = paired_differences(apart, 0.5)
    unseen = 1 - 0.05 ** (1 / 20)  # 13.9 % of all prompts, and with probability 0.05 none of 20 is one
    ends = (0.2 - unseen * (0.2 + 0.5), 0.2 + unseen * (0.5 - 0.2))
    assert (difference[1, 0], low[1, 0], high[1, 0]) == pytest.approx((0.2, *ends))
    assert (low[0, 1], high[0, 1]) == pytest.approx((-ends[1], -ends[0]))
    # Ways that are alike but for noise, of 10 prompts: 1 in 10 may fail wholly, which makes 0.05.
    alike = 0.01 * np.random.default_rng(3).random((10, 2))
    _, low, high = paired_differences(alike, 0.5)
    assert low[0, 1] < -0.05
    assert high[0, 1] > 0.05
    for prompts, many in ((20, 0.07), (200, 0.008)):  # as there are more prompts, less can be unseen
        _, _, high = paired_differences(np.random.default_rng(4).random((prompts, 2)) * 1e-3, 0.5)
        assert high[0, 1] == pytest.approx(many, abs=0.002)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="give a finite number for every prompt and way"):
        paired_differences([0.5], 1)
    with pytest.raises(ValueError, match="give a finite number for every prompt and way"):
        paired_differences([[0.5, np.inf]] * 12, 1)
    with pytest.raises(ValueError, match="level is 95"):
        paired_differences([[0.5, 0.4]] * 12, 1, level=95)
    with pytest.raises(ValueError, match=r"most is 0\.05: two ways differ by 0\.1 on a prompt, so give at least that"):
        paired_differences([[0.5, 0.4]] * 12, 0.05)
