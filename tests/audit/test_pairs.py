"""Pairs by seed: found where every image has its twin, and refused wherever one is missing or nobody knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from fair_diffusion.audit.differences import paired_differences, source_differences
from fair_diffusion.audit.pairs import paired, seeded_labels
from fair_diffusion.audit.study import Source
from fair_diffusion.audit.tally import Tally

Rows = Sequence[tuple[str, str, int | None, str | None]]
"""Source, concept, seed and label of each image."""
SOURCES = [Source(name="p", kind="plain"), Source(name="i", kind="instructed")]


def table(rows: Rows) -> pa.Table:
    names = ("source", "concept", "seed", "gender")
    return pa.table({name: [row[k] for row in rows] for k, name in enumerate(names)})


def both(rows: Rows) -> tuple[Tally, Tally]:
    first, second = tallies(rows)
    return first, second


def tallies(rows: Rows) -> list[Tally]:
    counts: dict[tuple[str, str], Counter[str | None]] = {}
    for source, concept, _, label in rows:
        counts.setdefault((source, concept), Counter())[label] += 1
    return [
        Tally(
            source=source,
            concept=concept,
            attribute="gender",
            counts={group: found[group] for group in ("woman", "man")},
            unknown=found[None],
        )
        for (source, concept), found in counts.items()
    ]


def of(source: str, labels: Mapping[int, str | None] | Mapping[int | None, str | None], concept: str = "cook") -> Rows:
    return [(source, concept, seed, label) for seed, label in labels.items()]


@given(st.lists(st.tuples(*[st.sampled_from(["woman", "man", None])] * 2), min_size=1, max_size=30), st.randoms())
def test_pairs_are_of_one_seed_in_whatever_order_they_lie(pairs: list[tuple[str | None, str | None]], rng) -> None:  # type: ignore[no-untyped-def]
    rows = [("p", "cook", k, a) for k, (a, _) in enumerate(pairs)] + [
        ("i", "cook", k, b) for k, (_, b) in enumerate(pairs)
    ]
    first, second = tallies(rows)
    shuffled = rng.sample(rows, len(rows))
    found = paired(first, second, seeded_labels(table(shuffled), "gender"))
    assert found is not None
    assert Counter(zip(*found, strict=True)) == Counter(pairs)


PLAIN: dict[int, str | None] = {0: "woman", 1: "man", 2: None}


@pytest.mark.parametrize(
    "after",
    [
        of("i", {0: "woman", 1: "man", 3: None}),  # another seed
        of("i", {0: "woman", 1: "man"}),  # one is missing
        of("i", {0: "woman", 1: "man", None: None}),  # one is not known
        [*of("i", {0: "woman", 1: "man"}), ("i", "cook", 1, "man")],  # one stands there twice
    ],
)
def test_one_image_without_its_twin_leaves_all_unpaired(after: Rows) -> None:
    rows = [*of("p", PLAIN), *after]
    assert paired(*both(rows), seeded_labels(table(rows), "gender")) is None
    (found,) = source_differences(SOURCES, tallies(rows), table(rows))
    assert (found.paired, found.concepts) == (0, 1)
    assert {row.test for row in found.differences} == {"Fisher mid-p"}


def test_rows_that_are_not_those_that_were_counted_pair_nothing() -> None:
    rows = [*of("p", PLAIN), *of("i", PLAIN)]
    other = [*of("p", PLAIN), *of("i", {**PLAIN, 2: "man"})]
    assert paired(*both(rows), seeded_labels(table(other), "gender")) is None
    assert paired(*both(rows), seeded_labels(None, "gender")) is None
    assert paired(*both(rows), seeded_labels(table(rows), "age")) is None


def test_joint_groups_are_paired_by_both_attributes() -> None:
    rows = table([*of("p", PLAIN), *of("i", PLAIN)])
    both = rows.append_column("age", pa.array(["old", None, "old"] * 2))
    labels = seeded_labels(both, "gender × age")["p", "cook"]
    assert labels == {0: "woman × old", 1: None, 2: None}


def test_paired_p_are_mcnemars_and_corrected_over_all_concepts_whatever_their_test() -> None:
    rng = np.random.default_rng(0)
    rows: list[tuple[str, str, int | None, str | None]] = []
    pairs = {}
    for k, concept in enumerate(["cook", "nurse", "judge"]):
        before = [str(label) for label in rng.choice(["woman", "man"], 40, p=[0.2, 0.8])]
        after = ["woman" if label == "man" and rng.random() < 0.2 * k else label for label in before]
        shift = 100 if concept == "judge" else 0  # other seeds: no pairs
        rows += [("p", concept, i, label) for i, label in enumerate(before)]
        rows += [("i", concept, i + shift, label) for i, label in enumerate(after)]
        pairs[concept] = (before, after)
    (found,) = source_differences(SOURCES, tallies(rows), table(rows))
    assert (found.concepts, found.paired) == (3, 2)
    women = {row.concept: row for row in found.differences if row.group == "woman"}
    assert [women[name].test for name in pairs] == ["McNemar mid-p", "McNemar mid-p", "Fisher mid-p"]
    for name in ("cook", "nurse"):
        seen = Counter((a == "woman", b == "woman") for a, b in zip(*pairs[name], strict=True))
        square = [[seen[True, True], seen[True, False]], [seen[False, True], seen[False, False]]]
        changed, gained = seen[True, False] + seen[False, True], seen[False, True]
        exact = mcnemar(square, exact=True).pvalue
        mid = 1 if 2 * gained == changed else exact - stats.binom.pmf(gained, changed, 0.5)
        assert women[name].p == pytest.approx(mid)
        alone, _ = paired_differences(*pairs[name], concept=name, attribute="gender", groups=["woman", "man"])
        assert (women[name].low, women[name].high) == (alone.low, alone.high)
    ordered = sorted(row.p for row in women.values())
    holm = np.minimum(np.maximum.accumulate(np.array(ordered) * [3, 2, 1]), 1)
    assert sorted(row.p_holm for row in women.values()) == pytest.approx(sorted(holm))


def test_of_two_plain_sources_the_one_with_the_same_seeds_is_compared_with() -> None:
    rows = [*of("far", {7: "man", 8: "man"}), *of("near", {0: "man", 1: "man"}), *of("i", {0: "woman", 1: "man"})]
    sources = [Source(name=name, kind="plain") for name in ("far", "near")] + [Source(name="i", kind="instructed")]
    found = source_differences(sources, tallies(rows), table(rows))
    assert [(one.before, one.after, one.paired) for one in found] == [("far", "near", 0), ("near", "i", 1)]
