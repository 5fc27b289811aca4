"""How many images show a group: exact answers, coverage, and errors that two readers share."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import betabinom

from fair_diffusion.statistics.true_counts import (
    disagreement_p,
    explained_disagreement,
    shared_counts,
    true_counts,
    unread_p,
)

NEVER_WRONG = [[10**7, 0, 0], [0, 10**7, 0]]
ERRS = [[190, 8, 2], [4, 195, 1]]


def test_a_reader_that_never_errs_is_right() -> None:
    assert true_counts([16, 16, 0], NEVER_WRONG) == [(16, 16), (16, 16)]
    assert shared_counts([16, 16, 0], NEVER_WRONG, looked_at=64) == [(16, 16), (16, 16)]


def test_counts_of_all_groups_sum_to_the_images() -> None:
    (women, men) = true_counts([30, 60, 10], ERRS)
    assert women[0] + men[1] == women[1] + men[0] == 100


@pytest.mark.parametrize("truth", [(16, 16), (2, 30), (50, 50), (300, 700)])
def test_the_interval_holds_for_images_that_are_fixed(truth: tuple[int, int]) -> None:
    """The matrix is a sample of the rates, as a real one is."""
    rng, rates = np.random.default_rng(7), np.array([[0.95, 0.04, 0.01], [0.02, 0.97, 0.01]])
    runs, held = 150, 0
    for _ in range(runs):
        matrix = np.stack([rng.multinomial(200, row) for row in rates])
        read = sum(rng.multinomial(n, row) for n, row in zip(truth, rates, strict=True))
        low, high = true_counts(read, matrix)[0]
        held += low <= truth[0] <= high
    assert held / runs >= 0.92


def test_shared_errors_are_as_many_as_the_images_looked_at_may_have() -> None:
    """Of 200 men 4 are read as women: with 64 looked at, up to the 97.5 % quantile may be men among the women."""
    (women, men) = shared_counts([16, 16, 0], ERRS, looked_at=64)
    assert women == (16 - betabinom.ppf(0.975, 64, 4.5, 196.5), 16 + betabinom.ppf(0.975, 64, 10.5, 190.5))
    assert men == (16 - betabinom.ppf(0.975, 64, 8.5, 192.5), 16 + betabinom.ppf(0.975, 64, 5.5, 195.5))
    narrow = shared_counts([16, 16, 0], ERRS, looked_at=32)
    assert women[0] <= narrow[0][0]
    assert women[1] >= narrow[0][1]
    with pytest.raises(ValueError, match="looked_at is 31, and 32 images were read"):
        shared_counts([16, 16, 0], ERRS, looked_at=31)


def test_readers_that_err_as_often_as_their_matrices_say_are_rarely_doubted() -> None:
    rng, rates = np.random.default_rng(3), (0.05, 0.03)
    p = []
    for _ in range(300):
        one, other = ([[200 - wrong, wrong, 0] for wrong in rng.binomial(200, rate, 2)] for rate in rates)
        differ = int(rng.binomial(400, rates[0] * (1 - rates[1]) + rates[1] * (1 - rates[0])))
        p.append(disagreement_p(differ, 400, [0.5, 0.5], one, other))
    assert np.mean(np.array(p) < 0.01) <= 0.02
    assert explained_disagreement([0.5, 0.5], [[95, 5, 0], [5, 95, 0]], [[97, 3, 0], [3, 97, 0]]) == pytest.approx(0.08)
    # 16.7 % where 7 % are explained
    assert disagreement_p(334, 2_000, [0.5, 0.5], [[960, 40, 0], [40, 960, 0]], [[970, 30, 0], [30, 970, 0]]) < 1e-6


def test_more_unread_images_than_the_matrix_explains() -> None:
    assert unread_p(0, 32, ERRS) == 1
    assert unread_p(1, 100, ERRS) == pytest.approx(betabinom.sf(0, 100, 2.5, 198.5))
    assert unread_p(200, 1_000, ERRS) < 1e-6


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="give 3 rows of 4 counts"):
        true_counts([1, 2, 3, 0], ERRS)
    with pytest.raises(ValueError, match="of no images"):
        true_counts([0, 0, 0], ERRS)
    with pytest.raises(ValueError, match="label images of each group"):
        true_counts([1, 1, 0], [[5, 0, 0], [0, 0, 0]])
