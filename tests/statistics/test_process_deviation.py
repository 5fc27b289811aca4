"""The deviation of the process: closed forms, limits, and its coverage in small (`benchmarks/coverage.md` in large)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import coverage_of_means as means
from fair_diffusion.statistics.metrics import noise_floor
from fair_diffusion.statistics.over_prompts import high_end, low_end
from fair_diffusion.statistics.process_deviation import (
    expected_deviation,
    process_bounds,
    process_deviation,
    worst_deviation,
)

HALF = [0.5, 0.5]


@pytest.mark.parametrize(("target", "n"), [([0.5, 0.5], 20), ([0.2] * 5, 7), ([0.3, 0.7, 0.0], 1), ([1.0, 0.0], 4)])
def test_draws_from_the_target_deviate_by_the_noise_floor(target: list[float], n: int) -> None:
    assert expected_deviation(target, target, n) == pytest.approx(noise_floor(target, n), abs=1e-12)


@pytest.mark.parametrize(
    ("shares", "target", "n"),
    [([0.3, 0.7], [0.5, 0.5], 1), ([0.3, 0.6, 0.1], [0.2, 0.8, 0.0], 9), ([0.0, 1.0], [0.5, 0.5], 3)],
)
def test_draws_from_other_shares(shares: list[float], target: list[float], n: int) -> None:
    drawn = np.random.default_rng(0).multinomial(n, shares, 200_000) / n
    simulated = np.abs(drawn - target).sum(axis=1).mean() / 2
    assert expected_deviation(shares, target, n) == pytest.approx(simulated, abs=0.002)


def test_with_very_many_images_it_is_the_mean_deviation() -> None:
    counts = [[300_000, 700_000], [450_000, 550_000], [900_000, 100_000]]
    assert process_deviation(counts, [HALF] * 3).estimate == pytest.approx((0.2 + 0.05 + 0.4) / 3, abs=0.001)
    assert process_deviation([[3 * 10**14, 7 * 10**14]], [HALF]).estimate == pytest.approx(0.2, abs=0.001)


def test_it_takes_the_noise_away() -> None:
    rng = np.random.default_rng(0)
    coins, _, _ = process_bounds(rng.multinomial(20, HALF, (200, 40, 1)), HALF, splits=8)
    assert coins.mean() < 0.01 < noise_floor(HALF, 20)
    shifted, _, _ = process_bounds(rng.multinomial(20, [0.6, 0.4], (200, 40, 1)), HALF, splits=8)
    assert shifted.mean() == pytest.approx(0.1, abs=0.006)


def test_the_bars_in_small() -> None:
    """On target, near it, and where 1 prompt of 10 fails: 93 to 98 % of 400 runs, give or take two standard errors."""
    give = 2 * np.sqrt(0.95 * 0.05 / 400)
    for kinds in (means.FAIR, means.NEAR[1:2], means.FAIL):
        for where, held in means.of_process(400, kinds, prompts=(20, 50), images=(50,)):
            assert 0.93 - give <= held <= 0.98 + give, where
    assert all(held >= 0.93 - give for _, held in means.phrased_concepts(100))
    assert max(held for _, held in means.of_plain_mean(400)) < 0.9  # what it mends


def test_phrasings_are_taken_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    women = rng.binomial(20, rng.beta(5, 5, (60, 10)))
    counts = np.stack([women, 20 - women], axis=-1)
    by_phrasing = process_deviation(list(counts), [HALF] * 60)
    pooled = process_deviation(counts.sum(axis=1), [HALF] * 60)
    assert by_phrasing.low == 0
    assert by_phrasing.estimate < pooled.estimate  # the spread of phrasings is no deviation of the concept
    few = counts[:, :4]  # too few to tell their spread
    assert process_deviation(list(few), [HALF] * 60) == process_deviation(few.sum(axis=1), [HALF] * 60)


def test_no_interval_under_five_prompts_and_never_one_without_width() -> None:
    four = process_deviation([[0, 20]] * 4, [HALF] * 4)
    assert (four.estimate, four.low, four.high) == (0.5, None, None)
    for counts in ([0, 20], [10, 10]):
        found = process_deviation([counts] * 5, [HALF] * 5)
        assert found.low is not None
        assert found.high is not None
        assert found.high - found.low > 0.1


@settings(max_examples=25, deadline=None)
@given(
    counts=st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3).filter(any), min_size=1, max_size=12),
    target=st.sampled_from([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]),
)
def test_what_always_holds(counts: list[list[int]], target: list[float]) -> None:
    found = process_deviation(counts, [target] * len(counts))
    plain = np.mean([np.abs(np.array(own) / sum(own) - target).sum() / 2 for own in counts])
    assert 0 <= found.estimate <= plain + 0.02  # halves of an odd number of images weigh alike
    assert (found.low is None) == (len(counts) < 5)
    if found.low is not None and found.high is not None:
        assert 0 <= found.low <= found.estimate <= found.high <= 1
        assert found.low < found.high


def test_one_image_of_every_prompt_says_what_all_prompts_share() -> None:
    found = process_deviation(np.random.default_rng(0).multinomial(1, [0.8, 0.2], 400), [HALF] * 400)
    assert found.estimate == pytest.approx(0.3, abs=0.05)
    assert found.high == 0.5  # each prompt by itself may deviate as far as can be


def test_the_worst_deviation() -> None:
    assert worst_deviation([0.5, 0.5, 0.0]) == 0.5
    assert worst_deviation([0.2] * 5) == pytest.approx(0.8)
    assert worst_deviation([1.0, 0.0]) == 1


def test_ends_have_room_for_prompts_that_were_not_drawn() -> None:
    # Of 20 prompts none may be seen although each is one with 15 %: 0.85 ** 20 is 0.04.
    assert low_end([0.5] * 20) == pytest.approx(0.5 * 0.035 ** (1 / 20))
    assert 0.05 < high_end([0.0] * 20, 0.5) < 0.1
    assert low_end([0.0] * 20) == 0
    assert high_end([0.5] * 20, 0.5) == 0.5


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="do not fit targets"):
        process_deviation([[1, 2, 3]], [HALF])
    with pytest.raises(ValueError, match="prompt 1 has no images: leave it out"):
        process_deviation([[1, 2], [0, 0]], [HALF] * 2)
