"""Which images would leave too much to chance."""

from __future__ import annotations

import numpy as np
import pytest

from fair_diffusion.control.doubt import SCATTER, in_doubt


def test_certain_images_are_left_alone() -> None:
    assert in_doubt(range(6), np.eye(3)[[0, 1, 2, 0, 1, 2]]) == []
    assert in_doubt([], np.full((4, 2), 0.5)) == []


def test_the_surest_are_left_alone_up_to_a_share_of_the_variance_of_coins() -> None:
    p = np.array([[0.9, 0.1]] * 50 + [[0.01, 0.99]] * 50)
    found = in_doubt(range(100), p)
    assert set(found) <= set(range(50))
    left = [i for i in range(100) if i not in found]
    variance = sum(float(2 * p[i, 0] * p[i, 1]) for i in left)
    assert variance <= SCATTER**2 * 100 / 2 < variance + 0.18


def test_images_that_are_steered_anyway_count_for_nothing() -> None:
    p = np.array([[0.6, 0.4]] * 5 + [[1.0, 0.0]] * 5)
    assert in_doubt(range(5, 10), p) == []
    assert in_doubt([0, 7], p) == [0]


@pytest.mark.parametrize("n", [10, 100, 1000])
def test_the_share_of_images_in_doubt_does_not_depend_on_their_number(n: int) -> None:
    p = np.tile([0.9, 0.1], (n, 1))
    assert len(in_doubt(range(n), p)) == pytest.approx(0.75 * n, abs=0.5)


def test_what_is_missing_to_one_is_unknown_and_scatters_too() -> None:
    assert in_doubt([0], np.array([[0.7, 0.0], [1.0, 0.0]])) == [0]
