import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate
from scipy import stats

from fair_diffusion.statistics.prediction_powered import predict

Array = NDArray[np.float64]
Numbers = tuple[int, int, int, int]
"""Images by who saw the group: human and machine, human only, machine only, neither."""


def arrays(numbers: Numbers, yes: int, no: int) -> tuple[Array, Array, Array]:
    human, machine = np.repeat([1.0, 1.0, 0.0, 0.0], numbers), np.repeat([1.0, 0.0, 1.0, 0.0], numbers)
    return human, machine, np.repeat([1.0, 0.0], [yes, no])


numbers_of = st.tuples(st.integers(1, 40), st.integers(0, 15), st.integers(0, 15), st.integers(29, 60))


@settings(max_examples=40)
@given(numbers_of, st.integers(1, 500), st.integers(1, 500))
def test_the_estimate_is_that_of_ppi_python(numbers: Numbers, yes: int, no: int) -> None:
    line = predict(numbers, yes, yes + no)
    expected = float(np.squeeze(ppi_mean_pointestimate(*arrays(numbers, yes, no))))
    assert line.estimate == pytest.approx(min(1, max(0, expected)), abs=1e-12)


@settings(max_examples=40)
@given(numbers_of, st.integers(1, 500), st.integers(1, 500), st.sampled_from([0.8, 0.95]))
def test_the_interval_is_ppi_pythons_with_two_images_added(numbers: Numbers, yes: int, no: int, level: float) -> None:
    # Half an image of each pair: as whole images, twice as many of everything and a width by √2 too small. And where
    # the package takes the normal distribution, Student's t counts here.
    a, b, c, d = numbers
    doubled = (2 * a + 1, 2 * b + 1, 2 * c + 1, 2 * d + 1)
    line = predict(numbers, yes, yes + no, level=level)
    low, high = (float(np.squeeze(end)) for end in ppi_mean_ci(*arrays(doubled, 2 * yes, 2 * no), alpha=1 - level))
    centre, half = (low + high) / 2, (high - low) / 2 * np.sqrt(2)
    half *= stats.t.ppf((1 + level) / 2, sum(numbers) + 1) / stats.norm.ppf((1 + level) / 2)
    assert line.low == pytest.approx(max(0, centre - half), abs=2e-3)
    assert line.high == pytest.approx(min(1, centre + half), abs=2e-3)


@given(numbers_of, st.integers(1, 500), st.integers(1, 500), st.sampled_from([0.8, 0.95]))
def test_the_interval_is_students_of_the_weighted_images(numbers: Numbers, yes: int, no: int, level: float) -> None:
    weights, n = np.array(numbers) + 0.5, yes + no
    human, machine = np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 0.0, 1.0, 0.0])
    labelled, share = weights.sum(), yes / n
    everywhere = np.average([*machine, 1.0, 0.0], weights=[*weights, yes, no])
    spread = everywhere * (1 - everywhere) * (labelled + n) / (labelled + n - 1)
    weight = np.clip(np.cov(human, machine, aweights=weights, ddof=0)[0, 1] / ((1 + labelled / n) * spread), 0, 1)
    residual = human - weight * machine
    error = np.cov(residual, aweights=weights, ddof=0) / labelled + weight**2 * share * (1 - share) / n
    centre = np.average(residual, weights=weights) + weight * share
    half = stats.t.ppf((1 + level) / 2, labelled - 1) * np.sqrt(error)
    found = predict(numbers, yes, n, level=level)
    assert found.low == pytest.approx(max(0, centre - half), abs=1e-9)
    assert found.high == pytest.approx(min(1, centre + half), abs=1e-9)


def test_by_hand() -> None:
    # A perfect machine: its labels and the human's are pooled.
    perfect = predict((25, 0, 0, 75), 300, 1_000)
    assert perfect.estimate == pytest.approx((25 + 300) / 1100, abs=5e-3)
    assert (perfect.human, perfect.machine) == (0.25, 0.3)
    assert perfect.weight == pytest.approx(1 / (1 + 100 / 1000), abs=0.1)
    # A machine that knows nothing: the human labels alone count.
    useless = predict((10, 10, 40, 40), 900, 1_000)
    assert (useless.estimate, useless.weight) == (0.2, 0)
    # One that is always wrong in the same way is corrected.
    biased = predict((40, 0, 20, 40), 6_000, 10_000)
    assert biased.estimate == pytest.approx(0.4, abs=0.01)


def coverage(labelled: int, share: float, right: float, runs: int) -> float:
    rng = np.random.default_rng(0)
    pairs = [share * right, share * (1 - right), (1 - share) * (1 - right), (1 - share) * right]
    held = 0
    for a, b, c, d in rng.multinomial(labelled, pairs, runs).tolist():
        yes = int(rng.binomial(2_000, pairs[0] + pairs[2]))
        line = predict((a, b, c, d), yes, 2_000)
        held += line.low <= share <= line.high
    return held / runs


@pytest.mark.parametrize(("labelled", "share"), [(30, 0.02), (50, 0.1), (100, 0.5)])
def test_intervals_cover_the_truth(labelled: int, share: float) -> None:
    assert coverage(labelled, share, 0.95, 1_000) >= 0.95 - 2.5 * np.sqrt(0.95 * 0.05 / 1_000)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="29 human labels are too few: label at least 30 images"):
        predict((10, 5, 5, 9), 1, 2)
    with pytest.raises(ValueError, match="the machine has labelled no other image"):
        predict((10, 5, 5, 20), 0, 0)
    with pytest.raises(ValueError, match="counts of images must not be negative"):
        predict((10, 5, -1, 30), 1, 2)
    for count in (3, -1):
        with pytest.raises(ValueError, match=f"count is {count}: give a number of images from 0 to 2"):
            predict((10, 5, 5, 20), count, 2)
    with pytest.raises(ValueError, match="level is 95"):
        predict((10, 5, 5, 20), 1, 2, level=95)
