"""Tables of labels: an audit reads them, and they come back as the same labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from label_examples import GENDER, made_set, new_pictures, sets_of
from sqlalchemy import event
from test_label_decisions import rate

from fair_diffusion.perception.human import HumanLabels
from fair_diffusion.perception.label_rows import read_labels
from fair_diffusion.service.database import Database
from fair_diffusion.service.label_decisions import Adjudications
from fair_diffusion.service.label_progress import progress
from fair_diffusion.service.label_queue import LabelQueue
from fair_diffusion.service.label_table import import_labels, labels_text, write_labels
from fair_diffusion.service.labels import Labels


def test_an_audit_reads_the_table_and_comes_to_the_same_decisions(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 5, second=1.0)
    images = rate(database, made, "anna", "woman", "man", None, "woman", "-")
    rate(database, made, "ben", "woman", "woman")
    assert write_labels(database, made, tmp_path / "labels.csv", names={"anna": "=Anna"}) == 7
    table = HumanLabels.load(tmp_path / "labels.csv")
    files = {one.image: f"{k:03d}.png" for k, one in enumerate(sorted_pictures(database, made.id))}
    for image, one in Adjudications(database, made).decisions().items():
        assert table.label("gender", files[image]).label == one.answer
    assert {rater for raters in table.votes["gender"].values() for rater in raters} == {"=Anna", "ben"}
    assert table.skipped == {"gender": {files[images[4]]: ["=Anna"]}}  # no label, and an audit needs to know of it
    Adjudications(database, made).decide(images[1], "man", why="seen at full size", by="key_1")
    write_labels(database, made, tmp_path / "pictures.csv", what="pictures")
    decided = HumanLabels.load(tmp_path / "pictures.csv")
    assert decided.label("gender", files[images[1]]).label == "man"
    assert len(decided.files) == 4
    assert {*decided.skipped["gender"]} == {files[images[4]]}


def test_a_table_comes_back_as_the_same_labels(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 30, second=1.0)
    rate(database, made, "anna", *["woman", "man", None] * 4)
    rate(database, made, "ben", *["woman", "woman"] * 4)
    text, before = labels_text(database, made), progress(database, made)
    found = import_labels(database, made, text)
    assert (found.added, found.already, found.unmatched) == (0, 20, [])
    _, other = made_set(database, tmp_path, 30)
    assert import_labels(database, other, text).added == 20
    assert progress(database, other) == before
    stored = Labels(database).all(label_set=other.id)
    assert {label.queue for label in stored} == {"random", "second"}
    assert all((label.probability is None) == (label.queue == "second") for label in stored)
    assert {label.guideline for label in stored} == {made.guideline}  # that by which they were given


def test_a_table_with_skipped_pictures_comes_back_as_the_same_table(database: Database, tmp_path: Path) -> None:
    """Skips say which pictures were shown, and so how much each label stands for."""
    _, made = made_set(database, tmp_path, 30, second=1.0)
    rate(database, made, "anna", *["woman", "-", "man", None] * 4)
    rate(database, made, "ben", *["woman", "woman", "-", "man"] * 2)
    text = labels_text(database, made)
    assert {line.split(",")[-2] for line in text.splitlines()[1:]} == {made.guideline}
    before = text.replace(made.guideline, "older", 3).replace(f"{made.guideline},", "newer,", 6)
    assert import_labels(database, made, before).added == 0, "whatever the reason of a skip was"
    _, other = made_set(database, tmp_path, 30, second=1.0)
    assert import_labels(database, other, before).added == before.count("\n") - 1
    assert sorted(labels_text(database, other).splitlines()) == sorted(before.splitlines())
    assert progress(database, other).skipped == progress(database, made).skipped > 0
    assert progress(database, other) == progress(database, made)
    assert import_labels(database, other, before).added == 0


def test_a_table_of_nothing_but_skipped_pictures_is_one(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 5)
    first, second = rate(database, made, "anna", "-", "-")
    text = labels_text(database, made)
    _, other = made_set(database, tmp_path, 5)
    assert import_labels(database, other, text).added == 2
    assert labels_text(database, other) == text
    with pytest.raises(ValueError, match=r"anna said 'skipped' of .*, the table 'woman'"):
        import_labels(database, other, text.replace("skipped", "woman"))
    ben = LabelQueue(database, other, lambda: 1.0)
    assert [task.image for task in ben.next("ben", most=2)] == [first, second], "others may still tell"
    import_labels(database, other, text.replace("skipped", "woman").replace("anna", "ben"))
    assert [label.queue for label in Labels(database).all(label_set=other.id)] == ["random"] * 4


def test_skipped_pictures_that_were_not_drawn_uniformly_are_refused(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 3)
    text = "file,attribute,group,probability\n000.png,gender,skipped,0.1\n001.png,gender,skipped,"
    with pytest.raises(ValueError, match=r"probabilities from 0\.1 to 0\.9"):
        import_labels(database, made, text + "0.9\n")
    with pytest.raises(ValueError, match="banana"):
        import_labels(database, made, text + "banana\n")
    assert not Labels(database).all(label_set=made.id)


def test_files_that_are_not_in_the_set_are_told(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 3)
    found = import_labels(database, made, "file,attribute,group\n000.png,gender,Women\nx.png,gender,man\n")
    assert (found.added, found.unmatched) == (1, ["x.png"])
    assert [(label.answer, label.rater) for label in Labels(database).all()] == [("woman", "somebody")]


def test_a_table_says_with_which_probability_pictures_were_shown(database: Database, tmp_path: Path) -> None:
    pictures = new_pictures(database, tmp_path, 30, readings=["woman"] * 30)
    unsure = [replace(each, confidence=0.5 if k < 10 else 0.99) for k, each in enumerate(pictures)]
    made = sets_of(database, tmp_path).add("a set", GENDER, unsure, queue="active", second=0, seed=2)
    rate(database, made, "anna", *["woman"] * 12)
    write_labels(database, made, tmp_path / "labels.csv")
    told = read_labels(tmp_path / "labels.csv")
    rows = sorted(sorted_pictures(database, made.id), key=lambda row: row.place)
    after = rows[12].priority
    assert told.chances == {("gender", row.file): pytest.approx(min(1.0, row.probability * after)) for row in rows[:12]}
    assert {*told.guidelines.values()} == {made.guideline}
    write_labels(database, made, tmp_path / "pictures.csv", what="pictures")
    assert read_labels(tmp_path / "pictures.csv").chances == told.chances


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "the table"),
        ("file,attribute,group\n000.png,age,skipped\n", "labels age; this set is about gender"),
        ("file,attribute,group,rater\n001.png,gender,unknown,anna\n", "said 'woman' of 001.png, the table 'unknown'"),
        ("file,attribute,group\n000.png,age,old\n", "this set is about gender"),
        ("file,attribute,group\nx.png,gender,man\n", "no file of the table is in the set, such as 'x.png'"),
        ("file,attribute,group\n000.png,gender,tall\n", "tall"),
        ("file,attribute,group,rater\n000.png,gender,man,a\n001.png,gender,man,anna\n", "anna said 'woman' of 001.png"),
        ("file,attribute,group,rater\n000.png,gender,man,a\0b\n", r"a rater or guideline is 'a\\x00b'"),
        (f"file,attribute,group,rater\n000.png,gender,man,{'a' * 201}\n", "up to 200 characters"),
        ("file,attribute,group,guideline\n000.png,gender,man,\u202e\n", "a rater or guideline is"),
    ],
)
def test_a_wrong_table_changes_nothing(database: Database, tmp_path: Path, text: str, said: str) -> None:
    _, made = made_set(database, tmp_path, 3)
    row = sorted_pictures(database, made.id)[1]
    told = {"rater": "anna", "queue": "second", "guideline": made.guideline, "label_set": made.id}
    Labels(database).add(row.image, "gender", "woman", **told)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=said):
        import_labels(database, made, text)
    assert len(Labels(database).all()) == 1


def test_labels_of_pictures_that_were_drawn_by_uncertainty_are_not_taken_as_random(
    database: Database, tmp_path: Path
) -> None:
    _, made = made_set(database, tmp_path, 3)
    told = "file,attribute,group,probability\n000.png,gender,man,0.1\n001.png,gender,woman,{}\n"
    with pytest.raises(ValueError, match=r"probabilities from 0\.1 to 0\.9, so its pictures were not drawn uniformly"):
        import_labels(database, made, told.format(0.9))
    assert Labels(database).all() == []
    assert import_labels(database, made, told.format(0.1)).added == 2


def test_a_set_that_is_drawn_by_uncertainty_takes_no_table(database: Database, tmp_path: Path) -> None:
    _, made = made_set(database, tmp_path, 3, readings=["woman"] * 3, queue="active")
    with pytest.raises(ValueError, match="drawn by uncertainty"):
        import_labels(database, made, "file,attribute,group\n000.png,gender,man\n")


def sorted_pictures(database: Database, label_set: str):  # type: ignore[no-untyped-def]
    from sqlalchemy import select

    from fair_diffusion.service.tables import label_pictures

    ours = select(label_pictures).where(label_pictures.c.label_set == label_set).order_by(label_pictures.c.file)
    with database.reading() as connection:
        return list(connection.execute(ours))


def test_a_sorted_table_is_taken_in_the_order_of_the_draw(database: Database, tmp_path: Path) -> None:
    """Intervals that hold at every look bet on the next label, and take labels to come in random order."""
    _, made = made_set(database, tmp_path, 200)
    rows = sorted(sorted_pictures(database, made.id), key=lambda row: row.place)
    said = {row.file: "woman" if k % 2 else "man" for k, row in enumerate(rows[:100])}
    lines = sorted((f"{file},gender,{group}" for file, group in said.items()), key=lambda line: line[8:])
    import_labels(database, made, "\n".join(["file,attribute,group", *lines]))
    assert [label.image for label in Labels(database).all()] == [row.image for row in rows[:100]]
    (woman,) = [each for each in progress(database, made).groups if each.group == "woman"]
    assert woman.low is not None
    assert woman.high is not None
    assert woman.low < 0.5 < woman.high


def test_tables_of_two_sets_weigh_as_their_pictures_were_shown(database: Database, tmp_path: Path) -> None:
    """Half of one set and all of another: joined, a picture of the first stands for two."""
    for count, name in ((4, "half"), (2, "all")):
        _, made = made_set(database, tmp_path, count)
        rate(database, made, "anna", "woman", "man")
        write_labels(database, made, tmp_path / f"{name}.csv")
    assert {*read_labels(tmp_path / "half.csv").chances.values()} == {0.5}
    assert {*read_labels(tmp_path / "all.csv").chances.values()} == {1.0}


def test_labels_of_chosen_pictures_never_become_labels_of_drawn_ones(database: Database, tmp_path: Path) -> None:
    """Neither by a set of the same pictures, nor by an audit or a calibration that reads the table."""
    pictures = new_pictures(database, tmp_path, 4)
    chosen = sets_of(database, tmp_path).add("look wrong", GENDER, pictures, second=0.0, chosen=True)
    rate(database, chosen, "anna", "woman", "man", "-")
    write_labels(database, chosen, tmp_path / "labels.csv")
    text = (tmp_path / "labels.csv").read_text()
    assert text.count(",chosen,") == 3
    drawn = sets_of(database, tmp_path).add("all", GENDER, pictures, second=0.0)
    with pytest.raises(ValueError, match="the table has labels of 3 pictures that somebody chose, such as"):
        import_labels(database, drawn, text)
    assert Labels(database).all(label_set=drawn.id) == []
    with pytest.raises(ValueError, match="they tell nothing of other pictures: leave these lines out"):
        HumanLabels.load(tmp_path / "labels.csv")
    more = sets_of(database, tmp_path).add("look wrong, too", GENDER, pictures, second=0.0, chosen=True)
    assert import_labels(database, more, text).added == 3
    assert {label.queue for label in Labels(database).all(label_set=more.id)} == {"chosen"}


def test_a_table_of_many_labels_takes_few_statements(database: Database, tmp_path: Path) -> None:
    """Each statement is a round trip, and all others who write wait meanwhile."""
    _, made = made_set(database, tmp_path, 300)
    lines = [f"{k:03d}.png,gender,woman,{rater}" for k in range(300) for rater in ("anna", "ben")]
    asked: list[str] = []

    def told(connection: object, cursor: object, statement: str, *rest: object) -> None:
        asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", told)
    assert import_labels(database, made, "\n".join(["file,attribute,group,rater", *lines])).added == 600
    assert sum("INSERT INTO labels" in statement for statement in asked) == 1
    stored = Labels(database).all(label_set=made.id)
    assert [label.id for label in stored] == sorted(label.id for label in stored)
    assert [(label.rater, label.queue) for label in stored[:2]] == [("anna", "random"), ("ben", "second")]
    assert all(label.time > 0 for label in stored)
