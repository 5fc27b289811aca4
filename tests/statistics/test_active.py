import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fair_diffusion.statistics.active import inclusion, lot, uncertainty, weighted_share
from fair_diffusion.statistics.prediction_powered import predict

unsure = st.lists(st.floats(0, 1), min_size=1, max_size=60)


def test_a_certain_reader_is_not_unsure() -> None:
    told = uncertainty([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.0, 0.0], [0.25, 0.25]])
    assert told == pytest.approx([0, 0, np.sqrt(0.5), 0, np.sqrt(1 - 2 / 16 - 1 / 4)])


@given(unsure, st.floats(0.5, 100), st.floats(0.05, 1))
def test_inclusion_probabilities_sum_to_the_labels_wanted(u: list[float], wanted: float, uniform: float) -> None:
    found = inclusion(u, wanted, uniform=uniform)
    assert found.sum() == pytest.approx(min(wanted, len(u)))
    assert ((found > 0) & (found <= 1)).all()
    assert found.min() >= min(1, uniform * min(wanted, len(u)) / len(u)) - 1e-12
    order = np.argsort(u)
    assert (np.diff(found[order]) >= -1e-12).all()


def test_without_uncertainty_all_pictures_have_the_same_probability() -> None:
    assert inclusion([0.0, 0.0, 0.0, 0.0], 2) == pytest.approx([0.5] * 4)
    assert inclusion([0.1, 0.9, 0.3], 1.5, uniform=1) == pytest.approx([0.5] * 3)


def test_inclusion_follows_the_mixture() -> None:
    # 0.5/4 + 0.5·u/Σu, twice
    assert inclusion([1, 1, 2, 0], 2, uniform=0.5) == pytest.approx([0.5, 0.5, 0.75, 0.25])


@pytest.mark.parametrize(
    ("u", "wanted", "uniform"), [([], 1, 0.3), ([np.nan], 1, 0.3), ([-1], 1, 0.3), ([1], 0, 0.3), ([1], 1, 0)]
)
def test_wrong_numbers_are_refused(u: list[float], wanted: float, uniform: float) -> None:
    with pytest.raises(ValueError, match="give"):
        inclusion(u, wanted, uniform=uniform)


def test_lots_are_uniform_and_stay() -> None:
    lots = [lot(f"{k:064x}") for k in range(2000)]
    assert stats.kstest(lots, "uniform").pvalue > 0.01
    assert lots[7] == lot(f"{7:064x}") != lot(f"{7:064x}", seed=1)


def test_with_equal_probabilities_it_is_the_prediction_powered_share() -> None:
    pairs = (30, 5, 4, 41)
    human, machine = np.repeat([1, 1, 0, 0], pairs), np.repeat([1, 0, 1, 0], pairs)
    found = weighted_share(human, machine, np.full(80, 0.08), 34 + 436, 1000)
    other = predict(pairs, 436, 920)
    assert found.estimate == pytest.approx(other.estimate, abs=0.005)
    assert found.high - found.low == pytest.approx(other.high - other.low, rel=0.1)


def test_a_common_factor_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    human, machine, pi = rng.integers(0, 2, 60), rng.integers(0, 2, 60), rng.uniform(0.1, 1, 60)
    assert weighted_share(human, machine, pi, 300, 600) == weighted_share(human, machine, pi / 2, 300, 600)


@pytest.mark.parametrize("uniform", [1.0, 0.3])
def test_the_interval_holds_and_active_labels_make_it_narrower(uniform: float) -> None:
    """The reader is unsure where it errs. Coverage over 600 repetitions, of the share of the process."""
    rng = np.random.default_rng(5)
    held, width, n, labels = 0, 0.0, 1500, 150
    for _ in range(600):
        hard = rng.random(n) < 0.2
        truth = rng.random(n) < 0.3
        wrong = rng.random(n) < np.where(hard, 0.35, 0.01)
        read = truth ^ wrong
        sure = np.where(hard, 0.65, 0.99)
        p = np.stack([np.where(read, sure, 1 - sure), np.where(read, 1 - sure, sure)], axis=1)
        pi = inclusion(uncertainty(p), labels, uniform=uniform)
        drawn = rng.random(n) < pi
        found = weighted_share(truth[drawn], read[drawn], pi[drawn], float(read.sum()), n)
        held += found.low <= 0.3 <= found.high
        width += (found.high - found.low) / 600
    assert held / 600 >= 0.93
    assert width < (0.105 if uniform == 1 else 0.09)


def test_too_few_labels_or_labels_of_chosen_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 30"):
        weighted_share(np.ones(29), np.ones(29), np.ones(29), 50, 100)
    with pytest.raises(ValueError, match="leave labels of chosen pictures out"):
        weighted_share(np.ones(30), np.ones(30), np.zeros(30), 50, 100)


def test_a_very_small_probability_is_a_weight_like_any_other() -> None:
    human, machine = np.tile([1, 0], 20), np.tile([1, 0, 0, 0], 10)
    pi = np.full(40, 1e-300)
    assert weighted_share(human, machine, pi, 100, 400) == weighted_share(human, machine, np.ones(40), 100, 400)
