"""Planned numbers: against statsmodels, against the verdicts themselves, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from fair_diffusion.statistics.intervals import simultaneous, verdict, wilson
from fair_diffusion.statistics.over_prompts import high_end
from fair_diffusion.statistics.power import (
    _exact,
    chance_to_meet,
    images_to_meet,
    images_to_miss,
    plan,
    prompts_to_bound,
    prompts_to_see,
)
from fair_diffusion.statistics.process_deviation import less_biased_deviations


def by_verdict(n: int, target: float, tolerance: float, share: float, groups: int, wanted: str) -> float:
    """The probability of a verdict, by asking for the verdict of every count."""
    total = 0.0
    for k in range(n + 1):
        low, high = wilson(k, n) if groups == 2 else simultaneous([k, *[0] * (groups - 1)], n=n)[0]
        total += binom.pmf(k, n, share) * (verdict(low, high, target, tolerance) == wanted)
    return total


@pytest.mark.parametrize(
    ("n", "target", "share", "groups"), [(400, 0.5, 0.5, 2), (150, 0.05, 0.04, 2), (300, 0.2, 0.22, 5)]
)
def test_the_chance_is_that_of_the_verdict(n: int, target: float, share: float, groups: int) -> None:
    expected = by_verdict(n, target, 0.08, share, groups, "meets")
    assert 0.05 < expected < 1
    assert chance_to_meet(n, target, 0.08, share=share, groups=groups) == pytest.approx(expected, abs=1e-9)


def test_exact_intervals_agree_with_statsmodels() -> None:
    from statsmodels.stats.proportion import power_binom_tost

    for n, target, tolerance, groups in ((1_000, 0.2, 0.05, 3), (1_375, 0.5, 0.05, 3), (800, 0.1, 0.03, 5)):
        expected = power_binom_tost(target - tolerance, target + tolerance, n, target, alpha=0.025 / groups)
        assert chance_to_meet(n, target, tolerance, groups=groups) == pytest.approx(max(0, expected), abs=1e-9)
    # Wilson's verdict is nearly that of the exact test of one share.
    assert chance_to_meet(1_053, 0.5, 0.05) == pytest.approx(power_binom_tost(0.45, 0.55, 1_053, 0.5, 0.025), abs=0.03)


def test_meets_at_one_half_takes_a_thousand_images() -> None:
    assert chance_to_meet(380, 0.5, 0.05) == 0
    assert chance_to_meet(1_000, 0.5, 0.05) == pytest.approx(0.78, abs=0.005)
    assert images_to_meet(0.5, 0.05) == 1_053


@pytest.mark.parametrize(
    ("target", "tolerance", "power", "groups"), [(0.5, 0.1, 0.8, 2), (0.1, 0.05, 0.9, 2), (0.2, 0.1, 0.8, 5)]
)
def test_from_that_number_on_the_power_holds(target: float, tolerance: float, power: float, groups: int) -> None:
    n = images_to_meet(target, tolerance, power=power, groups=groups)
    assert n is not None
    assert (chance_to_meet(np.arange(n, 3 * n), target, tolerance, groups=groups) >= power).all()
    assert chance_to_meet(n - 1, target, tolerance, groups=groups) < power


def test_how_many_images_show_a_miss() -> None:
    n = images_to_miss(0.5, 0.05, 0.3)
    assert n is not None
    assert by_verdict(n, 0.5, 0.05, 0.3, 2, "misses") >= 0.8 > by_verdict(n - 1, 0.5, 0.05, 0.3, 2, "misses")
    above = images_to_miss(0.5, 0.05, 0.7)
    assert above == n  # the other side mirrors it
    five = images_to_miss(0.2, 0.05, 0.5, groups=5)
    assert five is not None
    assert by_verdict(five, 0.2, 0.05, 0.5, 5, "misses") >= 0.8


def test_shares_at_the_ends() -> None:
    n = images_to_meet(0.0, 0.05)
    assert n is not None
    assert verdict(*wilson(0, n), 0.0, 0.05) == "meets"
    assert verdict(*wilson(0, n - 1), 0.0, 0.05) == "cannot tell"
    assert images_to_meet(1.0, 0.05) == n
    assert images_to_meet(0.5, 1e-4) is None  # a million do not do


def test_how_many_prompts_show_a_rare_failure() -> None:
    assert prompts_to_see(0.1) == 16
    assert 1 - 0.9**16 >= 0.8 > 1 - 0.9**15
    assert prompts_to_see(0.5, 0.75) == 2


def test_how_many_prompts_bound_the_mean_deviation() -> None:
    prompts = prompts_to_bound([0.5, 0.5], 250, 0.05)
    assert prompts is not None
    rng, shown = np.random.default_rng(1), []
    for k in (prompts - 4, prompts + 4):
        counts = rng.multinomial(250, [0.5, 0.5], (2_000, k))
        shown.append(float((high_end(less_biased_deviations(counts, np.array([0.5, 0.5])), 0.5) <= 0.05).mean()))
    assert shown[0] < 0.8 < shown[1]
    assert prompts_to_bound([0.5, 0.5], 20, 0.05) is None  # the noise alone is larger


def test_a_plan_counts_labels_too() -> None:
    found = plan(0.5, 0.05)
    assert found.labels_alone == 385  # 1.96² · 0.25 / 0.05²
    assert found.labels is not None
    assert 30 <= found.labels < 385
    perfect = plan(0.5, 0.05, reader_error=0)
    assert perfect.labels == 30
    assert (found.near, found.far) == (0.525, 0.6)
    assert plan(0.9, 0.05).far == pytest.approx(0.8)
    assert plan(0.5, 0.3).far is None  # twice the tolerance is no share any more


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="target is 0: give a share between 0 and 1"):
        plan(0, 0.05)
    with pytest.raises(ValueError, match="tolerance is 0"):
        plan(0.5, 0)
    with pytest.raises(ValueError, match="power is 1"):
        images_to_meet(0.5, 0.05, power=1)
    with pytest.raises(ValueError, match="groups is 1"):
        plan(0.5, 0.05, groups=1)
    with pytest.raises(ValueError, match=r"the reader's error is 0\.6"):
        plan(0.5, 0.05, reader_error=0.6)
    with pytest.raises(ValueError, match=r"0\.6 is not inside 0\.5 ± 0\.05"):
        images_to_meet(0.5, 0.05, share=0.6)
    with pytest.raises(ValueError, match=r"0\.52 is not outside 0\.5 ± 0\.05"):
        images_to_miss(0.5, 0.05, 0.52)
    with pytest.raises(ValueError, match="rate is 0"):
        prompts_to_see(0)


@pytest.mark.parametrize("share", [0.01, 0.15, 0.5, 0.95])
def test_quantiles_are_those_of_the_binomial_distribution(share: float) -> None:
    n = np.arange(1, 600)
    for probability in (0.005, 0.3, 1 - 0.025 / 3):
        assert _exact(n, share, probability).tolist() == binom.ppf(probability, n, share).tolist()
