import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.allocation import assign, quotas


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(0, 2**63))
def test_every_cell_occurs_as_often_as_its_quota(counts: list[int], seed: int) -> None:
    dealt = assign(counts, seed)
    assert [dealt.count(cell) for cell in range(len(counts))] == counts
    assert len(dealt) == sum(counts)
    assert dealt == assign(counts, seed)


def test_every_order_is_equally_likely() -> None:
    orders = Counter(tuple(assign([2, 2], seed)) for seed in range(3000))
    assert len(orders) == 6
    assert all(abs(count - 500) < 5 * math.sqrt(500 * 5 / 6) for count in orders.values())


def test_the_order_does_not_depend_on_who_won_the_tie() -> None:
    first_when = {0: 0, 1: 0}
    for seed in range(2000):
        counts = quotas([0.5, 0.5], 3, seed)
        majority = counts.index(2)
        first_when[majority] += assign(counts, seed)[0] == majority
    # Whoever holds two of the three images is first in two of three orders.
    assert all(abs(count - 2000 / 3) < 5 * math.sqrt(2000 / 3) for count in first_when.values())


def test_the_order_does_not_depend_on_the_draw_that_broke_ties_of_as_many_cells() -> None:
    """Four cells and four images: the two draws are of one size, and must still be two."""
    first, expected = [0] * 4, [0.0] * 4
    for seed in range(2000):
        counts = quotas([0.375, 0.375, 0.125, 0.125], 4, seed)
        extra = [k for k, base in enumerate((1, 1, 0, 0)) if counts[k] > base]
        first[counts.index(max(counts))] += assign(counts, seed)[0] in extra
        expected[counts.index(max(counts))] += sum(counts[k] for k in extra) / 4
    assert sum(first) == pytest.approx(sum(expected), abs=5 * math.sqrt(500))


@pytest.mark.parametrize("bad", [[1, -1], [1, 1.5]])
def test_wrong_quotas_are_named(bad: list[int]) -> None:
    with pytest.raises(ValueError, match=f"quota 1 is {bad[1]}: give a whole number, 0 or more"):
        assign(bad, 0)


def test_wrong_seed_is_named() -> None:
    with pytest.raises(ValueError, match="seed is -1"):
        assign([1], -1)
