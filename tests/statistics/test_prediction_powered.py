import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate, ppi_mean_power
from scipy import optimize, stats

from fair_diffusion.statistics.prediction_powered import (
    Stratum,
    expected_half_width,
    labels_wanted,
    predict,
    predict_strata,
)

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


strata_of = st.lists(
    st.builds(
        lambda numbers, yes, no: Stratum(numbers, yes, yes + no),
        st.tuples(*[st.integers(1, 30)] * 4).filter(lambda numbers: sum(numbers) >= 15),
        st.integers(1, 300),
        st.integers(1, 300),
    ),
    min_size=2,
    max_size=6,
)


def columns(strata: list[Stratum]) -> list[tuple[Array, Array, Array]]:
    """The labels of each concept as `arrays` gives them."""
    return [
        arrays((int(a), int(b), int(c), int(d)), int(one.seen), int(one.n - one.seen))
        for one in strata
        for a, b, c, d in [one.pairs]
    ]


@settings(max_examples=40)
@given(strata_of)
def test_the_estimate_over_concepts_is_that_of_ppi_python_with_weights(strata: list[Stratum]) -> None:
    parts = columns(strata)
    human, machine, other = (np.concatenate(column) for column in zip(*parts, strict=True))
    images = [len(own) + len(rest) for own, _, rest in parts]
    of_labels, of_others = (
        np.concatenate([np.full(len(part[k]), size / len(part[k])) for part, size in zip(parts, images, strict=True)])
        for k in (0, 2)
    )
    line = predict_strata(strata)
    expected = ppi_mean_pointestimate(human, machine, other, lam=line.weight, w=of_labels, w_unlabeled=of_others)
    assert line.estimate == pytest.approx(min(1, max(0, float(np.squeeze(expected)))), abs=1e-9)
    assert line.human == pytest.approx(float(np.average(human, weights=of_labels)))
    assert line.machine == pytest.approx(float(np.average(other, weights=of_others)))


@settings(max_examples=30)
@given(strata_of)
def test_the_trust_makes_the_variance_over_concepts_smallest(strata: list[Stratum]) -> None:
    parts = columns(strata)
    images = sum(len(human) + len(other) for human, _, other in parts)

    def variance(trust: float) -> float:
        total = 0.0
        for human, machine, other in parts:
            spread = float(np.concatenate([machine, other]).var(ddof=1))
            covariance = float(np.cov(human, machine, ddof=0)[0, 1])
            own = (human.var() - 2 * trust * covariance + trust**2 * spread) / len(human)
            total += ((len(human) + len(other)) / images) ** 2 * (own + trust**2 * spread / len(other))
        return total

    best = optimize.minimize_scalar(variance, bounds=(0, 1), method="bounded", options={"xatol": 1e-9}).x
    assert predict_strata(strata).weight == pytest.approx(float(best), abs=1e-4)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_over_concepts_adds_up_their_variances(level: float) -> None:
    strata = [Stratum((8, 2, 1, 9), 60, 180), Stratum((3, 0, 4, 33), 30, 60), Stratum((5, 1, 0, 4), 0, 0)]
    weights = np.array([200, 100, 10]) / 310
    line = predict_strata(strata, level=level)
    added = [
        Stratum((a + 1 / 6, b + 1 / 6, c + 1 / 6, d + 1 / 6), one.seen, one.n)
        for one in strata
        for a, b, c, d in [one.pairs]
    ]
    # One trust for the two concepts with images that people did not label, none for the third.
    top, bottom = 0.0, 0.0
    for weight, (pairs, count, n) in zip(weights[:2], added[:2], strict=True):
        labelled = sum(pairs)
        machine = (pairs[0] + pairs[2] + count) / (labelled + n)
        spread = machine * (1 - machine) * (labelled + n) / (labelled + n - 1)
        covariance = pairs[0] / labelled - (pairs[0] + pairs[1]) * (pairs[0] + pairs[2]) / labelled**2
        top += weight**2 * covariance / labelled
        bottom += weight**2 * spread * (1 / labelled + 1 / n)
    centre, parts, degrees = 0.0, [], []
    for weight, raw, (pairs, count, n), trust in zip(weights, strata, added, [top / bottom] * 2 + [0], strict=True):
        values = np.array([1 - trust, 1, -trust, 0])
        mean = float(np.average(values, weights=pairs))
        read = count / n if n else 0
        centre += weight * (mean + trust * read)
        parts += [weight**2 * float(np.average((values - mean) ** 2, weights=pairs)) / (sum(raw.pairs) - 1)]
        degrees += [sum(raw.pairs) - 1]
        if n:
            parts += [weight**2 * trust**2 * read * (1 - read) / n]
            degrees += [n - 1]
    freedom = sum(parts) ** 2 / sum(part**2 / own for part, own in zip(parts, degrees, strict=True))
    half = stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(sum(parts))
    assert (line.low, line.high) == pytest.approx((centre - half, centre + half))


def strata_coverage(shares: Array, labelled: Array, images: Array, right: float, runs: int) -> tuple[float, float]:
    """How often the interval over concepts holds the share of all images, and the mean error of the estimate."""
    rng = np.random.default_rng(0)
    truth, held, error = float(np.average(shares, weights=images)), 0, 0.0
    for _ in range(runs):
        strata = []
        for share, own, size in zip(shares, labelled.astype(int), images.astype(int), strict=True):
            pairs = [share * right, share * (1 - right), (1 - share) * (1 - right), (1 - share) * right]
            count = int(rng.binomial(size - own, pairs[0] + pairs[2]))
            a, b, c, d = rng.multinomial(own, pairs).tolist()
            strata.append(Stratum((a, b, c, d), count, int(size - own)))
        line = predict_strata(strata)
        held += line.low <= truth <= line.high
        error += (line.estimate - truth) / runs
    return held / runs, error


@pytest.mark.parametrize("right", [0.9, 0.98])
def test_concepts_that_were_labelled_unevenly_count_as_much_as_they_have_images(right: float) -> None:
    # The concepts with most labels show few women: pooled, the labels say about 15 %, and the truth is 50 %.
    shares = np.linspace(0.02, 0.98, 20)
    labelled = np.where(shares < 0.2, 60.0, 5.0)
    held, error = strata_coverage(shares, labelled, np.full(20, 200.0), right, 1_000)
    assert 0.93 <= held <= 0.99
    assert abs(error) < 0.01


def test_labels_wanted_are_those_of_ppi_python() -> None:
    pairs = (12, 3, 4, 41)
    # Half an image of each kind is added: as whole images, twice as many of everything.
    human, machine = (np.repeat(values, [2 * own + 1 for own in pairs]) for values in ([1.0, 1, 0, 0], [1.0, 0, 1, 0]))
    for n in (400, 1_000, 4_000):
        for half_width in (0.05, 0.07):
            enough = human.var() * (stats.norm.ppf(0.975) / half_width) ** 2
            expected = ppi_mean_power(human, machine, 1, 1e-6, effective_n=enough, n_max=n)["n"]
            assert labels_wanted(pairs, n, half_width=half_width) == pytest.approx(expected, abs=1)
    assert labels_wanted(pairs, 250) is None
    assert labels_wanted((0, 0, 0, 40), 10_000) == 30
    assert (labels_wanted(pairs, 4_000, level=0.8) or 0) < (labels_wanted(pairs, 4_000) or 0)


def test_mistakes_over_concepts_are_named() -> None:
    good, few = Stratum((5, 5, 5, 5), 3, 10), Stratum((1, 1, 1, 1), 3, 10)
    with pytest.raises(ValueError, match="a concept has 4 human labels: label at least 5 images of each"):
        predict_strata([good, few])
    with pytest.raises(ValueError, match="20 human labels are too few: label at least 30 images"):
        predict_strata([Stratum((5, 5, 0, 0), 3, 10)] * 2)
    with pytest.raises(ValueError, match="counts that are negative or too large"):
        predict_strata([good, Stratum((5, 5, 5, 5), 11, 10)])
    with pytest.raises(ValueError, match="there are 1 concepts"):
        predict_strata([good])
    with pytest.raises(ValueError, match="the machine has labelled no other image"):
        predict_strata([Stratum((5, 5, 5, 5), 0, 0)] * 2)
    with pytest.raises(ValueError, match="level is 95"):
        predict_strata([good] * 2, level=95)


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


@given(numbers_of, st.integers(200, 5000))
def test_the_half_width_is_the_other_side_of_the_labels_wanted(numbers: Numbers, n: int) -> None:
    now = expected_half_width(numbers, n, 60)
    assert expected_half_width(numbers, n, 120) < now
    wanted = labels_wanted(numbers, n, half_width=now)
    assert wanted in (60, 61)  # rounded up


def test_the_half_width_of_no_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        expected_half_width((10, 1, 1, 20), 100, 0)
