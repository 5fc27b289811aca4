"""How raters do: gold, speed, agreement on overlapping pictures, and the errors of single raters."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_examples import made_set
from sqlalchemy import update
from test_label_decisions import rate

from fair_diffusion.service.database import Database
from fair_diffusion.service.label_queue import LabelQueue
from fair_diffusion.service.label_raters import raters_of
from fair_diffusion.service.labels import Labels
from fair_diffusion.service.tables import labels
from fair_diffusion.statistics.rater_agreement import krippendorff_alpha


def test_what_raters_gave_is_counted(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 6, gold=2, second=1.0)
    gold = LabelQueue(database, made, lambda: 0.0)
    for answer in ("woman", "man"):
        (task,) = gold.next("anna")
        gold.label("anna", task.image, answer, guideline=made.guideline)
    rate(database, made, "anna", "woman", None, "-", "man")
    LabelQueue(database, made).undo("anna")
    rate(database, made, "ben", "woman", "man")
    with database.writing() as connection:  # as if labels took 1, 2, 3 … seconds, and a pause
        for label in Labels(database).all(rater="anna", undone=True):
            seconds = label.id * (label.id + 1) / 2 + (1000 if label.id > 4 else 0)
            connection.execute(update(labels).where(labels.c.id == label.id).values(time=seconds))
    found = raters_of(database, made)
    anna, ben = found.raters
    assert (anna.labels, anna.cannot_tell, anna.skipped, anna.undone) == (2, 1, 1, 1)
    assert (anna.gold_asked, anna.gold_right) == (2, 1)
    assert anna.seconds == 3.5
    assert (ben.labels, ben.gold_asked) == (2, 0)
    assert (anna.shared, anna.agreed, ben.shared, ben.agreed) == (2, 1.0, 2, 1.0)
    assert found.alpha == krippendorff_alpha([[2, 0, 0], [0, 1, 1]])
    assert (found.shared, found.agreed, anna.accuracy) == (2, 1.0, None)


def test_a_gold_question_goes_by_the_first_answer(database: Database, tmp_path: Path) -> None:
    """Else who looks at the count of right ones takes a wrong answer back."""
    _, made = made_set(database, tmp_path, 6, gold=2)
    queue = LabelQueue(database, made, lambda: 0.0)
    for first, second in (("man", "woman"), (None, "woman")):  # the known answer is "woman"; None is a skip
        for answer in (first, second):
            (task,) = queue.next("anna")
            assert task.queue == "gold"
            reason = None if answer else "no person"
            queue.label("anna", task.image, answer, reason=reason, guideline=made.guideline)
            if answer == first:
                queue.undo("anna")
    (anna,) = raters_of(database, made).raters
    assert (anna.gold_asked, anna.gold_right, anna.undone) == (1, 0, 2)


def test_three_raters_who_overlap_tell_who_errs(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 60)
    ours = Labels(database)
    for k in range(60):
        truth = "woman" if k % 2 else "man"
        for rater, wrong in (("anna", k % 30 == 1), ("ben", k % 15 == 2), ("carla", k % 3 == 0)):
            answer = {"woman": "man", "man": "woman"}[truth] if wrong else truth
            told = {"rater": rater, "queue": "second", "guideline": made.guideline, "label_set": made.id}
            ours.add(f"{k:064x}", "gender", answer, **told)  # type: ignore[arg-type]
    found = {one.rater: one.accuracy for one in raters_of(database, made).raters}
    assert found == pytest.approx({"anna": 58 / 60, "ben": 56 / 60, "carla": 40 / 60}, abs=0.07), (
        "60 pictures tell it within 7 points"
    )


def test_a_set_without_labels_has_no_raters(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 2)
    found = raters_of(database, made)
    assert (found.raters, found.alpha, found.shared) == ([], None, 0)
