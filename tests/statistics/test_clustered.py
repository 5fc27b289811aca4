"""Shares over phrasings: closed forms and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.coverage_of_means import phrasings
from fair_diffusion.statistics.clustered import clustered_bounds
from fair_diffusion.statistics.intervals import wilson


def test_it_is_wilsons_with_students_quantile_for_the_effective_images() -> None:
    x, n = np.array([2, 12, 7, 15, 9]), 20
    share, t = x.sum() / 100, stats.t.ppf(0.975, 4)
    effective = share * (1 - share) / (stats.sem(x / n) ** 2)
    ends = [float(end) for end in clustered_bounds(x, n)]
    for p in ends:  # the score equation that defines Wilson's ends
        assert abs(share - p) / np.sqrt(p * (1 - p) / effective) == pytest.approx(t)


def test_coverage_over_phrasings_that_differ() -> None:
    give = 2 * np.sqrt(0.95 * 0.05 / 2_000)
    assert min(held for _, held in phrasings(2_000, clustered=True)) >= 0.93 - give
    five = dict(phrasings(2_000, clustered=False))["5 phrasings × 20, share 0.5 ± 0.15"]
    assert five == pytest.approx(0.75, abs=0.03)  # what it mends


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=9))
def test_ends_hold_the_share_and_never_meet(rows: list[tuple[int, int]]) -> None:
    kept = [row for row in rows if sum(row)]
    if len(kept) < 2:
        return
    counts, n = np.array(kept)[:, 0], np.array(kept).sum(axis=1)
    low, high = (float(end) for end in clustered_bounds(counts, n))
    share = counts.sum() / n.sum()
    assert 0 <= low <= share <= high <= 1
    assert high > low
    empty = clustered_bounds([*counts, 0], [*n, 0])  # a phrasing without images says nothing
    assert (low, high) == pytest.approx(tuple(float(end) for end in empty))
    mirrored = clustered_bounds(n - counts, n)
    assert (1 - high, 1 - low) == pytest.approx(tuple(float(end) for end in mirrored), abs=1e-9)


def test_phrasings_that_agree_are_not_surer_than_independent_images() -> None:
    low, high = clustered_bounds([10] * 5, 20)
    alone = wilson(50, 100)
    assert high - low >= 0.95 * (alone[1] - alone[0])
