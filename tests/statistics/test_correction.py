import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from fair_diffusion.statistics.correction import correct


@given(
    positive=st.integers(0, 200),
    right_women=st.integers(60, 100),
    right_men=st.integers(60, 100),
)
def test_two_groups_without_unknown_are_rogan_and_gladen(positive: int, right_women: int, right_men: int) -> None:
    sensitivity, specificity = right_women / 100, right_men / 100
    closed = (positive / 200 + specificity - 1) / (sensitivity + specificity - 1)
    readings = [positive, 200 - positive, 0]
    matrix = [[right_women, 100 - right_women, 0], [100 - right_men, right_men, 0]]
    # Readings that are far from what any share gives contradict the matrix; all others are corrected.
    nearest = min(1, max(0, closed))
    expected = nearest * sensitivity + (1 - nearest) * (1 - specificity)
    apart = abs(positive / 200 - expected) / np.sqrt(expected * (1 - expected) * (1 / 200 + 1 / 100) + 1e-4)
    try:
        shares = correct(readings, matrix)
    except ValueError:
        shares = None
    assert apart < 4 if shares else apart > 1.5
    if shares is None:
        return
    assert shares.estimate[0] == pytest.approx(min(1, max(0, closed)), abs=1e-6)
    assert shares.estimate.sum() == pytest.approx(1)
    assert (shares.low <= shares.estimate).all()
    assert (shares.estimate <= shares.high).all()


def test_exact_readings_give_back_the_truth() -> None:
    rates = np.array([[90, 5, 3, 2], [5, 85, 5, 5], [2, 8, 80, 10]])
    truth = np.array([0.5, 0.3, 0.2])
    readings = (truth @ (rates / 100) * 100_000).round().astype(int)
    assert correct(readings, rates).estimate == pytest.approx(truth, abs=1e-4)


def test_unknown_is_given_to_those_whom_it_hides() -> None:
    # Half of the women and none of the men go unread: 25 read women and 25 unread images are 50 women.
    assert correct([25, 50, 25], [[50, 0, 50], [0, 100, 0]]).estimate[0] == pytest.approx(0.5, abs=1e-6)


def test_it_is_least_squares_over_distributions() -> None:
    rates = np.array([[70, 20, 5, 5], [15, 60, 15, 10], [5, 15, 70, 10]]) / 100
    # Fewer readings of the first group than even the other groups' errors explain: without the constraint its share
    # would be negative.
    readings = np.array([4, 60, 120, 16]) / 200
    found = optimize.minimize(
        lambda p: float(((rates.T @ p - readings) ** 2).sum()),
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        options={"ftol": 1e-15, "maxiter": 1000},
    ).x
    estimate = correct([4, 60, 120, 16], (rates * 100).round()).estimate
    assert estimate[0] == pytest.approx(0, abs=1e-6)
    assert estimate == pytest.approx(found, abs=1e-4)


def test_fewer_labels_and_fewer_images_make_wider_intervals() -> None:
    def width(scale_matrix: int, scale_images: int) -> float:
        matrix = np.array([[9, 1, 0], [1, 9, 0]]) * scale_matrix
        shares = correct([30 * scale_images, 70 * scale_images, 0], matrix)
        return float(shares.high[0] - shares.low[0])

    assert width(100, 100) < width(100, 1) < width(2, 1)
    assert width(100, 100) < width(2, 100)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_a_perfect_reader_leaves_the_uncertainty_of_the_readings(level: float) -> None:
    shares = correct([30, 70, 0], [[10_000_000, 0, 0], [0, 10_000_000, 0]], level=level)
    # With half an image added to each count, the share has a beta distribution.
    expected = stats.beta(30.5, 70.5).ppf([(1 - level) / 2, (1 + level) / 2])
    assert (shares.low[0], shares.high[0]) == pytest.approx(tuple(expected), abs=0.008)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_many_readings_leave_the_uncertainty_of_the_labels(level: float) -> None:
    shares = correct([4_000_000, 6_000_000, 0], [[90, 10, 0], [20, 80, 0]], level=level)
    rng = np.random.default_rng(1)
    sensitivity, specificity = rng.beta(90.5, 10.5, 100_000), rng.beta(80.5, 20.5, 100_000)
    rogan_gladen = (0.4 + specificity - 1) / (sensitivity + specificity - 1)
    expected = np.quantile(rogan_gladen, [(1 - level) / 2, (1 + level) / 2])
    assert (shares.low[0], shares.high[0]) == pytest.approx(tuple(expected), abs=0.012)


def test_no_interval_is_a_point() -> None:
    # All 2,000 images are read as women, by a reader that read 100 of 100 women and men rightly. An interval by exact
    # counts starts at 99.8 %; all resamples moved to 1 would give 100.0 to 100.0 %.
    shares = correct([2_000, 0, 0], [[100, 0, 0], [0, 100, 0]])
    assert shares.low[0] == pytest.approx(0.998, abs=1e-3)
    assert shares.high[1] == pytest.approx(0.002, abs=1e-3)
    # Few women are read where the errors with men alone would give as many or more.
    shares = correct([60, 940, 0], [[95, 5, 0], [8, 92, 0]])
    assert (shares.estimate[0], shares.low[0]) == (0, 0)
    assert 0.02 < shares.high[0] < 0.06


def test_readings_that_contradict_the_matrix_are_not_corrected() -> None:
    # The reader takes 10 of 100 men for women, and of 2,000 images it takes none for one.
    with pytest.raises(ValueError, match="the readings contradict the confusion matrix: no shares explain them"):
        correct([0, 2_000, 0], [[90, 10, 0], [10, 90, 0]])
    assert correct([0, 20, 0], [[90, 10, 0], [10, 90, 0]]).estimate[0] == 0  # 20 images can be without an error


@pytest.mark.parametrize("truth", [0.0, 0.02])
def test_intervals_near_zero_cover_the_truth_and_few_are_refused(truth: float) -> None:
    rng = np.random.default_rng(1)
    rates, runs = np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2]]), 400
    held, refused = 0, 0
    for run in range(runs):
        readings = rng.multinomial(500, np.array([truth, 1 - truth]) @ rates)
        try:
            shares = correct(readings, [rng.multinomial(100, row) for row in rates], seed=run)
        except ValueError:
            refused += 1
            continue
        held += bool(shares.low[0] <= truth <= shares.high[0])
        assert shares.high[0] > 0.01
    assert refused / runs <= 0.02
    assert held / (runs - refused) >= 0.95 - 2.5 * np.sqrt(0.95 * 0.05 / runs)


def test_the_seed_fixes_the_resamples() -> None:
    first, again, other = (correct([30, 70, 5], [[90, 5, 5], [5, 90, 5]], seed=seed) for seed in (1, 1, 2))
    assert (first.low == again.low).all()
    assert (first.low != other.low).all()
    assert (first.estimate == other.estimate).all()


def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(0)
    rates, truth, runs = np.array([[0.85, 0.1, 0.05], [0.06, 0.9, 0.04]]), np.array([0.3, 0.7]), 400
    held = 0
    for run in range(runs):
        readings = rng.multinomial(200, truth @ rates)
        shares = correct(readings, [rng.multinomial(80, row) for row in rates], seed=run)
        held += bool(shares.low[0] <= 0.3 <= shares.high[0])
    assert held / runs >= 0.95 - 2.5 * np.sqrt(0.95 * 0.05 / runs)


def test_mistakes_are_named() -> None:
    good = [[90, 5, 5], [5, 90, 5]]
    with pytest.raises(ValueError, match=r"hardly depend on the group \(the smallest singular value is 0\.050"):
        correct([30, 70, 0], [[50, 50, 0], [45, 55, 0]])
    with pytest.raises(ValueError, match="row 1 of the confusion matrix is empty: label images of each group"):
        correct([30, 70, 0], [[90, 5, 5], [0, 0, 0]])
    for matrix in ([[90, 5], [5, 90]], [[90, 5, 5]]):
        with pytest.raises(ValueError, match=r"has shape \(., .\): give 2 rows of 3 counts, the last for unknown"):
            correct([30, 70, 0], matrix)
    with pytest.raises(ValueError, match="give 2 rows of 3 counts"):
        correct([30, 70, 0], [[90, 5, 5], [-5, 90, 5]])
    with pytest.raises(ValueError, match="the readings are of no images: there is nothing to correct"):
        correct([0, 0, 0], good)
    with pytest.raises(ValueError, match="level is 95"):
        correct([30, 70, 0], good, level=95)
