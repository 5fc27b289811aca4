import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.differences import compare, compare_paired, newcombe, tango


def tally(woman: int, man: int, concept: str, unknown: int = 0) -> Tally:
    counts = {"woman": woman, "man": man}
    return Tally(source="s", concept=concept, attribute="gender", counts=counts, unknown=unknown)


counted = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counted, counted)
def test_newcombes_interval_agrees_with_statsmodels(before: tuple[int, int], after: tuple[int, int]) -> None:
    expected = confint_proportions_2indep(*after, *before, method="newcomb", compare="diff")
    assert newcombe(*before, *after) == pytest.approx(expected, abs=1e-9)


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


def test_no_change_at_all_has_an_interval_around_zero() -> None:
    low, high = tango(0, 0, 50)
    z2 = 1.959964**2
    assert (low, high) == pytest.approx((-z2 / (50 + z2), z2 / (50 + z2)), abs=1e-5)


def test_other_images_are_compared_by_fishers_test() -> None:
    before = [tally(5, 45, "doctor"), tally(40, 10, "nurse"), tally(2, 8, "pilot")]
    after = [tally(24, 20, "doctor", unknown=6), tally(30, 20, "nurse"), tally(1, 1, "clown")]
    rows = compare(before, after)
    assert [(row.concept, row.group) for row in rows] == [
        (concept, group) for concept in ("doctor", "nurse") for group in ("woman", "man")
    ]
    doctor = rows[0]
    assert (doctor.n_before, doctor.n_after, doctor.before, doctor.after) == (50, 50, 0.1, 0.48)
    assert doctor.difference == pytest.approx(0.38)
    assert doctor.p == pytest.approx(stats.fisher_exact([[5, 45], [24, 26]]).pvalue)
    assert (doctor.low, doctor.high) == newcombe(5, 50, 24, 50)
    assert doctor.test == "Fisher exact"


def test_same_seeds_are_compared_by_mcnemars_test() -> None:
    before = ["woman"] * 5 + ["man"] * 30 + [None] * 5
    after = ["man"] * 2 + ["woman"] * 20 + ["man"] * 16 + [None] * 2
    (woman, _) = compare_paired({"doctor": (before, after)}, attribute="gender", groups=["woman", "man"])
    seen = [(a == "woman", b == "woman") for a, b in zip(before, after, strict=True)]
    table = [[seen.count((a, b)) for b in (True, False)] for a in (True, False)]
    assert woman.p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert woman.difference == pytest.approx((table[1][0] - table[0][1]) / 40)
    assert (woman.before, woman.after) == (5 / 40, 20 / 40)
    assert (woman.low, woman.high) == tango(table[1][0], table[0][1], 40)
    assert woman.test == "McNemar exact"


def test_p_is_corrected_over_concepts_within_each_group() -> None:
    rng = np.random.default_rng(0)
    women = rng.binomial(60, 0.3, 25).tolist(), rng.binomial(60, np.where(np.arange(25) < 8, 0.6, 0.3)).tolist()
    before, after = ([tally(count, 60 - count, str(k)) for k, count in enumerate(run)] for run in women)
    rows = compare(before, after)
    for group in ("woman", "man"):
        family = [row for row in rows if row.group == group]
        p = [row.p for row in family]
        assert [row.p_holm for row in family] == pytest.approx(multipletests(p, method="holm")[1])
        assert [row.p_bh for row in family] == pytest.approx(multipletests(p, method="fdr_bh")[1])
    assert all(row.p <= row.p_bh <= row.p_holm <= 1 for row in rows)
    assert any(row.p_bh < 0.05 for row in rows)


def test_equal_runs_do_not_differ() -> None:
    same: list[str | None] = ["woman", "man", None, "man"]
    for row in compare_paired({"a": (same, same), "b": (same, same)}, attribute="gender", groups=["woman", "man"]):
        assert (row.difference, row.p, row.p_holm, row.p_bh) == (0, 1, 1, 1)
        assert row.low < 0 < row.high
    for row in compare([tally(3, 4, "a")], [tally(3, 4, "a")]):
        assert (row.difference, row.p) == (0, 1)


def test_rows_are_plain_data() -> None:
    (row, _) = compare([tally(3, 4, "a")], [tally(4, 3, "a")])
    assert {type(value) for value in dataclasses.asdict(row).values()} == {str, int, float}


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="no concept in common"):
        compare([tally(1, 2, "a")], [tally(1, 2, "b")])
    with pytest.raises(ValueError, match="gender of 'a' is counted twice: compare one source with one"):
        compare([tally(1, 2, "a"), tally(1, 2, "a")], [tally(1, 2, "a")])
    with pytest.raises(ValueError, match="gender of 'a' has no images"):
        compare([tally(0, 0, "a")], [tally(1, 2, "a")])
    other = Tally(source="s", concept="a", attribute="gender", counts={"female": 1, "male": 2})
    with pytest.raises(ValueError, match=r"'a' has groups \['woman', 'man'\] before and \['female', 'male'\] after"):
        compare([tally(1, 2, "a")], [other])
    with pytest.raises(ValueError, match="'a' has 2 labels before and 1 after: give both for each seed"):
        compare_paired({"a": (["x", "x"], ["x"])}, attribute="g", groups=["x"])
    with pytest.raises(ValueError, match="label 'y' is no group of g"):
        compare_paired({"a": (["x"], ["y"])}, attribute="g", groups=["x"])
    with pytest.raises(ValueError, match="nothing to compare"):
        compare_paired({}, attribute="g", groups=["x"])
