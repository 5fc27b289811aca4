"""Predictions from counts of people's and the machine's labels: each group's pairs, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from fair_diffusion.audit.predictions import predictions
from fair_diffusion.audit.study import Labelled
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.prediction_powered import predict

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


def test_all_concepts_together_are_the_sum_of_their_counts() -> None:
    other = [[20, 1, 0], [2, 30, 0], [0, 0, 3]]
    tallies = [tally(119, 317, 111), tally(80, 90, 10, "nurse"), tally(60, 40, 5, "pilot")]
    *_, whole = predictions(tallies, [labelled(COUNTS), labelled(other, "nurse")])
    summed = (np.array(COUNTS) + np.array(other)).tolist()
    (expected,) = predictions([tally(119 + 80 + 60, 317 + 90 + 40, 111 + 10 + 5)], [labelled(summed)])
    assert (whole.concept, whole.labelled, whole.n) == (None, 103, expected.n)
    assert whole.groups == expected.groups


def test_what_cannot_be_predicted_says_why() -> None:
    (found,) = predictions([tally(18, 317, 111)], [labelled(COUNTS)])
    assert found.refused == "more images were labelled than counted: label those that were audited"
    assert found.groups == []
    (found,) = predictions([tally(19, 17, 11)], [labelled(COUNTS)])
    assert str(found.refused).startswith("the machine has labelled no other image")
