"""What a picture shows when raters differ, and adjudication beside their labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_examples import made_set

from fair_diffusion.service.database import Database
from fair_diffusion.service.label_decisions import Adjudications, Decision
from fair_diffusion.service.label_queue import LabelQueue
from fair_diffusion.service.label_sets import LabelSet
from fair_diffusion.service.labels import Labels


def rate(database: Database, made: LabelSet, rater: str, *answers: str | None) -> list[str]:
    """Let a rater answer the next pictures; "-" skips one. Returns the pictures."""
    queue, seen = LabelQueue(database, made, lambda: 1.0), []
    for answer in answers:
        (task,) = queue.next(rater)
        said = {"reason": "no person"} if answer == "-" else {"answer": answer}
        queue.label(rater, task.image, **said, guideline=made.guideline)
        seen.append(task.image)
    return seen


def test_the_majority_decides_and_a_tie_is_nobodys(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 4, second=1.0)
    a, b, c, d = rate(database, made, "anna", "woman", "man", "woman", "-")
    rate(database, made, "ben", "woman", "woman", None)
    ours = Labels(database)
    told = {"rater": "carla", "queue": "second", "guideline": made.guideline, "label_set": made.id}
    ours.add(b, "gender", "woman", **told)  # type: ignore[arg-type]
    found = Adjudications(database, made)
    assert found.decisions() == {
        a: Decision("woman", "agreed", {"anna": "woman", "ben": "woman"}),
        b: Decision("woman", "majority", {"anna": "man", "ben": "woman", "carla": "woman"}),
        c: Decision(None, "tied", {"anna": "woman", "ben": None}),
    }
    assert d not in found.decisions(), "a skip says nothing"
    assert list(found.disagreements()) == [c, b], "those that nobody decides come first"


def test_an_adjudication_stands_beside_the_labels(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 2, second=1.0)
    one, other = rate(database, made, "anna", "woman", "man")
    rate(database, made, "ben", "man", "man")
    before = Labels(database).all(undone=True)
    found = Adjudications(database, made)
    found.decide(one, "woman", why="the hair covers the face", by="key_1")
    assert found.decisions()[one] == Decision("woman", "adjudicated", {"anna": "woman", "ben": "man"})
    assert found.disagreements() == {}
    again = found.decide(one, None, why="on second thoughts", by="key_1")
    assert (found.decisions()[one].answer, found.all()) == (None, [again])
    found.take_back(one)
    assert found.decisions()[one].how == "tied"
    assert Labels(database).all(undone=True) == before
    with pytest.raises(LookupError, match="no decision"):
        found.take_back(one)
    for image, answer, why, said in (
        (other, "woman", "x", "do not disagree"),
        ("f" * 64, "woman", "x", "do not disagree"),
        (one, "women", "x", "no group 'women'"),
        (one, "woman", " ", "reason is empty"),
    ):
        with pytest.raises(ValueError, match=said):
            found.decide(image, answer, why=why, by="key_1")
