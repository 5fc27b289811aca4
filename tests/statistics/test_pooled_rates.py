import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from fair_diffusion.statistics.pooled_rates import STRENGTHS, pooled_rates, rate_intervals

counts_of = arrays(np.float64, (4, 3, 3), elements=st.integers(0, 9).map(float))


@settings(max_examples=40)
@given(counts_of)
def test_rows_are_distributions_between_own_and_pooled(counts: np.ndarray) -> None:
    found = pooled_rates(counts)
    assert found.pooled.sum(axis=1) == pytest.approx(np.ones(3))
    assert found.own.sum(axis=2) == pytest.approx(np.ones((4, 3)))
    n = counts.sum(axis=2, keepdims=True)
    own = np.where(n > 0, counts / np.where(n > 0, n, 1), found.pooled)
    low, high = np.minimum(own, found.pooled), np.maximum(own, found.pooled)
    assert (found.own >= low - 1e-9).all()
    assert (found.own <= high + 1e-9).all()
    assert (found.strengths >= STRENGTHS[0] - 1e-9).all()
    assert (found.strengths <= STRENGTHS[-1] + 1e-6).all()


def test_a_reader_is_believed_until_labels_contradict_it() -> None:
    right = np.stack([np.diag([5.0, 0.0, 9.0]), np.diag([1.0, 2.0, 3.0])])
    found = pooled_rates(right)
    assert (found.pooled == np.eye(3)).all()
    assert found.own == pytest.approx(np.stack([np.eye(3)] * 2))


def test_pooled_rates_are_counts_and_one_imagined_label() -> None:
    found = pooled_rates([[[6, 2], [0, 7]], [[1, 0], [1, 3]]])
    assert found.pooled == pytest.approx(np.array([[8 / 10, 2 / 10], [1 / 12, 11 / 12]]))


def test_the_posterior_of_the_strength_is_that_of_scipys_dirichlet_multinomial() -> None:
    counts = np.array([[[9.0, 1.0], [1.0, 6.0]], [[2.0, 8.0], [2.0, 7.0]], [[5.0, 5.0], [3.0, 9.0]]])
    found = pooled_rates(counts)
    for i in range(2):
        rows = [(counts[c, i].astype(int), int(counts[c, i].sum())) for c in range(3)]
        likelihood = np.array(
            [sum(stats.dirichlet_multinomial.logpmf(row, s * found.pooled[i], n) for row, n in rows) for s in STRENGTHS]
        )
        weight = np.exp(likelihood - likelihood.max())
        weight /= weight.sum()
        expected = sum(
            w * (counts[:, i] + s * found.pooled[i]) / (counts[:, i].sum(axis=1, keepdims=True) + s)
            for w, s in zip(weight, STRENGTHS, strict=True)
        )
        assert found.own[:, i] == pytest.approx(expected)
        assert found.strengths[i] == pytest.approx(np.exp(weight @ np.log(STRENGTHS)))


@pytest.mark.parametrize(("spread", "wins"), [(0.0, "pooled"), (0.3, "own")])
def test_shrinkage_is_at_least_as_near_to_the_truth_as_either(spread: float, wins: str) -> None:
    """Concepts that err alike are pooled; concepts that do not keep what their own labels say."""
    rng = np.random.default_rng(0)
    errors = {"shrunk": 0.0, "pooled": 0.0, "own": 0.0}
    for _ in range(60):
        rate = np.clip(0.35 + rng.uniform(-spread, spread, 20), 0, 1)
        n = np.zeros((20, 2, 2))
        wrong = rng.binomial(15, rate)
        n[:, 0] = np.stack([15 - wrong, wrong], axis=1)
        n[:, 1, 1] = 15
        found = pooled_rates(n)
        errors["shrunk"] += ((found.own[:, 0, 1] - rate) ** 2).mean()
        errors["pooled"] += ((found.pooled[0, 1] - rate) ** 2).mean()
        errors["own"] += ((wrong / 15 - rate) ** 2).mean()
    assert errors["shrunk"] < 1.5 * errors[wins]
    assert errors["shrunk"] < 0.5 * max(errors["pooled"], errors["own"])


def test_intervals_are_jeffreys() -> None:
    low, high = rate_intervals([[8, 2], [0, 5]])
    assert low[0, 1] == pytest.approx(stats.beta.ppf(0.025, 2.5, 8.5))
    assert high[0, 1] == pytest.approx(stats.beta.ppf(0.975, 2.5, 8.5))
    assert (low[1, 0], high[1, 1]) == (0, 1)
    assert rate_intervals([[0, 0], [0, 0]])[1].min() == 1


def test_wrong_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="give numbers"):
        pooled_rates([[[1, -1], [0, 1]]])
    with pytest.raises(ValueError, match="shape"):
        pooled_rates([[1, 0], [0, 1]])
