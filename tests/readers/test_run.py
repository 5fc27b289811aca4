"""Runs: records against the summaries they came with, several runs, twins, and reading anew."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from audit_examples import ByColour, record, write_run
from PIL import Image
from typer.testing import CliRunner

from fair_diffusion.audit.folder import save_study
from fair_diffusion.audit.numbers import numbers
from fair_diffusion.cli import app
from fair_diffusion.files.pictures import open_picture
from fair_diffusion.readers.run import read_run
from fair_diffusion.report.delivered import besides_of_study
from fair_diffusion.report.report import report
from fair_diffusion.runs.records import runs_in

HALF = {"woman": 0.5, "man": 0.5, "androgynous": 0.0}


def twin(index: int, judged: str | None) -> dict[str, object]:
    return record(index, judged, method="none", rule=None, evaluations=50)


def test_a_run_with_twins(tmp_path: Path) -> None:
    folder = write_run(
        tmp_path / "run",
        [record(0, "woman"), record(1, "man"), record(2, None)],
        twins=[twin(0, "man"), twin(1, "man"), twin(2, "man")],
        target=HALF,
    )
    found = read_run(folder, scratch=tmp_path).study
    by = {(t.source, t.attribute): t for t in found.tallies}
    assert dict(by["instructed", "gender"].counts) == {"woman": 1, "man": 1, "androgynous": 0}
    assert (by["instructed", "gender"].unknown, by["instructed", "gender"].target) == (1, HALF)
    assert (dict(by["plain", "gender"].counts)["man"], by["plain", "gender"].target) == (3, None)
    assert by["plain", "skin_tone"].counts["dark"] == 3
    assert {t.concept for t in found.tallies} == {"nurse"}
    assert ("plain", "occupation") not in by
    perceived = {(t.source, t.attribute): t for t in found.perceived}
    assert perceived["instructed", "gender"].counts["woman"] == 3
    plain, instructed = found.sources
    assert (plain.name, plain.kind, plain.ratio, instructed.ratio) == ("plain", "plain", 1.0, 2.0)
    assert instructed.facts["seeds"] == "0 to 2"
    assert instructed.facts["rule"] == "nurses"
    images = pq.read_table(folder / "records.parquet").num_rows
    table = read_run(folder, scratch=tmp_path).images
    assert table is not None
    assert table.num_rows == images
    assert all((folder / name).is_file() for name in table["file"].to_pylist())
    for sample in found.samples:
        red, _, blue = open_picture(sample.image).getpixel((0, 0))  # type: ignore[misc]
        assert sample.labels["gender"] in (None, "woman" if red > blue else "man")


def test_a_perceiver_reads_the_images_anew(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [record(0, "woman"), record(1, "man"), record(2, None)], target=HALF)
    (folder / "image-00001.png").write_bytes(b"gone bad")
    found = read_run(folder, ByColour(), perceiver_name="colour", scratch=tmp_path).study
    (tally,) = found.tallies
    assert (dict(tally.counts), tally.unknown) == ({"woman": 1, "man": 0}, 1)
    assert tally.target == {"woman": 0.5, "man": 0.5}
    assert len(found.broken) == 1
    assert found.sources[0].facts["perceiver"] == "colour"


def test_runs_of_one_concept_add_up_and_others_stay_apart(tmp_path: Path) -> None:
    for name, prompt, method in (("a", "a photo of a nurse", "semantic"), ("b", "portrait of a nurse", "semantic")):
        write_run(tmp_path / "all" / name, [record(0, "woman", prompt=prompt, method=method)], target=HALF)
    write_run(tmp_path / "all" / "c", [record(0, "man", method="prompt")], target=HALF)
    tallies = read_run(tmp_path / "all", scratch=tmp_path, attributes=["gender"]).study.tallies
    found = {(t.source, t.concept): t.counts["woman"] for t in tallies}
    assert found["instructed, semantic", "nurse"] == 2
    assert found["instructed, prompt", "nurse"] == 0


def test_phrasings_of_one_concept_are_counted_apart(tmp_path: Path) -> None:
    prompts = ("a photo of a nurse", "a photo of the face of a nurse", "a photo of a cook")
    for k, prompt in enumerate(prompts):
        rows = [record(i, ("woman", "man")[i % 2 if k else 0], prompt=prompt) for i in range(4)]
        write_run(tmp_path / "runs" / str(k), rows)
    found = read_run(tmp_path / "runs", scratch=tmp_path)
    nurse, cook = (t for t in found.study.tallies if t.attribute == "gender")
    assert nurse.phrasings == ((4, 0, 0, 0), (2, 2, 0, 0))  # woman, man, androgynous, unknown
    assert cook.phrasings == ()
    assert found.images is not None
    assert found.images["phrasing"].to_pylist() == [prompt for prompt in prompts for _ in range(4)]
    again = read_run(tmp_path / "runs", ByColour(), scratch=tmp_path)
    (nurse, *_) = again.study.tallies
    assert nurse.phrasings == ((4, 0, 0), (2, 2, 0))


def test_contradicting_targets_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "all" / "a", [record(0, "woman")], target=HALF)
    write_run(tmp_path / "all" / "b", [record(0, "woman")], target={"woman": 1.0, "man": 0.0, "androgynous": 0.0})
    with pytest.raises(ValueError, match="asks other shares of 'nurse'"):
        read_run(tmp_path / "all", scratch=tmp_path)


def test_a_joint_target_makes_a_joint_tally(tmp_path: Path) -> None:
    joint = {"woman × dark": 1.0}
    folder = write_run(tmp_path / "run", [record(0, "woman")], target=joint, attribute="gender × skin_tone")
    found = {t.attribute: t for t in read_run(folder, scratch=tmp_path).study.tallies}
    assert found["gender × skin_tone"].counts["woman × dark"] == 1
    target = found["gender × skin_tone"].target
    assert target is not None
    assert (len(target), target["woman × dark"]) == (15, 1.0)


def test_a_summary_of_other_images_than_there_are_is_told(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [record(0, "woman"), record(1, "man")])
    summary = json.loads((folder / "result.json").read_text())
    assert not any("records of them" in note for note in read_run(folder, scratch=tmp_path).study.notes)
    (folder / "result.json").write_text(json.dumps({**summary, "n": 7}))
    notes = read_run(folder, scratch=tmp_path).study.notes
    assert any("result.json tells of 7 instructed images" in note and "2 records of them" in note for note in notes)


def test_what_else_moved_is_told_of_images_with_a_twin_of_their_seed(tmp_path: Path) -> None:
    shown = [{"gender": "woman", "skin_tone": tone} for tone in ("dark", "light", "dark", "light")]
    done = [{"strength": 1.0, "reseeds": 0}, {"strength": 1.0, "reseeds": 0}, {"strength": 0.0, "reseeds": 0}]
    done.append({"strength": 1.0, "reseeds": 1})
    records = [
        {**record(k, None), "judged": judged, **how} for k, (judged, how) in enumerate(zip(shown, done, strict=True))
    ]
    plain = {"strength": 0.0, "reseeds": 0, "judged": {"gender": "man", "skin_tone": "dark"}}
    folder = write_run(tmp_path / "run", records, twins=[{**twin(k, None), **plain} for k in range(4)], target=HALF)
    summary = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**summary, "seed": 0, "requested": 4}))
    findings = read_run(folder, scratch=tmp_path)
    found = numbers(findings.study, images=findings.images)
    (moved,) = found.side_effects
    assert (moved.before, moved.after, moved.effect.attribute) == ("plain", "instructed", "skin_tone")
    assert (moved.effect.steered, moved.effect.changed) == (2, 1)
    assert "What else moved" in report(found)
    assert besides_of_study(found) == ["skin tone changed in 1 of 2 steered images (2 to 98\u00a0%)."]
    assert found.plain()["side_effects"][0]["effect"]["before"]["dark"] == 3


def test_records_inside_the_pictures_are_enough(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [record(0, "woman"), record(1, "man")])
    (folder / "records.parquet").unlink()
    (folder / "result.json").unlink()
    (tally, *_) = read_run(folder, scratch=tmp_path).study.tallies
    assert (tally.counts["woman"], tally.counts["man"]) == (1, 1)


def test_records_alone_are_enough(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [record(0, "woman"), record(1, None)])
    (tally, *_) = read_run(folder / "records.parquet", scratch=tmp_path).study.tallies
    assert (tally.counts["woman"], tally.unknown) == (1, 1)


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"prompt": 1}', '{"prompt":"a","model":"b","method":"c","audit":[1]}']
)
def test_a_damaged_summary_is_named(content: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [record(0, "woman")])
    (folder / "result.json").write_text(content)
    with pytest.raises(ValueError, match=r"result\.json is no result"):
        read_run(folder, scratch=tmp_path)


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [record(0, "woman")])
    (folder / "records.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(ValueError, match=r"records\.parquet"):
        read_run(folder, scratch=tmp_path)


def test_what_generate_writes_counts_as_generate_says(tmp_path: Path) -> None:
    arguments = ["generate", "a photo of a nurse", "-n", "6", "--steps", "4", "--method", "none", "--json"]
    made = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run")])
    said = {(row["attribute"], row["group"]): row["count"] for row in json.loads(made.stdout)["audit"]}
    tallies = read_run(tmp_path / "run", scratch=tmp_path).study.tallies
    assert {(t.attribute, group): count for t in tallies for group, count in t.counts.items()} == said


def test_a_folder_without_runs(tmp_path: Path) -> None:
    assert runs_in(tmp_path) == []
    with pytest.raises(ValueError, match="holds no records"):
        read_run(tmp_path, scratch=tmp_path)


def test_a_target_that_the_reader_cannot_tell_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [record(0, "woman")], target={"woman": 0.5, "androgynous": 0.5})
    found = read_run(folder, ByColour(), perceiver_name="colour", scratch=tmp_path).study
    assert found.tallies[0].target is None
    said = "instructed: the target of gender for nurse is not measured: colour reads no androgynous"
    assert said in found.notes
    assert said not in read_run(folder, scratch=tmp_path).study.notes
    aged = write_run(tmp_path / "aged", [record(0, "woman")], target={"old": 1.0}, attribute="age")
    notes = read_run(aged, ByColour(), perceiver_name="colour", scratch=tmp_path).study.notes
    assert "instructed: the target of age for nurse is not measured: colour reads no age" in notes


def test_a_truncated_image_is_named_and_not_shown(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [record(0, "woman"), record(1, "man")])
    bad = folder / "image-00001.png"
    bad.write_bytes(bad.read_bytes()[:-30])
    found = read_run(folder, scratch=tmp_path).study
    assert [sample.image.name for sample in found.samples] == ["image-00000.png"]
    assert [name.partition(":")[0] for name in found.broken] == [bad.name]
    save_study(found, tmp_path / "study")
    assert found.tallies[0].n == 2


def test_one_record_makes_no_run_of_a_folder_of_images(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "mixed", [record(0, "woman")])
    (folder / "records.parquet").unlink()
    (folder / "result.json").unlink()
    Image.new("RGB", (8, 8)).save(folder / "contact-sheet.png")
    assert len(runs_in(folder)) == 1
    Image.new("RGB", (8, 8)).save(folder / "other.jpg")
    assert runs_in(folder) == []


def test_images_that_are_gone_or_have_no_record_are_counted(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [record(0, "woman"), record(1, "man")])
    assert read_run(folder, scratch=tmp_path).study.notes == ["a note"]
    (folder / "image-00001.png").unlink()
    Image.new("RGB", (8, 8)).save(folder / "other.jpg")
    found = read_run(folder, scratch=tmp_path).study
    assert found.notes[1:] == [
        "1 of 2 recorded images are not there, such as image-00001.png",
        "images without a record were left out: 1, such as other.jpg",
    ]


def test_a_new_seed_does_not_part_an_image_from_its_twin(tmp_path: Path) -> None:
    records = [record(0, "woman", reseeds=0), record(1, "man", seed=900, reseeds=1)]
    twins = [{**twin(k, "man"), "reseeds": 0} for k in range(2)]
    folder = write_run(tmp_path / "run", records, twins=twins, target=HALF)
    summary = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**summary, "seed": 0, "requested": 2}))
    findings = read_run(folder, scratch=tmp_path)
    assert findings.images is not None
    assert findings.images["seed"].to_pylist() == [0, 1] * 2  # plain twins first
    (gender,) = [
        one for one in numbers(findings.study, images=findings.images).comparisons if one.attribute == "gender"
    ]
    assert (gender.paired, {row.test for row in gender.differences}) == (1, {"McNemar mid-p"})
    (folder / "result.json").unlink()  # then nothing tells which seed it was asked for
    assert read_run(folder, scratch=tmp_path).images["seed"].to_pylist()[-1] is None  # type: ignore[index]
