import itertools
import math
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.allocation import quotas

weights = st.lists(st.integers(0, 1000), min_size=1, max_size=12).filter(any)
sizes = st.integers(0, 10**6)
seeds = st.integers(0, 2**63)


def exact_shares(weight: list[int]) -> list[Fraction]:
    return [Fraction(w, sum(weight)) for w in weight]


def threshold_reference(weight: list[int], n: int) -> tuple[list[int], list[bool], int]:
    """Hamilton's method in integers, by the remainder at the cut instead of by sorting cells.

    Returns the counts that no tie can change, which cells tie at the cut, and how many of those get one more.
    """
    total = sum(weight)
    counts = [n * w // total for w in weight]
    remainders = [n * w % total for w in weight]
    left = n - sum(counts)
    if left == 0:
        return counts, [False] * len(weight), 0
    cut = sorted(remainders, reverse=True)[left - 1]
    sure = [count + (r > cut) for count, r in zip(counts, remainders, strict=True)]
    return sure, [r == cut for r in remainders], n - sum(sure)


@given(weights, sizes, seeds)
def test_counts_sum_to_n_and_stay_within_one_image(weight: list[int], n: int, seed: int) -> None:
    shares = exact_shares(weight)
    counts = quotas(shares, n, seed)
    assert sum(counts) == n
    assert all(abs(count - n * share) < 1 for count, share in zip(counts, shares, strict=True))
    assert all(count == 0 for count, share in zip(counts, shares, strict=True) if share == 0)


@given(weights, sizes, seeds)
def test_agrees_with_an_independent_implementation(weight: list[int], n: int, seed: int) -> None:
    sure, tied, extra = threshold_reference(weight, n)
    counts = quotas(exact_shares(weight), n, seed)
    gains = [count - base for count, base in zip(counts, sure, strict=True)]
    assert all(gain in (0, 1) for gain in gains)
    assert all(tie for tie, gain in zip(tied, gains, strict=True) if gain)
    assert sum(gains) == extra


@given(weights, sizes, seeds)
def test_floats_mean_the_fractions_they_came_from(weight: list[int], n: int, seed: int) -> None:
    as_floats = [w / sum(weight) for w in weight]
    assert quotas(as_floats, n, seed) == quotas(exact_shares(weight), n, seed)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12).filter(lambda x: sum(x) > 1e-3), sizes, seeds)
def test_any_floats_keep_the_promise(raw: list[float], n: int, seed: int) -> None:
    shares = [x / sum(raw) for x in raw]
    counts = quotas(shares, n, seed)
    assert sum(counts) == n
    # A float is read as a fraction with a denominator up to 1e9, so n·share itself moves by up to n·1e-9·K.
    slack = 1 + n * 1e-9 * len(shares)
    assert all(abs(count - n * share) <= slack for count, share in zip(counts, shares, strict=True))
    assert all(count == 0 for count, share in zip(counts, shares, strict=True) if share == 0)


@given(weights, weights.filter(lambda w: len(w) <= 4), st.integers(0, 5000), seeds)
def test_joint_targets(first: list[int], second: list[int], n: int, seed: int) -> None:
    joint = [a * b for a, b in itertools.product(exact_shares(first), exact_shares(second))]
    counts = quotas(joint, n, seed)
    assert sum(counts) == n
    assert all(abs(count - n * share) < 1 for count, share in zip(counts, joint, strict=True))


def test_known_counts() -> None:
    assert quotas([0.5, 0.5], 32) == [16, 16]
    assert quotas([0.4, 0.6], 10) == [4, 6]
    assert quotas([Fraction(1, 3), Fraction(2, 3)], 10) == [3, 7]
    assert quotas([0.7, 0.2, 0.1, 0.0], 3) == [2, 1, 0, 0]
    assert quotas([1], 5) == [5]
    assert quotas([0.5, 0.5], 0) == [0, 0]


def test_one_image_of_a_fair_target_is_a_fair_coin_over_seeds() -> None:
    first = sum(quotas([0.5, 0.5], 1, seed)[0] for seed in range(2000))
    assert abs(first - 1000) < 4 * math.sqrt(500)


def test_every_way_to_break_a_tie_is_equally_likely() -> None:
    outcomes = Counter(tuple(quotas([0.2] * 5, 7, seed)) for seed in range(2000))
    assert len(outcomes) == math.comb(5, 2)
    assert all(abs(count - 200) < 5 * math.sqrt(180) for count in outcomes.values())


def test_ties_hidden_by_floating_point_are_still_ties() -> None:
    almost = [1 - 0.9, 0.1, 0.8]
    assert almost[0] != almost[1]
    assert {tuple(quotas(almost, 5, seed)) for seed in range(40)} == {(1, 0, 4), (0, 1, 4)}


def test_the_seed_changes_only_ties() -> None:
    assert {tuple(quotas([0.49, 0.51], 1, seed)) for seed in range(50)} == {(0, 1)}
    assert quotas([0.25] * 4, 6, 3) == quotas([0.25] * 4, 6, 3)


@given(weights, st.integers(0, 60), seeds, st.integers(0, 50))
def test_tied_cells_win_in_turn_over_the_places(weight: list[int], n: int, seed: int, around: int) -> None:
    """Over as many places as cells tie, each of them wins equally often, and never two times more on the way."""
    shares = exact_shares(weight)
    sure, tied, wins = threshold_reference(weight, n)
    among = sum(tied)
    had = [0] * len(weight)
    for place in range(around * among, (around + 1) * among):
        gains = [count - base for count, base in zip(quotas(shares, n, seed, place=place), sure, strict=True)]
        had = [before + gain for before, gain in zip(had, gains, strict=True)]
        won = [count for count, tie in zip(had, tied, strict=True) if tie]
        assert max(won) - min(won) <= 1
    assert had == [wins * tie for tie in tied]


def test_other_texts_have_other_winners_and_the_same_text_the_same() -> None:
    prompts = [f"a photo of a {job}" for job in range(2000)]
    first = [quotas([0.5, 0.5], 1, 7, prompt)[0] for prompt in prompts]
    assert abs(sum(first) - 1000) < 4 * math.sqrt(500)
    assert first == [quotas([0.5, 0.5], 1, 7, prompt)[0] for prompt in prompts]
    assert quotas([0.5, 0.5], 1, 7, "") == quotas([0.5, 0.5], 1, 7)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([], "shares is empty"),
        ([0.5, -0.1, 0.6], r"share 1 is -0\.1: a share cannot be negative"),
        ([0.5, math.nan], "share 1 is nan: give a finite number"),
        ([math.inf, 0.0], "share 0 is inf: give a finite number"),
        ([0.5, 0.6], r"shares sum to 1\.1, not 1: change them"),
        ([0.333, 0.333, 0.333], r"shares sum to 0\.999, not 1"),
        ([Fraction(1, 2), Fraction(1, 3)], "shares sum to 0.8333333333, not 1"),
    ],
)
def test_wrong_shares_are_named(shares: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quotas(shares, 4)


def test_shares_may_miss_1_by_a_billionth_and_no_more() -> None:
    """What they miss is shared out, so that counts still sum to n."""
    over = [Fraction(1, 2), Fraction(1, 2) + Fraction(1, 2 * 10**9)]
    assert sum(quotas(over, 8 * 10**9)) == 8 * 10**9
    with pytest.raises(ValueError, match=r"shares sum to 1\.00000001, not 1"):
        quotas([Fraction(1, 2), Fraction(1, 2) + Fraction(1, 10**8)], 4)


def test_wrong_n_and_seed_are_named() -> None:
    with pytest.raises(ValueError, match="n is -1: give a whole number, 0 or more"):
        quotas([1.0], -1)
    with pytest.raises(ValueError, match=r"n is 2\.5"):
        quotas([1.0], 2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seed is -3"):
        quotas([1.0], 1, -3)
    with pytest.raises(ValueError, match="place is -1"):
        quotas([1.0], 1, place=-1)
