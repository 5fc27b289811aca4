"""Bowker's test against statsmodels, and where it is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import SquareTable

from fair_diffusion.statistics.differences import mcnemar_p
from fair_diffusion.statistics.symmetry import bowker_p

tables = st.integers(3, 5).flatmap(
    lambda k: st.lists(st.lists(st.integers(1, 40), min_size=k, max_size=k), min_size=k, max_size=k)
)


@given(counts=tables)
def test_it_is_the_test_of_statsmodels(counts: list[list[int]]) -> None:
    assert bowker_p(counts) == pytest.approx(SquareTable(np.array(counts), shift_zeros=False).symmetry().pvalue)


def test_two_groups_are_mcnemars_test() -> None:
    assert bowker_p([[50, 9], [2, 30]]) == mcnemar_p(9, 2)


def test_pairs_of_groups_without_a_change_are_no_degrees_of_freedom() -> None:
    with_more_groups = np.zeros((5, 5), dtype=int)
    with_more_groups[:3, :3] = counts = [[4, 9, 1], [2, 5, 7], [6, 0, 3]]
    assert bowker_p(with_more_groups) == bowker_p(counts)


def test_it_rejects_symmetric_changes_in_a_twentieth_of_all_cases() -> None:
    rng = np.random.default_rng(5)
    there = rng.binomial(60, 0.5, size=(2000, 10))
    rejected = 0
    for changes in there:
        counts = np.zeros((5, 5), dtype=int)
        upper = np.triu_indices(5, 1)
        counts[upper] = changes
        counts.T[upper] = 60 - changes
        rejected += bowker_p(counts) < 0.05
    assert 0.035 < rejected / 2000 < 0.065


def test_no_change_says_nothing_and_other_shapes_are_refused() -> None:
    assert bowker_p(np.diag([3, 4, 5])) == 1.0
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        bowker_p(np.zeros((2, 3)))
