"""`fair-diffusion calibrate`, and what a calibration changes in `generate`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from audit_examples import put, record, write_run
from typer.testing import CliRunner

from fair_diffusion import FairPipeline
from fair_diffusion.cli import app
from fair_diffusion.perception.calibrating import calibrated
from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.perception.labelled_image import LabelledImage
from fair_diffusion.policy import built_in

run = CliRunner()


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[Path, Path]:
    folder = write_run(tmp_path / "run", [record(k, "woman" if k % 2 else "man") for k in range(8)])
    rows = [f"image-{k:05d}.png,gender,{'woman' if k % 2 else 'man'}" for k in range(8)]
    return put(tmp_path, "labels.csv", "\n".join(["file,attribute,group", *rows])), folder


def test_it_says_how_the_readers_err_and_writes_one_file(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    labels, folder = labelled
    out = tmp_path / "calibration.json"
    words = ["calibrate", str(labels), str(folder), "--out", str(out)]
    found = run.invoke(app, words)
    assert found.exit_code == 0, found.output
    known = Calibration.load(out)
    perceiver = known.find("perceiver", "pocket", built_in()["gender"])
    judge = known.find("judge", "pocket", built_in()["gender"])
    assert perceiver is not None
    assert judge is not None
    assert perceiver.counts[1][:2] == [4, 0]  # the perceiver of these records calls everybody a woman
    assert judge.counts[1][:2] == [0, 4]
    assert f"version {known.version} in" in found.stdout
    rows = [line.split() for line in found.stdout.splitlines() if line.split()[:2] == ["perceiver", "gender"]]
    assert [row[2:5] for row in rows] == [["woman", "4", "100%"], ["man", "4", "0%"]]  # of 8 labels
    before = out.read_bytes()
    again = run.invoke(app, words)
    assert "as before" in again.stdout
    assert out.read_bytes() == before
    less = put(tmp_path, "less.csv", "file,attribute,group\nimage-00000.png,gender,man\n")
    other = run.invoke(app, ["calibrate", str(less), str(folder), "--out", str(out), "--json"])
    told = json.loads(other.stdout)
    assert told["before"] == known.version != told["version"]
    assert Calibration.load(out).version == told["version"]


def test_what_is_wrong_is_one_line_and_writes_nothing(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    _, folder = labelled
    out = tmp_path / "calibration.json"
    wrong = put(tmp_path, "wrong.csv", "file,attribute,group\nother.png,gender,man\n")
    found = run.invoke(app, ["calibrate", str(wrong), str(folder), "--out", str(out)])
    assert found.exit_code == 2
    assert found.stderr.count("\n") == 1
    assert not out.exists()


def test_what_is_no_calibration_is_not_replaced_and_the_mend_is_named(
    labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    """The table of labels itself, another JSON file, one that was changed by hand, one of a newer version, a folder."""
    labels, folder = labelled
    changed = json.dumps(_known(1).plain() | {"version": "0" * 12})
    newer = json.dumps(_known(1).plain() | {"format": 99})
    texts = {"other.json": "{}", "changed.json": changed, "newer.json": newer, "binary.json": "\x00\x01"}
    for name, text in texts.items():
        put(tmp_path, name, text)
    (tmp_path / "dangling.json").symlink_to(tmp_path / "nowhere" / "x.json")
    for out in (labels, folder, tmp_path / "dangling.json", *(tmp_path / name for name in texts)):
        before = out.read_bytes() if out.is_file() else None
        found = run.invoke(app, ["calibrate", str(labels), str(folder), "--out", str(out)])
        assert found.exit_code == 2, found.output
        assert found.stderr.count("\n") == 1
        assert f"there is no calibration in {out}" in found.stderr
        assert "write the new one to another file" in found.stderr
        assert (out.read_bytes() if out.is_file() else None) == before


def _known(wrong: int) -> Calibration:
    """The perceiver calls so many of ten women men."""
    rows = [
        LabelledImage(
            reader=reader, model="pocket", attribute="gender", people=people, read=read, concept="firefighter"
        )
        for reader, errors in (("perceiver", wrong), ("judge", 0))
        for people, read, n in (("woman", "woman", 10 - errors), ("woman", "man", errors), ("man", "man", 10))
        for _ in range(n)
    ]
    return calibrated(rows, built_in())


def test_generate_goes_by_a_calibration_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    _known(4).save(path)
    version = Calibration.load(path).version
    words = ["generate", "a photo of a firefighter", "-n", "6", "--steps", "5", "--instruct", "firefighter: half women"]
    found = run.invoke(app, [*words, "--calibration", str(path), "--out", str(tmp_path / "out"), "--json"])
    assert found.exit_code in (0, 3), found.output
    told = json.loads(found.stdout)
    assert told["made_with"]["calibration"] == version
    (matrix,) = [one for one in told["confusions"] if one["attribute"] == "gender"]
    assert version in matrix["measured_on"]
    records = pq.read_table(tmp_path / "out" / "records.parquet").to_pylist()
    assert {row["calibration"] for row in records} == {version}
    for row in records:
        chances = json.loads(row["seen"])["gender"]
        assert sum(chances.values()) == pytest.approx(1, abs=0.02)
    audited = run.invoke(app, ["audit", str(tmp_path / "out"), "--json"])
    assert version in audited.stdout


def test_a_calibration_of_a_right_reader_changes_no_picture(tmp_path: Path) -> None:
    words = {"n": 4, "steps": 4, "instruct": "firefighter: half women"}
    plain = FairPipeline.from_pretrained("pocket")("a photo of a firefighter", **words)  # type: ignore[arg-type]
    same = FairPipeline.from_pretrained("pocket", calibration=_known(0))("a photo of a firefighter", **words)  # type: ignore[arg-type]
    assert [one.tobytes() for one in plain.images] == [one.tobytes() for one in same.images]
    assert [one.steered_to for one in plain.records] == [one.steered_to for one in same.records]
    assert {one.calibration for one in plain.records} == {None}
    assert all(one.seen == {} for one in plain.records)
    assert "calibration" not in plain.made_with


def test_what_a_calibration_does_not_reach_is_said(tmp_path: Path) -> None:
    pipe = FairPipeline.from_pretrained("pocket", calibration=_known(2))
    words = {"n": 2, "steps": 3, "instruct": "firefighter: half women"}
    prompt = pipe("a photo of a firefighter", method="prompt", **words)  # type: ignore[arg-type]
    assert any("is not used here" in note for note in prompt.notes)
    assert {one.calibration for one in prompt.records} == {None}
    tone = pipe("a photo of a firefighter", n=2, steps=3, instruct="firefighter: skin tone uniform")
    assert any("has no labels of skin_tone" in note for note in tone.notes)


def test_a_calibration_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    row = LabelledImage(reader="judge", model="other", attribute="gender", people="man", read="man")
    calibrated([row], built_in()).save(path)
    found = run.invoke(app, ["generate", "a nurse", "--calibration", str(path), "--out", str(tmp_path / "out")])
    assert found.exit_code == 2
    assert "tells nothing of 'pocket'" in found.stderr
    assert not (tmp_path / "out").exists()


def test_a_suite_goes_on_with_the_same_calibration_only(tmp_path: Path) -> None:
    path, other = tmp_path / "calibration.json", tmp_path / "other.json"
    _known(4).save(path)
    _known(2).save(other)
    names = put(tmp_path, "names.csv", "occupation\nnurse\n")
    words = [
        "audit-suite",
        "--suite",
        str(names),
        "-n",
        "2",
        "--steps",
        "2",
        "--instruct",
        "every occupation: half women",
    ]
    words += ["--work", str(tmp_path / "work")]
    first = run.invoke(app, [*words, "--calibration", str(path)])
    assert first.exit_code in (0, 3), first.output
    again = run.invoke(app, [*words, "--calibration", str(path)])
    assert again.exit_code == first.exit_code
    for wrong in ([], ["--calibration", str(other)]):
        refused = run.invoke(app, [*words, *wrong])
        assert refused.exit_code == 2, refused.output


def test_a_calibration_knows_whose_errors_it_has(tmp_path: Path) -> None:
    """Of another reader's weights it tells nothing; of which it was made, the run says."""
    drawn = FairPipeline.from_pretrained("pocket")("a photo of a nurse", n=4, steps=2, instruct="nurse: half women")
    drawn.save(tmp_path / "run")
    rows = [f"{image},gender,woman" for image in (f"image-{k:05d}.png" for k in range(4))]
    table = put(tmp_path, "labels.csv", "\n".join(["file,attribute,group", *rows]))
    out = tmp_path / "calibration.json"
    assert run.invoke(app, ["calibrate", str(table), str(tmp_path / "run"), "--out", str(out)]).exit_code == 0
    known = Calibration.load(out)
    pipe = FairPipeline.from_pretrained("pocket", calibration=out)
    assert {each.reader: each.fingerprint for each in known.readers} == pipe.fingerprints
    assert all("sha256" in each for each in pipe.fingerprints.values())
    asked = {"n": 1, "steps": 2, "instruct": "nurse: half women"}
    assert not any("unknown" in note for note in pipe("a photo of a nurse", **asked).notes)  # type: ignore[arg-type]
    other = replace(known.readers[0], fingerprint=known.readers[0].fingerprint[:-1] + "x")
    changed = Calibration(readers=[other, *known.readers[1:]])
    with pytest.raises(ValueError, match=f"calibration {changed.version} is of another {other.reader} of 'pocket'"):
        FairPipeline.from_pretrained("pocket", calibration=changed)


def test_an_older_calibration_is_used_and_its_readers_are_said_to_be_unknown(tmp_path: Path) -> None:
    older = _known(2).plain()
    assert all("fingerprint" not in each for each in older["readers"])  # so its version is what it was
    path = put(tmp_path, "older.json", json.dumps(older | {"format": 1}))
    pipe = FairPipeline.from_pretrained("pocket", calibration=path)
    found = pipe("a photo of a firefighter", n=2, steps=2, instruct="firefighter: half women")
    assert any(
        "does not tell the weights of its perceiver, so whether it is this one is unknown" in x for x in found.notes
    )


def test_groups_that_no_label_shows_are_said(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    """Nobody was seen as a man, or nobody could be told at all: nothing is learnt there, which is no silent success."""
    _, folder = labelled
    out = str(tmp_path / "calibration.json")
    files = [f"image-{k:05d}.png,gender" for k in range(8)]
    for answer, said in (
        ("woman", "no labelled image of pocket shows man (gender), so such readings (judge, perceiver) are taken at"),
        ("unknown", "people could tell the gender of no labelled image of pocket, so these labels say nothing"),
    ):
        rows = [f"{each},{answer}" for each in files]
        table = put(tmp_path, "labels.csv", "\n".join(["file,attribute,group", *rows]))
        found = run.invoke(app, ["calibrate", str(table), str(folder), "--out", out])
        assert found.exit_code == 0, found.output
        assert said in " ".join(found.stderr.split())


def test_a_reader_that_is_no_better_than_chance_is_named_with_the_mend(
    labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    """The perceiver of these records calls everybody a woman."""
    labels, folder = labelled
    out = str(tmp_path / "calibration.json")
    found = run.invoke(app, ["calibrate", str(labels), str(folder), "--out", out, "--json"])
    (said,) = json.loads(found.stdout)["notes"]
    assert said.startswith("the perceiver of pocket is no better than chance at gender")
    assert "0 is chance; labels: woman 4, man 4" in said
    assert "label more images of each group, and if it stays so take another perceiver" in said
    assert said in run.invoke(app, ["calibrate", str(labels), str(folder), "--out", out]).stderr
