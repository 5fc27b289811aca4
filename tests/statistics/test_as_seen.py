import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize

from fair_diffusion.statistics.as_seen import explained, translated

readings_of = arrays(np.float64, (5, 4), elements=st.floats(0.001, 1)).map(lambda a: a / a.sum(axis=1, keepdims=True))
rates_of = arrays(np.float64, (4, 4), elements=st.floats(0.001, 1)).map(lambda a: a / a.sum(axis=1, keepdims=True))


@given(readings_of)
def test_a_reader_that_does_not_err_is_taken_at_its_word_bit_for_bit(readings: np.ndarray) -> None:
    shares = explained(readings.sum(axis=0), np.eye(4), np.full(4, 0.1))
    assert (translated(readings, np.eye(4), shares) == readings).all()


@given(readings_of, rates_of)
def test_probabilities_sum_to_one(readings: np.ndarray, rates: np.ndarray) -> None:
    shares = explained(readings.sum(axis=0), rates, np.full(4, 0.1))
    assert shares.sum() == pytest.approx(1)
    found = translated(readings, rates, shares)
    assert found.sum(axis=1) == pytest.approx(np.ones(5))
    assert (found >= 0).all()


def test_it_is_bayes() -> None:
    # Of 100 such images 90 show women, one sixth of whom are read as men.
    rates = np.array([[5 / 6, 1 / 6, 0], [0, 1, 0], [0, 0, 1]])
    found = translated(np.eye(3), rates, [0.9, 0.1, 0.0])
    assert found[0] == pytest.approx([1, 0, 0])
    assert found[1] == pytest.approx([0.15 / 0.25, 0.1 / 0.25, 0])
    assert found[2] == pytest.approx([0, 0, 1])


def test_a_reading_that_nothing_explains_is_taken_at_its_word() -> None:
    rates = np.array([[1.0, 0, 0], [1.0, 0, 0], [0, 0, 1]])
    assert translated([[0, 1, 0]], rates, [0.5, 0.5, 0.0])[0] == pytest.approx([0, 1, 0])


def test_a_reader_that_is_no_surer_than_labels_allow_is_taken_at_its_word() -> None:
    """Else the errors of unsure readings would count twice: once in the rates, once in the reading."""
    rates = np.array([[0.95, 0.05, 0], [0.05, 0.95, 0], [0, 0, 1]])
    unsure, sure = [0.72, 0.28, 0.0], [0.99, 0.01, 0.0]
    found = translated([unsure, sure], rates, [0.5, 0.5, 0.0])
    assert found[0].tolist() == unsure
    assert found[1] == pytest.approx([0.95, 0.05, 0])


def test_shares_solve_the_equations_of_the_readings() -> None:
    rates = np.array([[0.8, 0.15, 0.05], [0.1, 0.85, 0.05], [0.2, 0.2, 0.6]])
    truth = np.array([0.3, 0.6, 0.1])
    found = explained(1e6 * truth @ rates, rates, np.full(3, 1e-6))
    assert found == pytest.approx(truth, abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(rates_of, arrays(np.float64, 4, elements=st.floats(0.5, 30)))
def test_shares_are_the_most_probable_ones(rates: np.ndarray, read: np.ndarray) -> None:
    """EM climbs to the maximum of the likelihood with a Dirichlet prior, as an optimizer finds it."""
    imagined = np.full(4, 0.2)

    def loss(logits: np.ndarray) -> float:
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        return -float(read @ np.log(shares @ rates) + imagined @ np.log(shares))

    best = min((optimize.minimize(loss, start) for start in (np.zeros(4), np.eye(4)[0])), key=lambda one: one.fun)
    assert loss(np.log(explained(read, rates, imagined))) <= best.fun + 0.02


@pytest.mark.parametrize("seed", range(3))
def test_summed_probabilities_are_what_people_see(seed: int) -> None:
    """A simulation: a reader that calls a sixth of women men, among images of which 9 of 10 show women."""
    rng = np.random.default_rng(seed)
    rates = np.array([[5 / 6, 1 / 6, 0], [0.01, 0.99, 0], [0, 0, 1]])
    truth = rng.choice(3, 4000, p=[0.9, 0.1, 0.0])
    read = np.array([rng.choice(3, p=rates[k]) for k in truth])
    readings = np.eye(3)[read]
    found = translated(readings, rates, explained(readings.sum(axis=0), rates, np.full(3, 0.2)))
    assert found.sum(axis=0) / 4000 == pytest.approx([(truth == k).mean() for k in range(3)], abs=0.02)
    men = found[read == 1]
    assert men[:, 1].mean() == pytest.approx((truth[read == 1] == 1).mean(), abs=0.06)
