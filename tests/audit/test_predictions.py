"""Predictions from counts of people's and the machine's labels: each group's pairs, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
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


def skipping(one: Labelled, woman: int, man: int, unknown: int) -> Labelled:
    return replace(one, skipped=[woman, man, unknown])


def test_skipped_images_are_none_of_those_of_which_a_share_tells() -> None:
    """1,000 images, 300 of nobody: 100 were shown, and the machine is right about the 70 that show somebody."""
    rightly = labelled([[35, 0, 0], [0, 35, 0], [0, 0, 0]])
    for read, tallied in (((0, 0, 30), tally(350, 350, 300)), ((0, 30, 0), tally(350, 650))):
        (found,) = predictions([tallied], [skipping(rightly, *read)])
        assert (found.labelled, found.n) == (70, 1000)
        for group in found.groups:
            assert group.estimate == pytest.approx(0.5)
            assert group.low < 0.5 < group.high
    (before,) = predictions([tally(350, 350, 300)], [rightly])  # as a table without the skipped images says
    assert before.groups[0].estimate < 0.4
    assert before.groups[0].high < 0.5


@pytest.mark.parametrize("empty", [0, 1, 2])
def test_intervals_hold_where_images_are_skipped(empty: int) -> None:
    """1,000 images of a process: three in ten show nobody, whatever the machine reads in them (`empty`)."""
    rng, held, runs = np.random.default_rng(1), 0, 300
    for _ in range(runs):
        people = np.where(rng.random(1000) < 0.3, -1, rng.integers(0, 2, 1000))
        machine = np.where(people < 0, empty, people ^ (rng.random(1000) < 0.1))
        counts, skipped = np.zeros((3, 3), dtype=int), np.bincount(machine[:100][people[:100] < 0], minlength=3)
        np.add.at(counts, (people[:100][people[:100] >= 0], machine[:100][people[:100] >= 0]), 1)
        one = replace(labelled(counts.tolist()), skipped=skipped.tolist())
        (found,) = predictions([tally(*np.bincount(machine, minlength=3).tolist())], [one])
        held += found.groups[0].low <= 0.5 <= found.groups[0].high
    assert held / runs >= 0.93


def test_concepts_with_skipped_images_are_not_added_up() -> None:
    both = [skipping(labelled(COUNTS), 1, 2, 3), labelled(NURSE, "nurse")]
    *single, whole = predictions([tally(119, 317, 111), tally(200, 300, 50, "nurse")], both)
    assert all(one.groups for one in single)
    assert whole.groups == []
    assert "read the shares of each concept by itself" in str(whole.refused)


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
