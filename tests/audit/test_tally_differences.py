"""Differences of two tallies or of paired labels: the tests of `statistics.differences`, and p over all concepts."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from fair_diffusion.audit.differences import paired_differences, source_differences, unpaired_differences
from fair_diffusion.audit.study import Source
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.differences import newcombe, tango

SOURCES = [Source(name="before", kind="plain"), Source(name="after", kind="instructed")]


def tally(woman: int, man: int, concept: str, unknown: int = 0, source: str = "before") -> Tally:
    counts = {"woman": woman, "man": man}
    return Tally(source=source, concept=concept, attribute="gender", counts=counts, unknown=unknown)


def test_other_images_are_compared_by_fishers_test() -> None:
    doctor, man = unpaired_differences(tally(5, 45, "doctor"), tally(24, 20, "doctor", unknown=6))
    assert [(row.concept, row.group) for row in (doctor, man)] == [("doctor", "woman"), ("doctor", "man")]
    assert (doctor.n_before, doctor.n_after, doctor.before, doctor.after) == (50, 50, 0.1, 0.48)
    assert doctor.difference == pytest.approx(0.38)
    exact = stats.fisher_exact([[5, 45], [24, 26]]).pvalue
    every = stats.hypergeom(100, 29, 50).pmf(np.arange(30))
    assert doctor.p == pytest.approx(exact - every[np.isclose(every, every[5], rtol=1e-6)].sum() / 2)
    assert (doctor.low, doctor.high) == newcombe(5, 50, 24, 50)
    assert doctor.test == "Fisher mid-p"
    assert (man.before, man.after) == (0.9, 0.4)
    assert math.isnan(doctor.p_holm)
    assert math.isnan(doctor.p_bh)


def test_same_seeds_are_compared_by_mcnemars_test() -> None:
    before = ["woman"] * 5 + ["man"] * 30 + [None] * 5
    after = ["man"] * 2 + ["woman"] * 20 + ["man"] * 16 + [None] * 2
    (woman, _) = paired_differences(before, after, concept="doctor", attribute="gender", groups=["woman", "man"])
    seen = [(a == "woman", b == "woman") for a, b in zip(before, after, strict=True)]
    table = [[seen.count((a, b)) for b in (True, False)] for a in (True, False)]
    changed = table[1][0] + table[0][1]
    exact = mcnemar(table, exact=True).pvalue
    assert woman.p == pytest.approx(exact - stats.binom.pmf(table[1][0], changed, 0.5))
    assert woman.difference == pytest.approx((table[1][0] - table[0][1]) / 40)
    assert (woman.before, woman.after) == (5 / 40, 20 / 40)
    assert (woman.low, woman.high) == tango(table[1][0], table[0][1], 40)
    assert (woman.test, woman.concept, woman.n_before, woman.n_after) == ("McNemar mid-p", "doctor", 40, 40)


def test_p_is_corrected_over_all_concepts_and_mirrored_groups_count_once() -> None:
    rng = np.random.default_rng(0)
    women = rng.binomial(60, 0.3, 25).tolist(), rng.binomial(60, np.where(np.arange(25) < 8, 0.6, 0.3)).tolist()
    tallies = [
        tally(count, 60 - count, str(k), source=source.name)
        for source, run in zip(SOURCES, women, strict=True)
        for k, count in enumerate(run)
    ]
    (found,) = source_differences(SOURCES, tallies)
    rows = found.differences
    assert len(rows) == 50
    for group in ("woman", "man"):
        family = [row for row in rows if row.group == group]
        p = [row.p for row in family]
        assert [row.p_holm for row in family] == pytest.approx(multipletests(p, method="holm")[1])
        assert [row.p_bh for row in family] == pytest.approx(multipletests(p, method="fdr_bh")[1])
    assert all(row.p <= row.p_bh <= row.p_holm <= 1 for row in rows)
    assert any(row.p_bh < 0.05 for row in rows)


def test_several_groups_are_tests_of_their_own() -> None:
    rng = np.random.default_rng(1)
    counted = [rng.multinomial(60, [0.5, 0.3, 0.2], 12).tolist(), rng.multinomial(60, [0.3, 0.3, 0.4], 12).tolist()]
    tallies = [
        Tally(source=source.name, concept=str(k), attribute="x", counts=dict(zip("abcd", [*counts, 0], strict=True)))
        for source, run in zip(SOURCES, counted, strict=True)
        for k, counts in enumerate(run)
    ]
    (found,) = source_differences(SOURCES, tallies)
    # Nobody shows d, before or after, so nothing is tested there.
    rows = [row for row in found.differences if row.group != "d"]
    assert len(rows) == 36
    p = [row.p for row in rows]
    assert [row.p_holm for row in rows] == pytest.approx(multipletests(p, method="holm")[1])
    assert [row.p_bh for row in rows] == pytest.approx(multipletests(p, method="fdr_bh")[1])
    assert {(row.p, row.p_holm, row.p_bh) for row in found.differences if row.group == "d"} == {(1, 1, 1)}


@pytest.mark.parametrize("paired", [False, True])
def test_a_table_without_differences_raises_a_false_alarm_5_times_of_100(paired: bool) -> None:
    rng = np.random.default_rng(0)
    groups, concepts, n, alarms, tables = ["a", "b", "c"], 8, 30, 0, 300
    names = np.repeat([source.name for source in SOURCES], concepts * n)
    seeds = np.tile(np.arange(n), 2 * concepts) + (0 if paired else np.repeat([0, n], concepts * n))
    own = np.tile(np.repeat([str(k) for k in range(concepts)], n), 2)
    for _ in range(tables):
        labels = rng.choice(groups, 2 * concepts * n, p=[0.5, 0.3, 0.2])
        tallies = [
            Tally(
                source=source.name,
                concept=str(k),
                attribute="x",
                counts={g: int((labels[(names == source.name) & (own == str(k))] == g).sum()) for g in groups},
            )
            for source in SOURCES
            for k in range(concepts)
        ]
        images = pa.table({"source": names, "concept": own, "seed": seeds, "x": labels})
        (found,) = source_differences(SOURCES, tallies, images)
        assert found.paired == (concepts if paired else 0)
        assert all((row.p < 0.05) == (not row.low <= 0 <= row.high) for row in found.differences)
        alarms += any(row.p_holm < 0.05 for row in found.differences)
    assert 0.005 <= alarms / tables <= 0.06 + 2 * math.sqrt(0.06 * 0.94 / tables)


def test_equal_sources_do_not_differ() -> None:
    same: list[str | None] = ["woman", "man", None, "man"]
    for row in paired_differences(same, same, concept="a", attribute="gender", groups=["woman", "man"]):
        assert (row.difference, row.p) == (0, 1)
        assert row.low < 0 < row.high
    tallies = [tally(3, 4, concept, source=source.name) for source in SOURCES for concept in "ab"]
    (found,) = source_differences(SOURCES, tallies)
    for row in found.differences:
        assert (row.difference, row.p, row.p_holm, row.p_bh) == (0, 1, 1, 1)


def test_differences_are_plain_data() -> None:
    (found,) = source_differences(SOURCES, [tally(3, 4, "a"), tally(4, 3, "a", source="after")])
    (row, _) = found.differences
    assert {type(value) for value in dataclasses.asdict(row).values()} == {str, int, float}


def test_mistakes_are_named() -> None:
    assert source_differences(SOURCES, [tally(1, 2, "a"), tally(1, 2, "b", source="after")]) == []
    with pytest.raises(ValueError, match="before: gender of 'a' is counted twice: add the counts up first"):
        source_differences(SOURCES, [tally(1, 2, "a"), tally(1, 2, "a"), tally(1, 2, "a", source="after")])
    with pytest.raises(ValueError, match="before: gender of 'a' has no images"):
        source_differences(SOURCES, [tally(0, 0, "a"), tally(1, 2, "a", source="after")])
    for pair in ((tally(0, 0, "a"), tally(1, 2, "a")), (tally(1, 2, "a"), tally(0, 0, "a"))):
        with pytest.raises(ValueError, match="gender of 'a' has no images"):
            unpaired_differences(*pair)
    with pytest.raises(ValueError, match="gender of 'a' and gender of 'b' are not the same"):
        unpaired_differences(tally(1, 2, "a"), tally(1, 2, "b"))
    other = Tally(source="s", concept="a", attribute="gender", counts={"female": 1, "male": 2})
    with pytest.raises(ValueError, match=r"'a' has groups \['woman', 'man'\] before and \['female', 'male'\] after"):
        unpaired_differences(tally(1, 2, "a"), other)
    with pytest.raises(ValueError, match="'a' has 2 labels before and 1 after: give both for each seed"):
        paired_differences(["x", "x"], ["x"], concept="a", attribute="g", groups=["x"])
    with pytest.raises(ValueError, match="'a' has 0 labels before and 0 after: give both for each seed"):
        paired_differences([], [], concept="a", attribute="g", groups=["x"])
    with pytest.raises(ValueError, match="label 'y' is no group of g"):
        paired_differences(["x"], ["y"], concept="a", attribute="g", groups=["x"])
