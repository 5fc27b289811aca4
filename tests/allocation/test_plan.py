"""The plan of several targets: exact, and each target dealt out by a lot of its own."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.allocation import assign_randomly, plan
from fair_diffusion.policy import Policy
from fair_diffusion.policy.target import uniform

TARGETS_OF_ONE = Policy.from_sentence("doctor: half women; skin tone uniform").rules[0].targets
TARGETS = Policy.from_sentence("doctor: 1/3 women; skin tone uniform").rules[0].targets


@given(n=st.integers(0, 200), seed=st.integers(0, 2**53 - 1))
def test_the_cells_dealt_are_the_quotas(n: int, seed: int) -> None:
    planned = plan(TARGETS, n, seed)
    for target, quota, cells in zip(TARGETS, planned, assign_randomly(TARGETS, planned, seed), strict=True):
        counted = Counter(cells)
        assert [counted[cell] for cell in target.shares] == quota
        assert sum(quota) == n


def test_targets_that_tie_together_do_not_win_together() -> None:
    """Over twenty places of one image, women are not always those of the same skin tones."""
    pairs = Counter[tuple[int, int]]()
    for place in range(20):
        gender, tone = (counts.index(1) for counts in plan(TARGETS_OF_ONE, 1, 5, place=place))
        pairs[gender, tone] += 1
    assert Counter(gender for gender, _ in pairs.elements()) == {0: 10, 1: 10}
    assert set(Counter(tone for _, tone in pairs.elements()).values()) == {4}
    assert len(pairs) >= 8


def test_targets_and_requests_draw_independent_lots() -> None:
    pair = (uniform("gender"), uniform("gender"))

    def dealt(seed: int) -> list[list[tuple[str, ...]]]:
        return assign_randomly(pair, plan(pair, 20, seed), seed)

    # A 20-image order of 10 and 10 repeats by chance once in 184,756 times.
    orders = [tuple(order) for seed in range(20) for order in dealt(seed)]
    assert len(set(orders)) == len(orders)
