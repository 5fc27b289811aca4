"""The least change, against brute force and closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fair_diffusion.allocation import least_change


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[int | None], NDArray[np.float64], list[int]]:
    """Up to seven images over up to three cells; natural cells are the likeliest ones, or unknown."""
    quotas = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3).filter(lambda q: 0 < sum(q) <= 7))
    n, cells = sum(quotas), len(quotas)
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    p = rng.dirichlet(np.full(cells + 1, 0.5), n)[:, :cells]
    return [int(row.argmax()) if row.max() >= 0.5 else None for row in p], p, quotas


@given(problems())
def test_no_other_assignment_changes_fewer_or_is_as_small_and_likelier(
    problem: tuple[list[int | None], NDArray[np.float64], list[int]],
) -> None:
    natural, p, quotas = problem

    def score(cells: tuple[int, ...]) -> tuple[int, float]:
        changed = sum(cell != own for cell, own in zip(cells, natural, strict=True))
        return changed, -sum(np.log(max(p[i, cell], 1e-6)) for i, cell in enumerate(cells))

    found = tuple(least_change(natural, p, quotas))
    assert [found.count(k) for k in range(len(quotas))] == quotas
    places = [k for k, quota in enumerate(quotas) for _ in range(quota)]
    best = min(score(cells) for cells in set(itertools.permutations(places)))
    assert score(found)[0] == best[0]
    assert score(found)[1] == pytest.approx(best[1], abs=1e-6)


@given(women=st.integers(0, 60), men=st.integers(0, 60), quota=st.integers(0, 120))
def test_only_the_surplus_changes(women: int, men: int, quota: int) -> None:
    n = women + men
    quota = min(quota, n)
    natural = [0] * women + [1] * men
    p = np.array([[0.9, 0.05]] * women + [[0.05, 0.9]] * men).reshape(n, 2)
    found = least_change(natural, p, [quota, n - quota])
    assert sum(a != b for a, b in zip(found, natural, strict=True)) == abs(women - quota)


def test_the_least_sure_images_of_the_surplus_change() -> None:
    p = [[0.01, 0.99], [0.4, 0.6], [0.02, 0.98], [0.3, 0.7]]
    assert least_change([1, 1, 1, 1], p, [2, 2]) == [1, 0, 1, 0]


def test_one_change_more_is_worse_than_every_surprise() -> None:
    """Changing the first image would put both where they are likely; leaving it puts neither there."""
    assert least_change([0, None], [[0.0, 1.0], [1.0, 0.0]], [1, 1]) == [0, 1]


def test_an_unreadable_image_goes_where_one_is_missing() -> None:
    assert least_change([0, None, 1], [[0.9, 0.1], [0.01, 0.02], [0.1, 0.9]], [2, 1]) == [0, 0, 1]


def test_images_that_are_hard_to_change_stay() -> None:
    p = [[0.45, 0.55], [0.1, 0.9]]
    assert least_change([1, 1], p, [1, 1]) == [0, 1]
    assert least_change([1, 1], p, [1, 1], effort=[10, 1]) == [1, 0]


@pytest.mark.parametrize(
    ("natural", "probabilities", "message"),
    [
        ([0], [[0.5, 0.5], [0.5, 0.5]], "do not fit quotas"),
        ([0, 0], [[0.5], [0.5]], "do not fit quotas"),
        ([0, 0], [[0.5, 1.5], [0.5, 0.5]], "outside 0…1"),
        ([0, 0], [[0.5, float("nan")], [0.5, 0.5]], "outside 0…1"),
    ],
)
def test_wrong_input(natural: list[int | None], probabilities: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        least_change(natural, probabilities, [1, 1])
