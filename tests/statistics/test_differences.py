import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from fair_diffusion.statistics.differences import benjamini_hochberg, fisher_p, holm, mcnemar_p, newcombe, tango

levels = st.sampled_from([0.8, 0.95, 0.99])
counted = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counted, counted, levels)
def test_newcombes_interval_agrees_with_statsmodels(
    before: tuple[int, int], after: tuple[int, int], level: float
) -> None:
    expected = confint_proportions_2indep(*after, *before, method="newcomb", compare="diff", alpha=1 - level)
    assert newcombe(*before, *after, level=level) == pytest.approx(expected, abs=1e-9)


def score_by_search(gained: int, lost: int, n: int, difference: float) -> float:
    """Tango's statistic, the constrained maximum of the likelihood being searched for."""

    def unlikeliness(rate: float) -> float:
        rates = np.array([rate + difference, rate, 1 - 2 * rate - difference])
        counts = np.array([gained, lost, n - gained - lost])
        if (rates < 0).any() or ((rates == 0) & (counts > 0)).any():
            return math.inf
        seen = counts > 0
        return -float((counts[seen] * np.log(rates[seen])).sum())

    low, high = max(0.0, -difference), (1 - difference) / 2
    grid = np.linspace(low, high, 2_001)
    near = grid[int(np.argmin([unlikeliness(rate) for rate in grid]))]
    step = (high - low) / 2_000
    found = optimize.minimize_scalar(
        unlikeliness, bounds=(max(low, near - step), min(high, near + step)), method="bounded", options={"xatol": 1e-12}
    )
    variance = n * (2 * float(found.x) + difference * (1 - difference))
    return (gained - lost - n * difference) / math.sqrt(variance)


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 5, 40), (3, 9, 50), (1, 1, 30), (25, 2, 60), (8, 0, 20)])
def test_tangos_interval_inverts_his_test(gained: int, lost: int, n: int) -> None:
    low, high = tango(gained, lost, n)
    assert -1 < low < (gained - lost) / n < high < 1
    assert score_by_search(gained, lost, n, low) == pytest.approx(1.959964, abs=2e-3)
    assert score_by_search(gained, lost, n, high) == pytest.approx(-1.959964, abs=2e-3)


@settings(max_examples=50)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_tangos_interval_turns_with_the_runs_and_holds_the_difference(gained: int, lost: int, same: int) -> None:
    n = max(1, gained + lost + same)
    low, high = tango(gained, lost, n)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert tango(lost, gained, n) == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize("level", [0.8, 0.99])
def test_tangos_interval_has_the_level_that_is_asked_for(level: float) -> None:
    z = float(stats.norm.ppf((1 + level) / 2))
    low, high = tango(12, 5, 40, level=level)
    assert score_by_search(12, 5, 40, low) == pytest.approx(z, abs=2e-3)
    assert score_by_search(12, 5, 40, high) == pytest.approx(-z, abs=2e-3)


def test_no_change_at_all_has_an_interval_around_zero() -> None:
    low, high = tango(0, 0, 50)
    z2 = 1.959964**2
    assert (low, high) == pytest.approx((-z2 / (50 + z2), z2 / (50 + z2)), abs=1e-5)


@given(counted, counted)
def test_fishers_p_sums_the_tables_that_are_as_unlikely(before: tuple[int, int], after: tuple[int, int]) -> None:
    (x, n), (y, m) = before, after
    every = stats.hypergeom(n + m, x + y, n).pmf(np.arange(n + 1))
    expected = every[every <= every[x] * (1 + 1e-7)].sum()
    assert fisher_p(x, n, y, m) == pytest.approx(min(1, expected), rel=1e-6)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemars_p_agrees_with_statsmodels(gained: int, lost: int) -> None:
    expected = mcnemar([[7, lost], [gained, 5]], exact=True).pvalue if gained + lost else 1
    assert mcnemar_p(gained, lost) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_corrected_p_agree_with_statsmodels(p: list[float]) -> None:
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])
