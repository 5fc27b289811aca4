"""The stream: every prefix within one image of the target, from the start and again after any counts."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.allocation.stream import deficits, next_cells

seeds = st.integers(0, 2**32)


def targets(largest: int) -> st.SearchStrategy[list[Fraction]]:
    """1 to 12 cells, some of them without a share."""
    weights = st.lists(st.integers(0, largest), min_size=1, max_size=12).filter(any)
    return weights.map(lambda weight: [Fraction(w, sum(weight)) for w in weight])


def bound(shares: Sequence[Fraction]) -> Fraction:
    """Tijdeman's: 1 − 1/(2K − 2) for K cells with a share."""
    held = sum(share > 0 for share in shares)
    return 1 - Fraction(1, 2 * held - 2) if held > 1 else Fraction(0)


def worst(shares: Sequence[Fraction], cells: Sequence[int]) -> Fraction:
    """The largest deviation of any cell after any prefix of `cells`."""
    return max(abs(share * t - cells[:t].count(k)) for t in range(1, len(cells) + 1) for k, share in enumerate(shares))


@given(targets(200), st.integers(1, 150), seeds, st.lists(st.integers(0, 11), max_size=150))
def test_every_prefix_is_within_one_image_of_the_target(
    shares: list[Fraction], n: int, seed: int, wished: list[int]
) -> None:
    cells = next_cells(shares, [0] * len(shares), n, seed, wished)
    assert len(cells) == n
    assert worst(shares, cells) <= bound(shares) < 1
    assert all(shares[cell] > 0 for cell in cells)


def test_the_largest_deficit_alone_does_not_keep_every_cell_within_one_image() -> None:
    shares = [Fraction(w, 18) for w in (1, 1, 1, 1, 7, 7)]
    counts, greedy = [0] * 6, []
    for t in range(1, 19):
        greedy.append(max(range(6), key=lambda k: (shares[k] * t - counts[k], -k)))
        counts[greedy[-1]] += 1
    assert worst(shares, greedy) == Fraction(19, 18)
    assert worst(shares, next_cells(shares, [0] * 6, 18)) <= Fraction(9, 10)


@given(targets(200), st.integers(1, 60), seeds)
def test_agrees_with_the_rule_as_published(shares: list[Fraction], n: int, seed: int) -> None:
    """In integers (shares w/D), and by the published ratio instead of by deadlines; ties may go either way."""
    scale = math.lcm(*(share.denominator for share in shares))
    weights = [int(share * scale) for share in shares]
    held = sum(weight > 0 for weight in weights)
    counts = [0] * len(weights)
    for t, cell in enumerate(next_cells(shares, counts, n, seed), start=1):
        # e_k = D·(τ_k·t − c_k); eligible if e_k·(2K − 2) ≥ D, first the smallest (D·(2K − 3)/(2K − 2) − e_k) / w_k
        short = [weight * t - scale * count for weight, count in zip(weights, counts, strict=True)]
        span = 2 * held - 2
        ratio = {
            k: Fraction(scale * (span - 1) - short[k] * span, weights[k])
            for k in range(len(weights))
            if weights[k] and short[k] * span >= scale
        }
        # With one cell alone the published rule has nothing to choose, and divides by zero.
        assert held == 1 or ratio[cell] == min(ratio.values())
        counts[cell] += 1


@given(targets(30), st.integers(0, 60), st.data(), seeds)
def test_one_request_or_many_give_the_same_stream(
    shares: list[Fraction], n: int, data: st.DataObject, seed: int
) -> None:
    counts = data.draw(st.lists(st.integers(0, 9), min_size=len(shares), max_size=len(shares)))
    together = next_cells(shares, counts, n, seed)
    one_by_one: list[int] = []
    had = list(counts)
    while len(one_by_one) < n:
        for cell in next_cells(shares, had, min(data.draw(st.integers(1, 5)), n - len(one_by_one)), seed):
            one_by_one.append(cell)
            had[cell] += 1
    assert one_by_one == together


@given(targets(5), st.data(), seeds)
def test_any_counts_come_back_within_one_image_as_soon_as_they_can_and_stay(
    shares: list[Fraction], data: st.DataObject, seed: int
) -> None:
    counts = data.draw(st.lists(st.integers(0, 6), min_size=len(shares), max_size=len(shares)))
    held = [k for k, share in enumerate(shares) if share]
    start = sum(counts[k] for k in held)
    # Before this an image too many, which cannot be taken back, is still too many.
    back = max(start + 1, *(math.ceil(counts[k] / shares[k]) for k in held))
    for t, cell in enumerate(next_cells(shares, counts, back - start + 40, seed), start=start + 1):
        assert shares[cell] > 0
        counts[cell] += 1
        if t >= back:
            lacking = deficits(shares, counts)
            assert max(abs(lacking[k]) for k in held) <= bound(shares)


@given(targets(6), st.integers(0, 2**32), st.floats(0, 0.5))
def test_outcomes_that_miss_are_made_up_for(shares: list[Fraction], seed: int, miss: float) -> None:
    """Images show any cell now and then instead of theirs; without the ledger these misses would stay for ever."""
    chance, counts = random.Random(seed), [0] * len(shares)
    for _ in range(60):
        (cell,) = next_cells(shares, counts, 1, seed)
        counts[chance.randrange(len(shares)) if chance.random() < miss else cell] += 1
    held = [k for k, share in enumerate(shares) if share]
    start = sum(counts[k] for k in held)
    back = max(start + 1, *(math.ceil(counts[k] / shares[k]) for k in held))
    for cell in next_cells(shares, counts, back - start, seed):
        counts[cell] += 1
    assert max(abs(deficits(shares, counts)[k]) for k in held) <= bound(shares)


def test_a_cell_that_got_too_many_gets_none_until_the_others_have_caught_up() -> None:
    half = [Fraction(1, 2), Fraction(1, 2)]
    assert next_cells(half, [5, 0], 5) == [1] * 5
    assert Counter(next_cells(half, [5, 0], 25)) == {0: 10, 1: 15}


def test_images_of_a_cell_without_a_share_change_nothing_for_the_others() -> None:
    shares = [Fraction(3, 10), Fraction(7, 10), Fraction(0)]
    assert next_cells(shares, [1, 2, 50], 30, 4) == next_cells(shares, [1, 2, 0], 30, 4)
    assert deficits(shares, [1, 2, 50]) == [Fraction(-1, 10), Fraction(1, 10), -50]


def test_ties_go_to_each_cell_with_the_same_chance_and_anew_each_time() -> None:
    half = [Fraction(1, 2), Fraction(1, 2)]
    first = Counter(tuple(next_cells(half, [0, 0], 4, seed)) for seed in range(2000))
    # Two ties, at the first and the third image: four streams.
    assert set(first) == {(0, 1, 0, 1), (0, 1, 1, 0), (1, 0, 0, 1), (1, 0, 1, 0)}
    assert all(abs(count - 500) < 5 * math.sqrt(375) for count in first.values())


def test_what_is_wished_goes_first_among_ties_and_once_for_each_wish() -> None:
    half, counts = [Fraction(1, 2)] * 2, [0, 0]
    for wish in [1, 1, 0, 0, 0, 1]:  # every second image is free
        counts[next_cells(half, counts, 1, seed=3, wished=[wish])[0]] += 1
    assert counts == [3, 3]
    assert [next_cells(half, [0, 0], 1, seed, [cell]) for seed in range(20) for cell in (0, 1)] == [[0], [1]] * 20
    thirds = [Fraction(1, 3)] * 3
    assert Counter(next_cells(thirds, [0, 0, 0], 2, 5, [2, 2])) != Counter([2, 2])
    assert {next_cells(thirds, [0, 0, 0], 2, seed, [2, 1])[0] for seed in range(20)} == {1, 2}


def test_shares_far_below_what_a_float_can_tell_apart_are_kept() -> None:
    tiny = Fraction(1, 10**30)
    shares = [Fraction(1, 2) + tiny, Fraction(1, 2) - tiny]
    assert next_cells(shares, [0, 0], 1) == [0]
    assert next_cells([shares[1], shares[0]], [0, 0], 1) == [1]


@pytest.mark.parametrize(
    ("shares", "counts", "n", "seed", "message"),
    [
        ([Fraction(1)], [0, 0], 1, 0, "1 shares and 2 counts: give one count for each"),
        ([Fraction(1, 2)], [0], 1, 0, "shares are 1/2: give fractions of 0 or more that sum to exactly 1"),
        ([Fraction(2), Fraction(-1)], [0, 0], 1, 0, "shares are 2, -1: give fractions"),
        ([Fraction(1)], [-1], 1, 0, "count 0 is -1: give a whole number, 0 or more"),
        ([Fraction(1)], [0], -1, 0, "n is -1"),
        ([Fraction(1)], [0], 1, -1, "seed is -1"),
    ],
)
def test_wrong_arguments_are_named(shares: list[Fraction], counts: list[int], n: int, seed: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next_cells(shares, counts, n, seed)
