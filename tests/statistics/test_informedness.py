"""Informedness: what it is for known readers, and that its interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from fair_diffusion.statistics.differences import newcombe
from fair_diffusion.statistics.informedness import informedness


def test_of_two_groups_it_is_the_difference_of_newcombe() -> None:
    """Sensitivity minus one minus specificity: the difference of two independent shares."""
    found, ends = informedness([[56, 14], [48, 32]])
    assert found == pytest.approx(56 / 70 + 32 / 80 - 1)
    assert ends == pytest.approx(newcombe(48, 80, 56, 70))


def test_chance_is_0_whatever_a_reader_favours_and_no_error_is_1() -> None:
    assert informedness([[9, 1], [18, 2]])[0] == pytest.approx(0)
    assert informedness([[8, 1, 1], [16, 2, 2], [24, 3, 3]])[0] == pytest.approx(0)
    assert informedness(np.diag([5, 7, 9]))[0] == 1
    assert informedness([[0, 4], [4, 0]])[0] == -1
    assert informedness([[0, 0, 4], [0, 0, 4]])[0] == -1  # all readings are of a third group
    for wrong in ([[1, 2]], [[1]], [[1, 0], [0, 0]]):
        with pytest.raises(ValueError, match="two groups or more"):
            informedness(wrong)


def test_the_interval_holds_the_truth() -> None:
    chance = np.random.default_rng(0)
    rates, n = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.3, 0.6]]), (20, 30, 25)
    truth, held = (np.diag(rates).sum() - 1) / 2, 0
    for _ in range(1000):
        low, high = informedness([chance.multinomial(m, row) for m, row in zip(n, rates, strict=True)])[1]
        held += low <= truth <= high
    assert 0.93 <= held / 1000 <= 0.98
