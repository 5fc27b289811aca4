"""Labels of amplification: their probabilities by integration, false labels, bounds of counts, and the mean lean."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fair_diffusion.audit.lines import relation
from fair_diffusion.statistics.amplification import (
    FEWEST_LEANS,
    Lean,
    fewest,
    label_probabilities,
    lean,
    mean_lean,
    tails,
)

MANY = 10**9
NAMES = ["amplified", "reflected", "mitigated"]


def integrated(x: int, n: int, r: float, groups: int) -> list[float]:
    """The probabilities at a known share r of the reference: the mean likelihood over the shares of each label."""
    p = (np.arange(200_000) + 0.5) / 200_000
    labels = np.array([NAMES.index(relation(share, r, groups=groups)) for share in p[::50]]).repeat(50)
    likelihood = stats.binom.pmf(x, n, p)
    means = [float(likelihood[labels == k].mean()) if (labels == k).any() else 0.0 for k in range(3)]
    return [mean / sum(means) for mean in means]


@pytest.mark.parametrize(
    ("x", "n", "r", "groups"),
    [
        (6, 20, 0.3, 2),
        (1, 20, 0.3, 2),
        (15, 20, 0.3, 2),
        (40, 50, 0.7, 2),
        (10, 20, 0.5, 2),
        (0, 9, 0.02, 2),
        (3, 30, 0.2, 4),
        (14, 30, 0.2, 4),
        (7, 30, 0.4, 4),
        (30, 30, 0.6, 4),
    ],
)
def test_probabilities_are_mean_likelihoods(x: int, n: int, r: float, groups: int) -> None:
    found = label_probabilities(x, n, round(r * MANY), MANY, 1 / groups)
    assert found.tolist() == pytest.approx(integrated(x, n, r, groups), abs=4e-3)


@given(st.integers(1, 60), st.integers(0, 60), st.integers(1, 60), st.integers(0, 60))
def test_probabilities_sum_to_one_and_turn_with_the_groups(n: int, x: int, m: int, y: int) -> None:
    x, y = min(x, n), min(y, m)
    found = label_probabilities(x, n, y, m, 0.5)
    assert found.sum() == pytest.approx(1)
    assert label_probabilities(n - x, n, m - y, m, 0.5) == pytest.approx(found, abs=1e-9)
    mirrored = tails(n - x, n, m - y, m, 0.5)
    assert (mirrored.amplified, mirrored.other) == pytest.approx(tails(x, n, y, m, 0.5), abs=1e-9)


def test_an_uncertain_reference_makes_labels_less_sure() -> None:
    sure, unsure = (label_probabilities(5, 100, 3 * m // 10, m, 0.5) for m in (10_000, 10))
    assert sure[0] > 0.99
    assert 0.4 < unsure[0] < 0.99
    # With no image of the reference but one, nearly all is possible.
    assert label_probabilities(5, 100, 1, 1, 0.5).max() < 0.97


def test_a_model_that_draws_the_references_shares_is_not_called_amplifying() -> None:
    rng = np.random.default_rng(0)
    r = rng.beta(2, 2, 4_000)
    x, y = rng.binomial(20, r), rng.binomial(2_000, r)
    observed = np.mean([relation(a / 20, b / 2_000) == "amplified" for a, b in zip(x, y, strict=True)])
    assert observed > 0.35
    probabilities = label_probabilities(x, 20, y, 2_000, 0.5)
    sure = probabilities.max(axis=0) >= 0.8
    assert np.mean(sure & (probabilities.argmax(axis=0) == 0)) < 0.02


def test_four_of_five_labels_of_80_percent_are_right() -> None:
    rng = np.random.default_rng(1)
    right, said = 0, 0
    for r in (0.1, 0.3, 0.45):
        p = rng.random(60_000)
        labels = np.array([NAMES.index(relation(share, r)) for share in p])
        # As many of each label: what the probabilities assume.
        least = min(int((labels == k).sum()) for k in range(3))
        chosen = np.concatenate([np.flatnonzero(labels == k)[:least] for k in range(3)])
        x = rng.binomial(40, p[chosen])
        found = label_probabilities(np.arange(41), 40, round(r * MANY), MANY, 0.5)[:, x]
        sure = (found.max(axis=0) >= 0.8) & (found.max(axis=0) < 0.9)
        right, said = right + int((found.argmax(axis=0) == labels[chosen])[sure].sum()), said + int(sure.sum())
    assert right / said == pytest.approx(0.85, abs=0.02)


@settings(max_examples=80)
@given(st.lists(st.sampled_from([0.0001, 0.002, 0.01, 0.02, 0.03, 0.2, 0.9]), min_size=1, max_size=7))
def test_the_fewest_are_those_of_closed_testing(p: list[float]) -> None:
    def rejects(chosen: tuple[int, ...]) -> bool:
        ordered = sorted(p[k] for k in chosen)
        return any(value <= (k + 1) * 0.025 / len(ordered) for k, value in enumerate(ordered))

    every = [chosen for size in range(1, len(p) + 1) for chosen in itertools.combinations(range(len(p)), size)]
    true_together = max((len(chosen) for chosen in every if not rejects(chosen)), default=0)
    assert fewest(p, level=0.975) == len(p) - true_together
    assert fewest(p, level=0.6) >= fewest(p, level=0.975)


def test_no_hypothesis_is_no_discovery() -> None:
    assert fewest([]) == 0
    with pytest.raises(ValueError, match="level is 95"):
        fewest([0.1], level=95)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.2])
def test_bounds_of_the_count_hold(shift: float) -> None:
    rng = np.random.default_rng(2)
    held, runs, prompts, n = 0, 200, 40, 50
    for _ in range(runs):
        r = rng.beta(2, 2, prompts)
        p = np.clip(r + np.where(rng.random(prompts) < 0.5, shift, 0) * np.sign(r - 0.5), 0, 1)
        truth = sum(relation(a, b) == "amplified" for a, b in zip(p, r, strict=True))
        found = tails(rng.binomial(n, p), n, rng.binomial(500, r), 500, 0.5)
        held += fewest(found.amplified) <= truth <= prompts - fewest(found.other)
    assert held / runs >= 0.95


def test_p_values_are_those_of_one_sided_tests() -> None:
    # r is 0.3: amplified are shares below 0.26 and above 0.7.
    found = tails(2, 20, round(0.3 * MANY), MANY, 0.5)
    posterior = stats.beta(2.5, 18.5)
    below, above = posterior.cdf(0.26), posterior.sf(0.7)
    assert float(found.amplified) == pytest.approx(2 * (1 - max(below, above)), abs=1e-3)
    assert float(found.other) == pytest.approx(max(below, above), abs=1e-3)


def left_out(counts: list[int], reference: list[int], even: float) -> float:
    """The lean with each image of the reference left out in turn, image by image."""
    images = [group for group, count in enumerate(reference) for _ in range(count)]
    total = 0.0
    for k, own in enumerate(images):
        others = images[:k] + images[k + 1 :]
        favoured = [g for g in range(len(reference)) if others.count(g) / len(others) > even]
        total += sum(counts[g] for g in favoured) / sum(counts) - (own in favoured)
    return total / len(images)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=4))
def test_the_lean_chooses_groups_without_the_image_that_it_counts(pairs: list[tuple[int, int]]) -> None:
    counts, reference = [a for a, _ in pairs], [b for _, b in pairs]
    found = lean(counts, reference, 1 / len(pairs))
    if not sum(counts) or sum(reference) < 2:
        assert found is None
    else:
        assert found is not None
        assert found.difference == pytest.approx(left_out(counts, reference, 1 / len(pairs)))


def test_the_lean_by_hand() -> None:
    found = lean([30, 70], [200, 800], 0.5)
    assert found is not None
    assert found.difference == pytest.approx(0.7 - 0.8)
    of_model, of_reference = 70.5 / 101, 800.5 / 1_001
    assert found.variance == pytest.approx(of_model * (1 - of_model) / 100 + of_reference * (1 - of_reference) / 1_000)
    assert lean([5, 5], [3, 7], 1.0) is None


def test_the_lean_of_equal_shares_is_none_however_few_images() -> None:
    rng = np.random.default_rng(3)
    r = rng.beta(5, 5, 6_000)
    x, y = rng.binomial(20, r).tolist(), rng.binomial(20, r).tolist()
    leans = [lean([a, 20 - a], [b, 20 - b], 0.5) for a, b in zip(x, y, strict=True)]
    mean, interval = mean_lean([one for one in leans if one is not None])
    assert abs(mean) < 0.01
    assert interval is not None
    assert interval[0] < 0 < interval[1]
    # Groups that are chosen by the very images whose share is counted seem to shrink.
    naive = [math.copysign(1, b - 10) * (a - b) / 20 for a, b in zip(x, y, strict=True) if b != 10]
    assert np.mean(naive) < -0.04


def test_the_interval_of_the_mean_is_students() -> None:
    differences = [0.1, 0.05, -0.02, 0.2, 0.12, 0.3, -0.1, -0.15, 0.25, 0.0] * 5
    differences += [2 * 0.075 - value for value in differences]  # symmetric: no skewness
    mean, interval = mean_lean([Lean(value, 0.0) for value in differences])
    expected = stats.t.interval(0.95, 99, np.mean(differences), stats.sem(differences))
    assert mean == pytest.approx(np.mean(differences))
    assert interval == pytest.approx(expected)
    # Prompts that are alike by chance are as uncertain as their images.
    _, interval = mean_lean([Lean(0.1, 0.0025)] * 100)
    half = stats.norm.ppf(0.975) * math.sqrt(100 * 0.0025) / 100
    assert interval == pytest.approx((0.1 - half, 0.1 + half))
    mean, interval = mean_lean([Lean(0.1, 0.01)] * (FEWEST_LEANS - 1))
    assert mean == pytest.approx(0.1)
    assert interval is None
    _, interval = mean_lean([Lean(0.9, 100.0)] * 100)
    assert interval is not None
    assert interval[1] == 1
    with pytest.raises(ValueError, match="level is 95"):
        mean_lean([Lean(0.1, 0.01)], level=95)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_end_at_the_longer_tail_is_farther(sign: int) -> None:
    differences = sign * np.array([0.0] * 90 + [0.5] * 10)
    _, interval = mean_lean([Lean(value, 0.0) for value in differences.tolist()])
    low, high = stats.t.interval(0.95, 99, differences.mean(), stats.sem(differences))
    t = stats.t.ppf(0.975, 99)
    skewness = ((differences - differences.mean()) ** 3).mean() / differences.std(ddof=1) ** 3
    moved = stats.sem(differences) * skewness * (1 + 2 * t * t) / (6 * math.sqrt(100))
    assert interval == pytest.approx((low + min(moved, 0), high + max(moved, 0)))
    assert abs(moved) > 0.005


@pytest.mark.parametrize(("prompts", "factor"), [(100, 1.0), (100, 1.5)])
def test_the_interval_of_the_mean_covers_the_truth(prompts: int, factor: float) -> None:
    rng = np.random.default_rng(4)
    runs, held = 600, 0

    def drawn(size: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
        r = rng.beta(2, 2, size)
        return np.clip(0.5 + (r - 0.5) * factor, 0, 1), r

    p, r = drawn(200_000)
    truth = float(np.mean(np.sign(r - 0.5) * (p - r)))
    for _ in range(runs):
        p, r = drawn(prompts)
        x, y = rng.binomial(50, p).tolist(), rng.binomial(2_000, r).tolist()
        leans = [lean([a, 50 - a], [b, 2_000 - b], 0.5) for a, b in zip(x, y, strict=True)]
        _, interval = mean_lean([one for one in leans if one is not None])
        assert interval is not None
        held += interval[0] <= truth <= interval[1]
    assert held / runs >= 0.93 - 2 * math.sqrt(0.93 * 0.07 / runs)
