"""Labels of the images of runs, beside what perceiver and judge recorded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from audit_examples import put, record, write_run

from fair_diffusion.perception.label_rows import read_labels
from fair_diffusion.perception.labelled_image import LabelledImage
from fair_diffusion.policy import Attributes
from fair_diffusion.readers.labelled_runs import labelled_images


def _run(folder: Path, judged: str = "woman") -> Path:
    records = [record(0, judged), record(1, "man"), record(2, None), record(3, "man", perceived={"gender": "man"})]
    return write_run(folder, records)


def test_both_readers_are_met_with_the_majority_of_the_raters(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    table = put(
        tmp_path,
        "labels.csv",
        "file,attribute,group,rater,probability,guideline\n"
        "image-00000.png,gender,woman,a,0.5,v2\nimage-00000.png,gender,woman,b,0.5,v2\nimage-00000.png,gender,man,c,,\n"
        "image-00001.png,gender,unknown,a,1,\nimage-00002.png,gender,woman,a,1,\nimage-00002.png,gender,man,b,,\n"
        "image-00003.png,skin tone,dark,a,0.25,\n",
    )
    found, notes = labelled_images(table, [run])
    told = {(one.reader, one.attribute, one.people, one.read, one.probability, one.guideline) for one in found}
    assert told == {
        ("perceiver", "gender", "woman", "woman", 0.5, "v2"),
        ("judge", "gender", "woman", "woman", 0.5, "v2"),
        ("perceiver", "gender", None, "woman", 1.0, ""),  # unknown, and a tie
        ("judge", "gender", None, "man", 1.0, ""),
        ("judge", "gender", None, None, 1.0, ""),
        ("judge", "skin_tone", "dark", "dark", 0.25, ""),
    }
    assert {(one.model, one.concept) for one in found} == {("pocket", "nurse")}
    assert notes == []


def test_several_runs_go_by_their_names(tmp_path: Path) -> None:
    runs = [_run(tmp_path / "one"), _run(tmp_path / "two", judged="man")]
    table = put(
        tmp_path,
        "labels.csv",
        "file,attribute,group\none/image-00000.png,gender,woman\ntwo/image-00000.png,gender,woman\n",
    )
    found, _ = labelled_images(table, runs)
    assert Counter(one.read for one in found if one.reader == "judge") == {"woman": 1, "man": 1}
    folder, _ = labelled_images(table, [tmp_path])  # a folder of runs has the same names
    assert sorted(found, key=repr) == sorted(folder, key=repr)


def test_two_runs_of_one_name_are_refused(tmp_path: Path) -> None:
    """Else a label of one would count for an image of the other, or the same label twice."""
    one, other = _run(tmp_path / "a" / "run"), _run(tmp_path / "b" / "run", judged="man")
    table = put(tmp_path, "labels.csv", "file,attribute,group\nrun/image-00000.png,gender,woman\n")
    for runs in ([one, other], [one, one], [one, one / ".." / "run"]):
        with pytest.raises(ValueError, match="2 runs are called 'run'"):
            labelled_images(table, runs)


def test_files_that_are_not_met_are_told(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    table = put(tmp_path, "labels.csv", "file,attribute,group\nimage-00000.png,gender,woman\nother.png,gender,man\n")
    found, notes = labelled_images(table, [run])
    assert [type(one) for one in found] == [LabelledImage] * 2
    assert notes == ["1 of 2 labelled files were not met, such as other.png"]
    none = put(tmp_path, "none.csv", "file,attribute,group\nother.png,gender,man\n")
    with pytest.raises(ValueError, match=r"no file in none.csv is in .*run, such as 'other.png'"):
        labelled_images(none, [run])


@pytest.mark.parametrize("chance", ["0", "0_1", "1.5", "often"])
def test_a_wrong_probability_is_named_by_line(tmp_path: Path, chance: str) -> None:
    run = _run(tmp_path / "run")
    table = put(tmp_path, "labels.csv", f"file,attribute,group,probability\nimage-00000.png,gender,woman,{chance}\n")
    with pytest.raises(ValueError, match=f"line 2: the probability is '{chance}'"):
        labelled_images(table, [run])


def test_a_probability_is_given_for_all_pictures_of_an_attribute_or_for_none(tmp_path: Path) -> None:
    rows = "image-00000.png,gender,woman,0.5,a\nimage-00001.png,gender,woman,,a\nimage-00000.png,skin_tone,dark,,a\n"
    table = put(tmp_path, "labels.csv", f"file,attribute,group,probability,rater\n{rows}")
    with pytest.raises(ValueError, match="the probability of 1 of 2 pictures labelled by gender; give it for all"):
        read_labels(table)
    two_raters = rows.replace("image-00001.png,gender,woman,,a", "image-00000.png,gender,man,,b")
    table.write_text(f"file,attribute,group,probability,rater\n{two_raters}")
    assert read_labels(table).chances == {("gender", "image-00000.png"): 0.5}


def test_another_definition_is_refused(tmp_path: Path) -> None:
    import json

    run = _run(tmp_path / "run")
    summary = json.loads((run / "result.json").read_text())
    summary["definitions"] = {"gender": {"groups": ["woman", "man"], "digest": "0" * 16}}
    (run / "result.json").write_text(json.dumps(summary))
    table = put(tmp_path, "labels.csv", "file,attribute,group\nimage-00000.png,gender,woman\n")
    with pytest.raises(ValueError, match="knows gender by another definition"):
        labelled_images(table, [run])
    assert labelled_images(table, [_run(tmp_path / "other")], Attributes.named("glasses"))[0]


def test_images_that_the_perceiver_chose_tell_of_it_only_where_they_were_left_alone(tmp_path: Path) -> None:
    looks = ["man", "man", "man", "woman"]
    steered = [1.0, 1.0, 0.0, 0.0]
    records = [
        record(k, "man", natural={"gender": look}, strength=strength)
        for k, (look, strength) in enumerate(zip(looks, steered, strict=True))
    ]
    run = write_run(tmp_path / "run", records)
    rows = [f"image-{k:05d}.png,gender,woman,0.6" for k in range(4)]
    tones = ["image-00000.png,skin tone,dark,0.6"]
    table = put(tmp_path, "labels.csv", "\n".join(["file,attribute,group,probability", *rows, *tones]))
    found, notes = labelled_images(table, [run])
    gender = [one for one in found if one.attribute == "gender"]
    assert [one.probability for one in gender if one.reader == "perceiver"] == pytest.approx([0.2, 0.6])
    assert [one.probability for one in gender if one.reader == "judge"] == [0.6] * 4
    assert [one.probability for one in found if one.attribute == "skin_tone"] == [0.6, 0.6]  # nothing looked at it
    assert len(notes) == 1
    assert notes[0].startswith("2 of 5 labels tell nothing of the perceiver")


def test_images_that_a_calibration_chose_tell_nothing_of_the_perceiver(tmp_path: Path) -> None:
    """They count for no others either: of three men at the look without it one was left alone, whatever it did."""
    looks, steered = ["man", "man", "man", "woman"], [1.0, 1.0, 0.0, 0.0]
    records = [
        record(k, "man", natural={"gender": looks[k % 4]}, strength=steered[k % 4], calibration="v" if k > 3 else None)
        for k in range(8)
    ]
    run = write_run(tmp_path / "run", records)
    rows = [f"image-{k:05d}.png,gender,woman" for k in range(8)]
    found, (note,) = labelled_images(put(tmp_path, "labels.csv", "\n".join(["file,attribute,group", *rows])), [run])
    perceiver = [one for one in found if one.reader == "perceiver"]
    assert [one.probability for one in perceiver] == pytest.approx([1 / 3, 1])
    assert sum(one.reader == "judge" for one in found) == 8
    assert note.startswith("6 of 8 labels tell nothing of the perceiver")
    assert "drawn with a calibration" in note


def test_two_probabilities_of_one_picture_are_refused(tmp_path: Path) -> None:
    rows = "image-00000.png,gender,woman,a,0.5\nimage-00000.png,gender,woman,b,0.25\n"
    table = put(tmp_path, "labels.csv", f"file,attribute,group,rater,probability\n{rows}")
    with pytest.raises(ValueError, match=r"line 3: the probability of 'image-00000.png' is 0\.25 here and 0\.5 above"):
        read_labels(table)


def test_labels_of_what_no_reader_read_are_told(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    rows = "file,attribute,group\nimage-00000.png,age,20-29\nimage-00001.png,race,Black\n"
    table = put(tmp_path, "labels.csv", rows)
    with pytest.raises(ValueError, match=r"labels age, race, which no reader of these images read; label what they re"):
        labelled_images(table, [run])
    found, notes = labelled_images(put(tmp_path, "more.csv", rows + "image-00000.png,gender,woman\n"), [run])
    assert len(found) == 2
    assert "labels of age, race were left out: no reader of these images read it" in notes


def test_a_wrong_name_is_answered_with_a_right_one(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    table = put(tmp_path, "labels.csv", "file,attribute,group\nrun/image-00000.png,gender,woman\n")
    with pytest.raises(ValueError, match=r"name files as the runs do, such as 'image-00000.png'"):
        labelled_images(table, [run])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no run is there: give what generate wrote"):
        labelled_images(table, [tmp_path / "empty"])


def test_a_label_of_steered_images_alone_makes_no_calibration_of_the_perceiver(tmp_path: Path) -> None:
    steered = record(0, "woman", natural={"skin_tone": "dark"}, strength=1.0)
    run = write_run(tmp_path / "run", [{**steered, "judged": {"gender": "woman"}}])
    table = put(tmp_path, "labels.csv", "file,attribute,group\nimage-00000.png,skin_tone,dark\n")
    with pytest.raises(ValueError, match=r"no label of labels.csv tells of a reader: 1 of 1 labels tell nothing"):
        labelled_images(table, [run])
