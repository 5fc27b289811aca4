import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fair_diffusion.statistics.metrics import (
    deviation_ratio,
    fd,
    kl,
    noise_floor,
    noise_floors,
    pairwise_bias,
    parity_gap,
    smoothed_kl,
    total_variation,
    two_group_noise_floor,
)

distributions = (
    st.lists(st.integers(0, 1000), min_size=2, max_size=8).filter(any).map(lambda w: [x / sum(w) for x in w])
)


def enumerated_noise_floor(target: list[float], n: int) -> float:
    """Expected total variation by going through every outcome of a multinomial draw."""
    expected = 0.0
    for counts in itertools.product(range(n + 1), repeat=len(target)):
        if sum(counts) == n:
            probability = stats.multinomial.pmf(counts, n, target)
            expected += probability * sum(abs(c / n - t) for c, t in zip(counts, target, strict=True)) / 2
    return expected


@given(distributions)
def test_nothing_deviates_from_itself(p: list[float]) -> None:
    assert total_variation(p, p) == fd(p, p) == kl(p, p) == 0


@given(st.data(), distributions)
def test_divergences_agree_with_scipy_and_pinsker(data: st.DataObject, p: list[float]) -> None:
    weight = data.draw(st.lists(st.integers(1, 1000), min_size=len(p), max_size=len(p)))
    q = [w / sum(weight) for w in weight]
    assert kl(p, q) == pytest.approx(stats.entropy(p, q), abs=1e-12)
    assert total_variation(p, q) <= math.sqrt(kl(p, q) / 2) + 1e-9
    assert total_variation(p, q) == pytest.approx(max_event_difference(p, q))


def max_event_difference(p: list[float], q: list[float]) -> float:
    """Total variation by its other definition: the largest difference in probability of any event."""
    events = itertools.product([0, 1], repeat=len(p))
    return max(abs(sum(e * (a - b) for e, a, b in zip(event, p, q, strict=True))) for event in events)


def test_values_by_hand() -> None:
    assert total_variation([0.02, 0.98], [0.5, 0.5]) == pytest.approx(0.48)
    assert fd([0.8, 0.2], [0.5, 0.5]) == pytest.approx(0.3 * math.sqrt(2))
    assert kl([1, 0], [0.5, 0.5]) == pytest.approx(math.log(2))
    assert kl([0.5, 0.5], [1, 0]) == math.inf
    assert pairwise_bias([0.5, 0.3, 0.2]) == pytest.approx((0.2 + 0.3 + 0.1) / 3)
    assert deviation_ratio([1, 0, 0]) == 1
    assert deviation_ratio([0.5, 0.25, 0.25]) == pytest.approx(0.25)
    assert deviation_ratio([0.25] * 4) == 0
    assert parity_gap([0.02, 0.98]) == pytest.approx(0.48)
    assert parity_gap([1, 0, 0, 0, 0]) == pytest.approx((0.8 + 4 * 0.2) / 5)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=6).filter(any), st.data())
def test_the_smoothed_divergence_is_that_of_counts_with_half_an_image_more(
    counts: list[int], data: st.DataObject
) -> None:
    weights = data.draw(st.lists(st.integers(0, 9), min_size=len(counts), max_size=len(counts)).filter(any))
    target = [weight / sum(weights) for weight in weights]
    n = sum(counts)
    found = smoothed_kl(counts, target)
    expected = stats.entropy([2 * x + 1 for x in counts], [2 * n * share + 1 for share in target])
    assert found == pytest.approx(expected, abs=1e-12)
    assert math.isfinite(found)


def test_one_misread_image_does_not_make_the_smoothed_divergence_infinite() -> None:
    assert smoothed_kl([50, 50, 0], [0.5, 0.5, 0]) == 0
    assert smoothed_kl([50, 49, 1], [0.5, 0.5, 0]) == pytest.approx(
        (50.5 * math.log(1) + 49.5 * math.log(49.5 / 50.5) + 1.5 * math.log(1.5 / 0.5)) / 101.5
    )
    for counts in ([1, 2], [0, 0, 0], [-1, 2, 3]):
        with pytest.raises(ValueError, match="give 0 or more images for each group"):
            smoothed_kl(counts, [0.5, 0.5, 0])


@given(st.floats(0, 1))
def test_two_groups_make_the_ratio_and_the_pairwise_bias_equal(share: float) -> None:
    p = [share, 1 - share]
    assert deviation_ratio(p) == pytest.approx(pairwise_bias(p), abs=1e-12)
    assert pairwise_bias(p) == pytest.approx(2 * total_variation(p, [0.5, 0.5]), abs=1e-12)


@given(distributions)
def test_the_parity_gap_is_the_total_variation_from_even_shares_scaled(p: list[float]) -> None:
    even = [1 / len(p)] * len(p)
    assert parity_gap(p) == pytest.approx(2 / len(p) * total_variation(p, even), abs=1e-12)


@pytest.mark.parametrize("target", [[0.5, 0.5], [0.3, 0.7], [0.2, 0.3, 0.5], [0.5, 0.5, 0.0], [1.0, 0.0]])
@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_noise_floor_is_the_mean_over_all_outcomes(target: list[float], n: int) -> None:
    assert noise_floor(target, n) == pytest.approx(enumerated_noise_floor(target, n), abs=1e-12)


@given(distributions, st.integers(1, 3000))
def test_noise_floor_agrees_with_summed_binomials(target: list[float], n: int) -> None:
    k = np.arange(n + 1)
    expected = sum(float((np.abs(k / n - t) * stats.binom.pmf(k, n, t)).sum()) for t in target) / 2
    assert noise_floor(target, n) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("n", "published"), [(10, 0.246), (60, 0.103), (250, 0.050)])
def test_noise_floor_of_a_fair_coin_as_published(n: int, published: float) -> None:
    assert two_group_noise_floor(n) == pytest.approx(published, abs=5e-4)


def test_noise_floor_falls_with_the_root_of_n() -> None:
    assert noise_floor([0.5, 0.5], 10**6) == pytest.approx(math.sqrt(1 / (2 * math.pi * 10**6)), rel=1e-5)


def test_wrong_distributions_are_named() -> None:
    with pytest.raises(ValueError, match=r"p sums to 2, not 1: divide counts by their sum"):
        total_variation([1, 1], [0.5, 0.5])
    with pytest.raises(ValueError, match="not negative"):
        kl([1.5, -0.5], [0.5, 0.5])
    with pytest.raises(ValueError, match="not negative"):
        fd([math.nan, 1], [0.5, 0.5])
    with pytest.raises(ValueError, match="2 shares against 3: compare distributions over the same groups"):
        total_variation([0.5, 0.5], [0.5, 0.25, 0.25])
    with pytest.raises(ValueError, match="flat sequence"):
        total_variation([[1.0]], [1.0])
    with pytest.raises(ValueError, match="at least 2"):
        pairwise_bias([1.0])
    with pytest.raises(ValueError, match="at least 2"):
        deviation_ratio([1.0])
    with pytest.raises(ValueError, match="n is 0"):
        noise_floor([0.5, 0.5], 0)


@pytest.mark.parametrize("n", [1, 7, 60])
def test_noise_floors_of_two_groups_have_closed_forms(n: int) -> None:
    floors = noise_floors([0.5, 0.5], n)
    assert floors["total_variation"] == noise_floor([0.5, 0.5], n)
    for name, expected in (
        ("fd", math.sqrt(2) * noise_floor([0.5, 0.5], n)),
        ("pairwise_bias", two_group_noise_floor(n)),
        ("parity_gap", noise_floor([0.5, 0.5], n)),
        ("deviation_ratio", two_group_noise_floor(n)),
    ):
        assert floors[name] == pytest.approx(expected, rel=0.02)


def test_noise_floors_are_means_over_all_outcomes() -> None:
    target, n = [0.5, 0.3, 0.2], 5
    expected = dict.fromkeys(("total_variation", "kl", "fd", "pairwise_bias", "parity_gap", "deviation_ratio"), 0.0)
    for counts in itertools.product(range(n + 1), repeat=3):
        if sum(counts) == n:
            shares = [count / n for count in counts]
            probability = float(stats.multinomial.pmf(counts, n, target))
            expected["total_variation"] += probability * total_variation(shares, target)
            expected["kl"] += probability * kl(shares, target)
            expected["fd"] += probability * fd(shares, target)
            expected["pairwise_bias"] += probability * pairwise_bias(shares)
            expected["parity_gap"] += probability * parity_gap(shares)
            expected["deviation_ratio"] += probability * deviation_ratio(shares)
    assert noise_floors(target, n) == pytest.approx(expected, rel=0.015)


def test_the_noise_floor_of_kl_is_that_of_theory() -> None:
    # Half a chi-squared with K − 1 degrees of freedom over n.
    assert noise_floors([0.25] * 4, 1_000)["kl"] == pytest.approx(3 / 2_000, rel=0.03)
    with pytest.raises(ValueError, match="target has 1 group"):
        noise_floors([1.0], 5)
