"""Predictions from counts of people's and the machine's labels: each group's pairs, and what is refused."""

from __future__ import annotations

import math

import pytest

from fair_diffusion.audit.predictions import predictions
from fair_diffusion.audit.study import Labelled
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.prediction_powered import Stratum, labels_wanted, predict, predict_strata

# Rows: people see woman, man, unknown; columns: the machine reads woman, man, unknown.
COUNTS = [[12, 3, 1], [2, 14, 4], [5, 0, 6]]


def tally(woman: int, man: int, unknown: int = 0, concept: str = "cook") -> Tally:
    counts = {"woman": woman, "man": man}
    return Tally(source="s", concept=concept, attribute="gender", counts=counts, unknown=unknown)


def labelled(counts: list[list[int]], concept: str = "cook") -> Labelled:
    return Labelled(
        source="s", concept=concept, attribute="gender", groups=["woman", "man"], counts=counts, table="people.csv"
    )


def test_each_group_is_predicted_from_its_own_pairs_of_labels() -> None:
    (found,) = predictions([tally(119, 317, 111)], [labelled(COUNTS)])
    woman, man = found.groups
    # The machine read 19 women, 17 men and 11 unknown among the 47 labelled images; 100, 300 and 100 are left.
    expected = [predict((12, 4, 7, 24), 100, 500), predict((14, 6, 3, 24), 300, 500)]
    for group, share in zip((woman, man), expected, strict=True):
        assert [group.human, group.machine, group.estimate] == [share.human, share.machine, share.estimate]
        assert [group.low, group.high, group.weight] == [share.low, share.high, share.weight]
    assert (found.labelled, found.n, found.concept, found.refused) == (47, 547, "cook", None)
    assert [woman.group, man.group] == ["woman", "man"]


def test_unread_images_are_images() -> None:
    (found,) = predictions([tally(520, 260, 260)], [labelled([[20, 0, 0], [0, 10, 0], [0, 0, 10]])])
    (woman, man) = found.groups
    assert (woman.human, man.human, woman.machine) == (0.5, 0.25, 0.5)
    assert woman.estimate == pytest.approx(0.5)


NURSE = [[20, 1, 0], [2, 30, 0], [0, 0, 3]]


def test_all_concepts_together_weigh_each_by_its_images() -> None:
    tallies = [tally(119, 317, 111), tally(80, 90, 10, "nurse")]
    *_, whole = predictions(tallies, [labelled(COUNTS), labelled(NURSE, "nurse")])
    assert (whole.concept, whole.labelled, whole.n, whole.refused) == (None, 103, 547 + 180, None)
    woman, _ = whole.groups
    expected = predict_strata([Stratum((12, 4, 7, 24), 100, 500), Stratum((20, 1, 2, 33), 58, 124)])
    assert (woman.estimate, woman.low, woman.high) == (expected.estimate, expected.low, expected.high)


def test_concepts_without_labels_are_not_taken_for_the_others() -> None:
    tallies = [tally(119, 317, 111), tally(80, 90, 10, "nurse"), tally(60, 40, 5, "pilot")]
    *_, whole = predictions(tallies, [labelled(COUNTS), labelled(NURSE, "nurse")])
    assert whole.groups == []
    wanted = [labels_wanted(pairs, 832) for pairs in ((32, 5, 9, 57), (44, 8, 4, 47))]
    assert whole.refused == (
        "fewer than 5 images are labelled of 1 of the 3 concepts, and nothing tells what people would see in the "
        "others: label at least 10 images of each concept, drawn at random; about "
        f"{math.ceil(max(number or 0 for number in wanted) / 3)} of each give ±5 points"
    )
    few = labelled([[2, 0, 0], [0, 2, 0], [0, 0, 0]], "pilot")
    *_, whole = predictions(tallies, [labelled(COUNTS), labelled(NURSE, "nurse"), few])
    assert str(whole.refused).startswith("fewer than 5 images are labelled of 1 of the 3 concepts")
    small = [tally(19, 18, 11), tally(23, 31, 3, "nurse"), tally(6, 4, 5, "pilot")]
    *_, whole = predictions(small, [labelled(COUNTS), labelled(NURSE, "nurse")])
    assert str(whole.refused).endswith("label at least 10 images of each concept, drawn at random")


def test_a_single_labelled_concept_says_nothing_of_all() -> None:
    tallies = [tally(119, 317, 111), tally(80, 90, 10, "nurse")]
    assert [one.concept for one in predictions(tallies, [labelled(COUNTS)])] == ["cook"]


def test_what_cannot_be_predicted_says_why() -> None:
    (found,) = predictions([tally(18, 317, 111)], [labelled(COUNTS)])
    assert found.refused == "more images were labelled than counted: label those that were audited"
    assert found.groups == []
    (found,) = predictions([tally(19, 17, 11)], [labelled(COUNTS)])
    assert str(found.refused).startswith("the machine has labelled no other image")
