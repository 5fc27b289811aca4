"""Labels of a service become a calibration: which pictures count, with which weight, and what is left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from label_examples import GENDER, picture_file, sets_of
from test_label_decisions import rate
from typer.testing import CliRunner

from fair_diffusion.cli import app
from fair_diffusion.perception.calibrating import calibrated
from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.perception.labelled_image import LabelledImage
from fair_diffusion.policy import built_in
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database
from fair_diffusion.service.images import Images
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.label_calibration import calibration_of
from fair_diffusion.service.label_decisions import Adjudications
from fair_diffusion.service.label_sets import NewPicture
from fair_diffusion.service.label_sources import pictures_of
from fair_diffusion.service.label_table import write_labels
from fair_diffusion.service.trail import changes


def _drawn(
    database: Database,
    folder: Path,
    judged: Sequence[str],
    *,
    rule: str = "nurse",
    first: int = 0,
    steered: Sequence[bool] = (),
    natural: Sequence[str] = (),
    calibration: str | None = None,
    policy: int | None = None,
    readers: str = "",
) -> list[NewPicture]:
    """A job of such images, in which the perceiver reads women alone; its pictures for a set.

    `steered` and `natural` are of each image; none is steered, and nobody looked, without them. `policy` is the version
    that the job was drawn by, `readers` the fingerprint of both readers."""
    Jobs(database).put("draw pocket", {"prompt": f"a photo of a {rule}", "policy": policy}, key="key_1")
    claims, images = Claims(database, "w"), Images(database, folder / "images")
    (held,) = claims.claim(["draw pocket"])
    files = [images.put(picture_file(first + k), key=held.key, job=held.id) for k in range(len(judged))]
    told = [
        {
            "file": file,
            "judged": {"gender": read},
            "perceived": {"gender": "woman"},
            "confidence": {"gender": 0.9},
            "steered": bool(steered) and steered[k],
            "natural": {"gender": natural[k]} if natural else {},
        }
        for k, (file, read) in enumerate(zip(files, judged, strict=True))
    ]
    known = {"readers": {"perceiver": readers, "judge": readers}} if readers else {}
    claims.end(held, result={"rule": rule, "images": told, "calibration": calibration, **known})
    return pictures_of(database, "gender", rule=rule)


def _rows(pairs: Counter[tuple[str | None, str]], guideline: str) -> list[LabelledImage]:
    """One row for each reader and picture: what people saw, and what the judge read."""
    return [
        LabelledImage(
            reader=reader,
            model="pocket",
            attribute="gender",
            people=people,
            read=read if reader == "judge" else "woman",
            concept="nurse",
            guideline=guideline,
        )
        for (people, read), count in pairs.items()
        for _ in range(count)
        for reader in ("perceiver", "judge")
    ]


def test_labels_beside_what_the_job_recorded(database: Database, tmp_path: Path) -> None:
    pictures = _drawn(database, tmp_path, ["woman", "man"] * 6)
    made = sets_of(database, tmp_path).add("nurses", GENDER, pictures, second=0.0, seed=3)
    read = {each.image: each.reading for each in pictures}
    files = rate(database, made, "anna", "woman", "man", None, "woman", "-", "man", "man")
    said = dict(zip(files, ["woman", "man", None, "woman", "-", "man", "man"], strict=True))
    pairs = Counter((people, str(read[file])) for file, people in said.items() if people != "-")
    found = calibration_of(database)
    assert found.calibration == calibrated(_rows(pairs, made.guideline), built_in())
    assert (found.pictures, found.sets, found.notes) == (6, [made.id], [])
    assert changes(database, subject=found.calibration.version) == []


def test_chosen_pictures_and_corrections_and_gold_never_enter(database: Database, tmp_path: Path) -> None:
    pictures = _drawn(database, tmp_path, ["woman"] * 10)
    sets = sets_of(database, tmp_path)
    gold = [NewPicture(image=pictures[9].image, reading="woman", gold="man")]
    drawn = sets.add("nurses", GENDER, [*pictures[:6], *gold], second=0.0)
    chosen = sets.add("look wrong", GENDER, pictures, second=0.0, chosen=True)
    with pytest.raises(ValueError, match="set 'look wrong' was left out: somebody chose"):
        calibration_of(database)
    rate(database, chosen, "anna", *["man"] * 10)
    with pytest.raises(ValueError, match="somebody chose its pictures"):
        calibration_of(database, ["look wrong"])
    rate(database, drawn, "anna", *["woman"] * 6)
    found = calibration_of(database)
    judge = found.calibration.find("judge", "pocket", built_in()["gender"])
    assert judge is not None
    assert (judge.labels, sum(judge.counts[0])) == (6, 6)  # woman; nobody of the chosen set is a man here
    with pytest.raises(ValueError, match="no label set 'x'; the sets are"):
        calibration_of(database, ["x"])


def test_pictures_count_by_the_chance_with_which_they_were_shown(database: Database, tmp_path: Path) -> None:
    """Half of a small set and a tenth of a large one: one of the large set stands for five times as many."""
    few = _drawn(database, tmp_path, ["woman"] * 10, rule="nurse")
    many = _drawn(database, tmp_path, ["man"] * 50, rule="pilot", first=100)
    sets = sets_of(database, tmp_path)
    for name, pictures in (("few", few), ("many", many)):
        made = sets.add(name, GENDER, pictures, second=0.0)
        rate(database, made, "anna", *["woman"] * 5)
    judge = calibration_of(database).calibration.find("judge", "pocket", built_in()["gender"])
    assert judge is not None
    row = judge.counts[0]
    assert row[1] / row[0] == pytest.approx(5)
    both = sets.add("both", GENDER, few, second=0.0)  # 5 of 10 again: shown by one set or more with 3/4
    rate(database, both, "anna", *["woman"] * 5)
    ours = [each for each in sets.all() if each.name != "many"]
    counted = {image for each in ours for image in Adjudications(database, each).decisions()}
    judge = calibration_of(database).calibration.find("judge", "pocket", built_in()["gender"])
    assert judge is not None
    assert judge.labels == 5 + len(counted)
    row = judge.counts[0]
    assert row[1] / row[0] == pytest.approx(50 / (len(counted) / 0.75))


def test_the_command_writes_the_same_as_the_table_would(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    database = Database(data / "service.sqlite")
    made = sets_of(database, data).add("nurses", GENDER, _drawn(database, data, ["woman", "man"] * 4), second=0.0)
    rate(database, made, "anna", *["woman"] * 4)
    out = tmp_path / "calibration.json"
    words = ["calibrate", "--data", str(data), "--out", str(out)]
    told = CliRunner().invoke(app, [*words, "--set", "nurses"])
    assert told.exit_code == 0, told.output
    version = Calibration.load(out).version
    assert version in told.stdout
    assert "from 4 labelled pictures of the service" in told.stderr
    (change,) = changes(database, subject=version)
    assert (change.change, change.by, change.details["pictures"]) == ("calibration made", "command line", 4)
    again = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(again.stdout)["before"] == version
    assert len(changes(database, subject=version)) == 1
    write_labels(database, made, tmp_path / "labels.csv")
    for wrong in ([str(tmp_path / "labels.csv")], [str(tmp_path / "labels.csv"), str(tmp_path), "--set", "nurses"]):
        refused = CliRunner().invoke(app, ["calibrate", *wrong, "--out", str(out)])
        assert refused.exit_code == 2
        assert refused.stderr.count("\n") == 1
    nowhere = CliRunner().invoke(app, ["calibrate", "--data", str(tmp_path / "x"), "--out", str(out)])
    assert "no service is in" in nowhere.stderr
    database.close()


def test_pictures_whose_job_is_gone_are_left_out_and_counted(database: Database, tmp_path: Path) -> None:
    images = Images(database, tmp_path / "images")
    sent = NewPicture(image=images.put(picture_file(900), key="key_1"), reading="woman")
    made = sets_of(database, tmp_path).add("both", GENDER, [*_drawn(database, tmp_path, ["man"] * 3), sent], second=0.0)
    rate(database, made, "anna", *["man"] * 4)
    found = calibration_of(database)
    assert found.pictures == 3
    assert found.notes[0].startswith("1 labelled pictures were left out: no job")


def test_steered_pictures_tell_of_the_judge_alone(database: Database, tmp_path: Path) -> None:
    """They were made again until the perceiver read their group, so it looks better in them than it is."""
    pictures = _drawn(database, tmp_path, ["woman", "man"] * 3, steered=[True] * 6)
    made = sets_of(database, tmp_path).add("nurses", GENDER, pictures, second=0.0, seed=3)
    rate(database, made, "anna", "woman", "man", "woman", "man")
    assert [each.reader for each in calibration_of(database).calibration.readers] == ["judge"]


def test_a_picture_left_alone_stands_for_all_with_its_look(database: Database, tmp_path: Path) -> None:
    """Of four women at the look one was left alone, of two men both: she stands for four images, a man for one."""
    natural, steered = ["woman"] * 4 + ["man"] * 2, [True] * 3 + [False] * 3
    pictures = _drawn(database, tmp_path, natural, steered=steered, natural=natural)
    made = sets_of(database, tmp_path).add("nurses", GENDER, pictures, second=0.0, seed=3)
    rate(database, made, "anna", *["woman"] * 6)
    found = {each.reader: each for each in calibration_of(database).calibration.readers}
    assert found["judge"].labels == 6
    assert found["perceiver"].labels == 3
    weights = np.array([4.0, 1.0, 1.0])  # Kish (1965): as many independent labels as (Σw)² / Σw²
    assert np.sum(found["perceiver"].counts) == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_pictures_that_a_calibration_chose_tell_of_the_judge_alone(database: Database, tmp_path: Path) -> None:
    natural, steered = ["woman", "woman", "man"], [True, False, False]
    pictures = _drawn(database, tmp_path, natural, steered=steered, natural=natural, calibration="v")
    plain = _drawn(database, tmp_path, ["woman"] * 2, first=20, calibration="v")  # without an instruction nobody looks
    made = sets_of(database, tmp_path).add("nurses", GENDER, [*pictures, *plain], second=0.0)
    rate(database, made, "anna", *["woman"] * 5)
    found = calibration_of(database)
    assert {each.reader: each.labels for each in found.calibration.readers} == {"judge": 5, "perceiver": 2}
    assert found.notes[0].startswith("3 of 5 labels tell nothing of the perceiver")


def test_pictures_at_which_nobody_looked_all_count_alike(database: Database, tmp_path: Path) -> None:
    """A plain drawing of the same concept is no drawing whose look was unsure."""
    plain = _drawn(database, tmp_path, ["woman"] * 2, rule="nurse")
    looks = ["woman", "woman", "man", "man"]
    steered = [True, False, False, False]
    chosen = _drawn(database, tmp_path, looks, rule="nurse", first=50, steered=steered, natural=looks)
    made = sets_of(database, tmp_path).add("nurses", GENDER, [*plain, *chosen], second=0.0)
    rate(database, made, "anna", *["woman"] * 6)
    found = calibration_of(database)
    perceiver = found.calibration.find("perceiver", "pocket", built_in()["gender"])
    assert perceiver is not None
    weights = np.array([1, 1, 2, 1, 1])
    assert np.sum(perceiver.counts) == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert [note.partition(",")[0] for note in found.notes] == ["1 of 6 labels tell nothing of the perceiver"]


def test_labels_of_earlier_readers_are_left_out_and_may_be_chosen(database: Database, tmp_path: Path) -> None:
    """A calibration is of one judge; whoever trains it anew need not throw all labels away, nor guess which."""
    sets, made = sets_of(database, tmp_path), {}
    for k, (rule, readers) in enumerate((("cook", ""), ("nurse", "a"), ("pilot", "b"))):
        pictures = _drawn(database, tmp_path, ["woman"] * 4, rule=rule, first=10 * k, readers=readers)
        made[rule] = sets.add(rule, GENDER, pictures, second=0.0)
        rate(database, made[rule], "anna", *["woman"] * 4)
    mixed = sets.add("mixed", GENDER, pictures_of(database, "gender"), second=0.0)
    rate(database, mixed, "ben", *["woman"] * 12)
    found = calibration_of(database)
    assert {each.fingerprint for each in found.calibration.readers} == {"b"}
    assert ([each.labels for each in found.calibration.readers], found.pictures) == ([4, 4], 4)
    assert len(found.notes) == 2
    assert found.notes[0].startswith("8 labels of gender were left out: another judge of pocket read these pictures")
    assert "they are of the sets 'mixed' (8)" in found.notes[0]
    (note, _) = calibration_of(database, ["cook", "nurse", "pilot"]).notes
    assert "they are of the sets 'nurse' (4), 'cook' (4)" in note
    chosen = calibration_of(database, [made["nurse"].id])
    assert ({each.fingerprint for each in chosen.calibration.readers}, chosen.notes) == ({"a"}, [])
    unknown = calibration_of(database, ["cook", "nurse"])  # one reader is known, so nothing says that there are two
    assert ({each.fingerprint for each in unknown.calibration.readers}, unknown.pictures) == ({""}, 8)


def test_what_control_left_alone_is_counted_for_each_perceiver(database: Database, tmp_path: Path) -> None:
    """The earlier one steered three of four women; the latest none, so each picture stands for itself."""
    looks = ["woman"] * 4
    before = _drawn(
        database, tmp_path, looks, steered=[True, True, True, False], natural=looks, rule="nurse", readers="a"
    )
    since = _drawn(database, tmp_path, looks, natural=looks, rule="nurse", first=20, readers="b")
    made = sets_of(database, tmp_path).add("nurses", GENDER, [*before, *since], second=0.0)
    rate(database, made, "anna", *["woman"] * 8)
    perceiver = calibration_of(database).calibration.find("perceiver", "pocket", built_in()["gender"])
    assert perceiver is not None
    assert (perceiver.labels, np.sum(perceiver.counts)) == (4, pytest.approx(4))
