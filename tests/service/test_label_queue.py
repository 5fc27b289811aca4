"""The queue: the order of the draw, two raters at once, steps back, skips, gold questions, second opinions."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from label_examples import made_set
from sqlalchemy import select, update

from fair_diffusion.service.database import Database, now
from fair_diffusion.service.label_queue import UNDOABLE, LabelledError, LabelQueue, NotHeldError, NothingToUndoError
from fair_diffusion.service.label_sets import LabelSet
from fair_diffusion.service.label_table import import_labels
from fair_diffusion.service.labels import CANNOT_TELL, Labels
from fair_diffusion.service.tables import label_holds, label_pictures


def _order(database: Database, made: LabelSet) -> list[str]:
    """The pictures of a set as they are drawn."""
    drawn = select(label_pictures.c.image).where(
        label_pictures.c.label_set == made.id, label_pictures.c.place.is_not(None)
    )
    with database.reading() as connection:
        return list(connection.scalars(drawn.order_by(label_pictures.c.place)))


def _image(database: Database, made: LabelSet, number: int) -> str:
    """The picture that tables call by this number."""
    ours = (label_pictures.c.label_set == made.id, label_pictures.c.file == f"{number:03d}.png")
    with database.reading() as connection:
        return str(connection.scalar(select(label_pictures.c.image).where(*ours)))


def _queue(database: Database, made: LabelSet, *, gold: bool = False) -> LabelQueue:
    return LabelQueue(database, made, lambda: 0.0 if gold else 1.0)


def test_a_rater_sees_every_picture_once_in_the_order_of_the_draw(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 7)
    queue, seen = _queue(database, made), []
    while tasks := queue.next("anna"):
        assert queue.next("anna") == tasks, "a reload shows the same picture"
        given, left = queue.label("anna", tasks[0].image, "woman", guideline=made.guideline)
        assert left == []
        assert given.label.queue == "random"
        assert given.label.probability == pytest.approx(1 / 7)
        seen.append(tasks[0].image)
    assert seen == _order(database, made)
    assert queue.next("ben") == [], "nothing is left, and no second opinion is asked for"


def test_pictures_that_are_fetched_ahead_come_in_order(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 5)
    queue, order = _queue(database, made), _order(database, made)
    held = queue.next("anna", most=3)
    assert [task.image for task in held] == order[:3]
    given, held = queue.label("anna", order[0], "man", guideline=made.guideline, most=3)
    assert given.label.answer == "man"
    assert [task.image for task in held] == order[1:4]


def test_two_raters_never_see_the_same_picture_of_the_draw(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 40)
    seen: dict[str, list[str]] = {name: [] for name in "abcd"}
    start = threading.Barrier(4)

    def rate(name: str) -> None:
        queue = _queue(database, made)
        start.wait()
        held = queue.next(name, most=2)
        while held:
            seen[name].append(held[0].image)
            _, held = queue.label(name, held[0].image, "woman", guideline=made.guideline, most=2)

    threads = [threading.Thread(target=rate, args=(name,)) for name in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = [image for mine in seen.values() for image in mine]
    assert sorted(every) == sorted(_order(database, made))
    assert len(Labels(database).all(label_set=made.id)) == 40


def test_a_picture_that_was_left_goes_to_another_rater_and_both_labels_stay(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 3)
    queue = _queue(database, made)
    (left,) = queue.next("anna")
    assert queue.next("ben")[0].image != left.image
    with database.writing() as connection:
        connection.execute(update(label_holds).where(label_holds.c.rater == "anna").values(until=now() - 1))
    assert left in queue.next("ben", most=2)
    first, _ = queue.label("ben", left.image, "man", guideline=made.guideline)
    late, _ = queue.label("anna", left.image, "woman", guideline=made.guideline)
    assert (first.label.queue, late.label.queue, late.label.probability) == ("random", "second", None)


def test_only_what_was_given_can_be_labelled(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 3)
    queue, order = _queue(database, made), _order(database, made)
    queue.next("anna")
    for rater, image in (("anna", order[1]), ("ben", order[0]), ("anna", "f" * 64)):
        with pytest.raises(NotHeldError):
            queue.label(rater, image, "woman", guideline=made.guideline)
    queue.label("anna", order[0], "woman", guideline=made.guideline)
    with pytest.raises(LabelledError, match=r"already \(woman\)"):
        queue.label("anna", order[0], "man", guideline=made.guideline)
    assert len(Labels(database).all()) == 1


@pytest.mark.parametrize(("answer", "reason"), [("woman", None), (None, "no person"), (None, None)])
def test_the_same_answer_sent_twice_is_one_label(
    database: Database, tmp_path: Path, answer: str | None, reason: str | None
) -> None:
    """As where the receipt of the first one was lost on the way."""
    _, made = made_set(database, tmp_path, 3)
    queue = _queue(database, made)
    (task,) = queue.next("anna")
    first = queue.label("anna", task.image, answer, reason=reason, guideline=made.guideline, most=2)
    again = queue.label("anna", task.image, answer, reason=reason, guideline=made.guideline, most=2)
    assert again == first
    assert Labels(database).all(undone=True) == [first[0].label]
    with pytest.raises(NotHeldError):
        queue.label("ben", task.image, answer, reason=reason, guideline=made.guideline)


def test_a_table_that_has_the_label_of_a_picture_that_is_looked_at(database: Database, tmp_path: Path) -> None:
    """The rater's answer is then refused unless it is the same, and the next picture comes."""
    _, made = made_set(database, tmp_path, 4)
    queue, order = _queue(database, made), _order(database, made)
    assert [task.image for task in queue.next("anna", most=2)] == order[:2]
    files = [f"{k:03d}.png" for image in order[:2] for k in range(4) if image == _image(database, made, k)]
    import_labels(database, made, "file,attribute,group,rater\n" + "".join(f"{f},gender,man,anna\n" for f in files))
    with pytest.raises(LabelledError, match=r"you answered this picture already \(man\)"):
        queue.label("anna", order[0], "woman", guideline=made.guideline)
    given, held = queue.label("anna", order[1], "man", guideline=made.guideline, most=2)
    assert given.label.answer == "man"
    assert [task.image for task in held] == order[2:]
    assert [label.answer for label in Labels(database).all()] == ["man", "man"]


def test_a_picture_that_its_rater_labelled_is_held_no_longer(database: Database, tmp_path: Path) -> None:
    """As in databases that took a table before tables ended holds."""
    _, made = made_set(database, tmp_path, 2)
    queue, order = _queue(database, made), _order(database, made)
    queue.next("anna")
    told = {"rater": "anna", "queue": "random", "probability": 0.5, "guideline": made.guideline, "label_set": made.id}
    Labels(database).add(order[0], "gender", "man", **told)  # type: ignore[arg-type]
    with pytest.raises(LabelledError):
        queue.label("anna", order[0], "woman", guideline=made.guideline)
    assert [task.image for task in queue.next("anna")] == order[1:]


def test_a_wrong_label_changes_nothing(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 3)
    queue = _queue(database, made)
    (task,) = queue.next("anna")
    with pytest.raises(ValueError, match="no group 'women'"):
        queue.label("anna", task.image, "women", guideline=made.guideline)
    with pytest.raises(ValueError, match="load the page anew"):
        queue.label("anna", task.image, "woman", guideline="another")
    assert queue.next("anna") == [task]
    assert Labels(database).all() == []


def test_a_step_back_shows_the_picture_again_and_keeps_both_labels(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 6)
    queue, order = _queue(database, made), _order(database, made)
    queue.next("anna", most=2)
    for image in order[:3]:
        queue.label("anna", image, "woman", guideline=made.guideline, most=2)
    for image in (order[2], order[1]):
        label, task = queue.undo("anna")
        assert label.image == task.image == image
        assert label.undone is not None
    assert [task.image for task in queue.next("anna")] == order[1:5]
    queue.label("anna", order[1], "man", guideline=made.guideline)
    assert [label.answer for label in Labels(database).all(image=order[1], undone=True)] == ["woman", "man"]
    with pytest.raises(NothingToUndoError):
        queue.undo("ben")


def test_the_last_labels_alone_are_taken_back(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 8)
    queue, order = _queue(database, made), _order(database, made)
    for image in order[: UNDOABLE + 1]:
        queue.next("anna")
        queue.label("anna", image, "woman", guideline=made.guideline)
    for image in reversed(order[1 : UNDOABLE + 1]):
        assert queue.undo("anna")[1].image == image
    with pytest.raises(NothingToUndoError, match=f"only your last {UNDOABLE} labels"):
        queue.undo("anna")
    assert [label.image for label in Labels(database).all()] == order[:1]


def test_what_was_hidden_is_told_once_the_label_cannot_be_taken_back(database: Database, tmp_path: Path) -> None:
    """Whatever a rater does: no picture of which the reader's word was told can be labelled anew."""
    _, made = made_set(database, tmp_path, 60, readings=["woman", "man"] * 30, gold=8)
    chance = random.Random(1)
    queue = LabelQueue(database, made, chance.random)
    told: dict[str, tuple[str | None, str | None]] = {}
    taken_back, given = 0, []
    while tasks := queue.next("anna"):
        label = queue.label("anna", tasks[0].image, "man", guideline=made.guideline)[0].label
        given.append(label)
        assert label.image not in told
        final = queue.final(label)
        if final is not None:
            assert final.label.id == given[-1 - UNDOABLE].id
            told[final.label.image] = final.reading, final.gold
        try:
            for _ in range(chance.choice([0, 0, 0, 1, 2, UNDOABLE, UNDOABLE + 1])):
                assert queue.undo("anna")[0].image not in told
                taken_back += 1
        except NothingToUndoError:
            pass
    assert taken_back > 20
    standing = [label.image for label in Labels(database).all() if label.id <= given[-1 - UNDOABLE].id]
    assert sorted(told) == sorted(standing), "all but those that can be taken back"
    assert set(told.values()) == {("woman", None), ("man", None), (None, "woman")}


def test_a_skipped_picture_is_left_to_others_and_one_that_cannot_be_told_is_not(
    database: Database, tmp_path: Path
) -> None:
    _, made = made_set(database, tmp_path, 2)
    queue, order = _queue(database, made), _order(database, made)
    queue.next("anna", most=2)
    skipped, _ = queue.label("anna", order[0], reason="no person", guideline=made.guideline)
    unsure, _ = queue.label("anna", order[1], guideline=made.guideline)
    assert (skipped.label.reason, unsure.label.reason) == ("no person", CANNOT_TELL)
    assert queue.next("anna") == []
    assert [task.image for task in queue.next("ben", most=2)] == [order[0]]


def test_gold_questions_come_to_every_rater_and_enter_no_estimate(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 4, gold=1)
    queue = _queue(database, made, gold=True)
    golden = {rater: queue.next(rater)[0] for rater in ("anna", "ben")}
    assert golden["anna"] == golden["ben"]
    assert golden["anna"].queue == "gold"
    given, _ = queue.label("anna", golden["anna"].image, "man", guideline=made.guideline)
    assert (given.gold, given.label.queue, given.label.probability) == ("woman", "gold", None)
    assert [task.queue for task in queue.next("anna", most=8)] == ["random"] * 4


def test_chosen_pictures_get_a_second_opinion_from_somebody_else(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 6, second=0.5)
    queue = _queue(database, made)
    while tasks := queue.next("anna"):
        queue.label("anna", tasks[0].image, "woman", guideline=made.guideline)
    opinions = []
    while tasks := queue.next("ben"):
        given, _ = queue.label("ben", tasks[0].image, "man", guideline=made.guideline)
        opinions.append(given.label)
    assert [label.queue for label in opinions] == ["second"] * 3
    assert {label.probability for label in opinions} == {None}
    assert queue.next("carla") == [], "two opinions are enough"


def test_what_was_read_is_told_with_the_label_alone(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 1, readings=["man"])
    queue = _queue(database, made)
    (task,) = queue.next("anna")
    assert set(vars(task)) == {"image", "queue"}
    given, _ = queue.label("anna", task.image, "woman", guideline=made.guideline)
    assert (given.reading, given.confidence) == ("man", 0.9)


@pytest.mark.parametrize("most", [0, 9])
def test_a_rater_holds_a_few_pictures(database: Database, tmp_path: Path, most: int) -> None:
    _, made = made_set(database, tmp_path, 2)
    with pytest.raises(ValueError, match="ask for 1 to 8"):
        _queue(database, made).next("anna", most=most)
