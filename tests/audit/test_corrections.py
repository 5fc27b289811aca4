"""One correction per source and attribute, over all concepts: what `corrected` says of the sum, or why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fair_diffusion.audit.corrections import corrected, corrections
from fair_diffusion.audit.tally import Tally
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.statistics.correction import correct

GOOD = Confusion(
    attribute="gender",
    groups=["woman", "man"],
    counts=[[90, 5, 5], [10, 85, 5]],
    measured_on="labelled images",
    sources=["plain", "instructed"],
)


def tally(source: str, concept: str, women: int, men: int, unknown: int = 0, **changes: Any) -> Tally:
    counts = {"man": men, "woman": women}
    fields = {"source": source, "concept": concept, "attribute": "gender", "counts": counts, "unknown": unknown}
    return Tally(**{**fields, **changes})


def test_concepts_are_summed_up_for_each_source() -> None:
    found = corrections(
        [
            tally("plain", "cook", 10, 80, 10),
            tally("instructed", "cook", 50, 50),
            tally("plain", "nurse", 95, 3, 2),
            tally("plain", "nurse", 1, 2, attribute="gender × age"),
        ],
        [GOOD],
    )
    assert [(one.source, one.attribute, one.concepts, one.n) for one in found] == [
        ("plain", "gender", 2, 200),
        ("instructed", "gender", 1, 100),
    ]
    assert found[0].groups == corrected(tally("", "", 105, 83, 12), GOOD)
    assert found[1].groups == corrected(tally("", "", 50, 50), GOOD)
    assert {one.refused for one in found} == {None}


def test_without_a_matrix_there_is_nothing() -> None:
    assert corrections([tally("plain", "cook", 1, 9)], []) == []
    assert corrections([tally("plain", "cook", 1, 9, attribute="age")], [GOOD]) == []


def test_only_what_the_reader_read_is_corrected() -> None:
    tallies = [tally("captions", "cook", 10, 90), tally("plain", "cook", 20, 80)]
    assert [found.source for found in corrections(tallies, [GOOD])] == ["plain"]
    assert corrections(tallies, [replace(GOOD, sources=())]) == []
    other = replace(GOOD, counts=[[80, 20, 0], [0, 99, 1]], sources=["captions"])
    by_other, by_good = corrections(tallies, [GOOD, other])
    assert by_other.groups == corrected(tallies[0], other)
    assert by_good.groups == corrected(tallies[1], GOOD)


def test_concepts_read_in_other_groups_are_left_out() -> None:
    other = tally("plain", "nurse", 0, 0, counts={"woman": 5, "man": 5, "androgynous": 5})
    (found,) = corrections([other, tally("plain", "cook", 20, 80)], [GOOD])
    assert (found.concepts, found.n) == (1, 100)
    assert found.groups == corrected(tally("", "", 20, 80), GOOD)
    (found,) = corrections([other], [GOOD])
    assert (found.concepts, found.n, found.groups) == (0, 0, [])
    assert "androgynous" in str(found.refused)


@pytest.mark.parametrize(
    ("matrices", "reason"),
    [
        ([[[50, 50, 0], [49, 51, 0]]], "hardly depend on the group"),
        ([[[90, 10, 0], [0, 0, 0]]], "no image of 'man'"),
        ([[[90, 10], [10, 90]]], "has shape"),
        ([[[90, 10, 0], [10, 90, 0]], [[80, 20, 0], [10, 90, 0]]], "2 confusion matrices"),
    ],
)
def test_what_cannot_be_corrected_says_why(matrices: list[list[list[int]]], reason: str) -> None:
    given = [replace(GOOD, counts=counts) for counts in matrices]
    (found,) = corrections([tally("plain", "cook", 20, 80)], given)
    assert reason in str(found.refused)
    assert found.groups == []


def test_the_order_of_groups_does_not_matter() -> None:
    swapped = replace(GOOD, groups=["man", "woman"], counts=[[85, 10, 5], [5, 90, 5]])
    counted = tally("plain", "cook", 30, 60, 10)
    first = {one.group: one for one in corrected(counted, GOOD)}
    second = {one.group: one for one in corrected(counted, swapped)}
    for group in ("woman", "man"):
        assert first[group].corrected == pytest.approx(second[group].corrected)
        assert (first[group].count, first[group].share) == (second[group].count, second[group].share)


def test_each_group_has_its_own_numbers() -> None:
    estimate, low, high = correct([30, 60, 10], GOOD.counts, level=0.8, seed=3)
    woman, man = corrected(tally("plain", "cook", 30, 60, 10), GOOD, level=0.8, seed=3)
    assert (woman.group, woman.count, woman.share) == ("woman", 30, 0.3)
    assert (woman.corrected, woman.low, woman.high) == (estimate[0], low[0], high[0])
    assert (man.group, man.count, man.share) == ("man", 60, 0.6)
    assert (man.corrected, man.low, man.high) == (estimate[1], low[1], high[1])


def test_mistakes_are_named() -> None:
    counted = tally("plain", "cook", 30, 70)
    with pytest.raises(ValueError, match="has no image of 'man': label some"):
        corrected(counted, replace(GOOD, counts=[[90, 5, 5], [0, 0, 0]]))
    with pytest.raises(ValueError, match="correct with a matrix of the same groups"):
        corrected(tally("plain", "cook", 0, 0, counts={"a": 1, "b": 2, "c": 3}), GOOD)
    with pytest.raises(ValueError, match="correct with a matrix of the same groups"):
        corrected(tally("plain", "cook", 1, 2, attribute="age"), GOOD)
    with pytest.raises(ValueError, match="the readings are of no images"):
        corrected(tally("plain", "cook", 0, 0), GOOD)
