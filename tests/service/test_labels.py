"""Labels: what raters say of pictures, and what is undone."""

from __future__ import annotations

from typing import Any

import pytest

from fair_diffusion.service.database import Database
from fair_diffusion.service.labels import CANNOT_TELL, Labels

A, B = "a" * 64, "b" * 64
GIVEN: dict[str, Any] = {"rater": "key_1", "queue": "random", "guideline": "1", "probability": 0.25}


def test_labels_are_kept_with_how_their_picture_was_chosen(database: Database) -> None:
    ours = Labels(database)
    first = ours.add(A, "gender", "woman", **GIVEN)
    second = ours.add(A, "gender", None, **{**GIVEN, "rater": "key_2", "queue": "second", "probability": None})
    skipped = ours.add(B, "gender", None, reason="no person", **{**GIVEN, "queue": "active"})
    assert (first.answer, first.reason, first.probability, first.undone) == ("woman", None, 0.25, None)
    assert (second.answer, second.reason, second.probability) == (None, CANNOT_TELL, None)
    assert skipped.reason == "no person"
    assert ours.all() == [first, second, skipped]
    assert ours.all(image=A, rater="key_2") == [second]
    assert ours.all(attribute="age") == []


def test_what_is_undone_stays_and_counts_no_more(database: Database) -> None:
    ours = Labels(database)
    label = ours.add(A, "gender", "woman", **GIVEN)
    with pytest.raises(ValueError, match="rater 'key_2' has no label"):
        ours.undo(label.id, rater="key_2")
    undone = ours.undo(label.id, rater="key_1")
    assert undone.undone is not None
    assert undone.undone >= undone.time
    with pytest.raises(ValueError, match="has no label"):
        ours.undo(label.id, rater="key_1")
    again = ours.add(A, "gender", "man", **GIVEN)
    assert ours.all() == [again]
    assert ours.all(undone=True) == [undone, again]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"image": "x.png"}, "give the SHA-256"),
        ({"attribute": "gendre"}, "unknown attribute 'gendre'"),
        ({"answer": "women"}, "gender has no group 'women'"),
        ({"reason": "blurred"}, "give one"),
        ({"queue": "randm"}, "unknown queue 'randm'"),
        ({"probability": None}, "give one above 0"),
        ({"probability": 0.0}, "give one above 0"),
        ({"probability": 1.5}, "give one above 0"),
        ({"probability": float("nan")}, "give one above 0"),
        ({"queue": "gold"}, "none for others"),
        ({"rater": ""}, "rater or guideline is empty"),
        ({"guideline": ""}, "rater or guideline is empty"),
    ],
)
def test_a_label_that_is_none_is_refused(database: Database, given: dict[str, Any], said: str) -> None:
    usual = {"image": A, "attribute": "gender", "answer": "woman", **GIVEN}
    with pytest.raises(ValueError, match=said):
        Labels(database).add(**{**usual, **given})
    assert Labels(database).all() == []
