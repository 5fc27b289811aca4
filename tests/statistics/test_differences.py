import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from fair_diffusion.statistics.differences import (
    agreed,
    benjamini_hochberg,
    fisher_p,
    holm,
    mcnemar_p,
    newcombe,
    tango,
)

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
def test_fishers_p_is_the_exact_one_less_half_of_the_tables_that_are_as_likely(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    (x, n), (y, m) = before, after
    every = stats.hypergeom(n + m, x + y, n).pmf(np.arange(n + 1))
    alike = np.abs(every - every[x]) <= every[x] * 1e-6
    exact = stats.fisher_exact([[x, n - x], [y, m - y]]).pvalue
    expected = 1 if x * m == y * n else exact - every[alike].sum() / 2
    assert fisher_p(x, n, y, m) == pytest.approx(expected, rel=1e-5, abs=1e-12)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemars_p_is_the_exact_one_less_half_of_what_is_as_likely(gained: int, lost: int) -> None:
    exact = mcnemar([[7, lost], [gained, 5]], exact=True).pvalue
    expected = 1 if gained == lost else exact - stats.binom.pmf(gained, gained + lost, 0.5)
    assert mcnemar_p(gained, lost) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_mid_p_by_hand() -> None:
    # 0 of 4 against 4 of 4: one table of 70 on either side is as unlikely, and half of both is 1 of 70.
    assert fisher_p(0, 4, 4, 4) == pytest.approx(1 / 70)
    assert mcnemar_p(5, 0) == mcnemar_p(0, 5) == pytest.approx(1 / 32)
    assert fisher_p(3, 10, 6, 20) == mcnemar_p(4, 4) == mcnemar_p(0, 0) == 1


def test_test_and_interval_agree() -> None:
    assert agreed(0.01, (0.1, 0.3)) == (0.01, (0.1, 0.3))
    assert agreed(0.2, (-0.1, 0.3)) == (0.2, (-0.1, 0.3))
    assert agreed(0.06, (0.01, 0.3)) == (0.06, (0.0, 0.3))
    assert agreed(0.06, (-0.3, -0.01)) == (0.06, (-0.3, 0.0))
    assert agreed(0.04, (-0.01, 0.3)) == (1 - 0.95, (-0.01, 0.3))
    assert agreed(0.04, (0.0, 0.3))[0] >= 0.05
    assert agreed(0.04, (-0.01, 0.3), level=0.99) == (0.04, (-0.01, 0.3))
    assert agreed(0.04, (0.01, 0.3), level=0.99) == (0.04, (0.0, 0.3))


@pytest.mark.parametrize(("n", "m"), [(20, 20), (20, 60)])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_difference_is_seen_5_times_of_100_where_there_is_none(n: int, m: int, share: float) -> None:
    seen = 0.0
    for x in range(n + 1):
        for y in range(m + 1):
            p, (low, high) = agreed(fisher_p(x, n, y, m), newcombe(x, n, y, m))
            assert (p < 0.05) == (not low <= 0 <= high)
            seen += (p < 0.05) * float(stats.binom.pmf(x, n, share) * stats.binom.pmf(y, m, share))
    assert 0.01 <= seen <= 0.055


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_corrected_p_agree_with_statsmodels(p: list[float]) -> None:
    with mock.patch("gc.collect"):  # statsmodels collects garbage in each call, which takes most of a second
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])
