"""People's labels beside a machine's: pairs counted by hand, the matrix they make, and what it may correct."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from audit_examples import ByColour, picture, put
from PIL import Image
from typer.testing import CliRunner

from fair_diffusion.audit.corrections import corrected
from fair_diffusion.audit.folder import load_study, save_study
from fair_diffusion.audit.numbers import numbers
from fair_diffusion.audit.tally import Tally
from fair_diffusion.cli import app
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.human import HumanLabels
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.readers.findings import Findings
from fair_diffusion.readers.folder import read_folder
from fair_diffusion.readers.human_labels import check_labels, with_labels
from fair_diffusion.readers.image_table import read_label_table
from fair_diffusion.statistics.prediction_powered import predict

COOKS = ["woman"] * 30 + ["man"] * 50  # as the machine reads them
SEEN = ["woman"] * 10 + ["man"] * 5 + ["man"] * 19 + ["unknown"]  # as people see the 35 in the middle: 15 to 49


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for k, group in enumerate(COOKS):
        put(tmp_path, f"photos/cook/{k:02d}.png", picture(group))
    for k in range(5):
        put(tmp_path, f"photos/nurse/{k:02d}.png", picture("woman"))
    return tmp_path / "photos"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [f"cook/{15 + k:02d}.png,gender,{said}" for k, said in enumerate(SEEN)]
    rows += ["nurse/00.png,gender,man", "gone/00.png,gender,man"]
    return put(tmp_path, "people.csv", "\n".join(["file,attribute,group", *rows]))


def read(photos: Path, table: Path, known: tuple[Confusion, ...] = ()) -> Findings:
    findings = read_folder(photos, ByColour(), perceiver_name="colour", scratch=photos)
    findings = replace(findings, study=replace(findings.study, confusions=known))
    return with_labels(findings, HumanLabels.load(table), table=table.name)


def test_pairs_are_counted_and_become_a_matrix(photos: Path, table: Path) -> None:
    study = read(photos, table).study
    cook, nurse = study.labelled
    assert (cook.concept, cook.counts) == ("cook", [[10, 0, 0], [5, 19, 0], [0, 1, 0]])
    assert (nurse.concept, nurse.counts) == ("nurse", [[0, 0, 0], [1, 0, 0], [0, 0, 0]])
    (matrix,) = study.confusions
    assert matrix.counts == [[10, 0, 0], [6, 19, 0]]
    assert matrix.measured_on == "35 of these images, as people labelled them (people.csv)"
    assert matrix.sources == ["photos"]
    assert "1 of 37 labelled files were not met, such as gone/00.png" in study.notes


def test_shares_are_those_of_predict_for_each_concept_and_not_for_all(photos: Path, table: Path) -> None:
    found = numbers(read(photos, table).study)
    cook, nurse, whole = found.predictions
    # Of the 45 other cooks the machine reads 15 as women; pairs of labels: both, people only, machine only, neither.
    expected = {"woman": predict((10, 0, 5, 20), 15, 45), "man": predict((19, 5, 1, 10), 30, 45)}
    assert (cook.labelled, cook.n) == (35, 80)
    assert {group.group: (group.estimate, group.low, group.high) for group in cook.groups} == {
        name: (share.estimate, share.low, share.high) for name, share in expected.items()
    }
    assert (nurse.groups, nurse.labelled, nurse.n) == ([], 1, 5)
    assert nurse.refused is not None
    assert "1 human labels are too few" in nurse.refused
    assert (whole.concept, whole.labelled, whole.n) == (None, 36, 85)
    # One label of the nurses says nothing of them: pooled with the cooks it would count as if they were cooks.
    assert whole.groups == []
    assert str(whole.refused).startswith("fewer than 5 images are labelled of 1 of the 2 concepts")


def test_the_matrix_corrects_only_where_no_other_is_known(photos: Path, table: Path) -> None:
    assert [one.source for one in numbers(read(photos, table).study).corrections] == ["photos"]
    counts = [[9, 1, 0], [1, 9, 0]]
    known = Confusion(
        attribute="gender", groups=["woman", "man"], counts=counts, measured_on="drawings", sources=["photos"]
    )
    study = read(photos, table, (known,)).study
    assert [one.sources for one in study.confusions] == [["photos"], []]  # shown, and used by none
    (correction,) = numbers(study).corrections
    (expected,) = numbers(replace(study, confusions=[known])).corrections
    assert correction.groups == expected.groups


def test_skipped_pictures_are_counted_by_what_the_machine_reads(photos: Path, table: Path) -> None:
    rows = table.read_text().replace("cook/15.png,gender,woman", "cook/15.png,gender,skipped")
    table.write_text(f"{rows}\ncook/79.png,gender,skipped\nnurse/01.png,gender,skipped")
    study = read(photos, table).study
    cook, nurse = study.labelled
    assert (cook.counts, cook.skipped) == ([[9, 0, 0], [5, 19, 0], [0, 1, 0]], [1, 1, 0])
    assert nurse.skipped == [1, 0, 0]
    assert "gender: people skipped 3 pictures, so shares as people see them are those among the others" in study.notes
    (found,) = [one for one in numbers(study).predictions if one.concept == "cook"]
    assert (found.labelled, found.n) == (34, 80)
    assert found.groups[0].low < 9 / 34 < found.groups[0].high


def test_what_does_not_belong_is_named(photos: Path, tmp_path: Path) -> None:
    def labels(row: str) -> HumanLabels:
        return HumanLabels.load(put(tmp_path, "other.csv", f"file,attribute,group\n{row}\n"))

    findings = read_folder(photos, ByColour(), perceiver_name="colour", scratch=tmp_path)
    for row, message in (
        ("cook/00.png,age,old", "other.csv labels age; the machine has read gender"),
        ("cook/000.png,gender,man", "no file in other.csv was audited, such as 'cook/000.png'"),
        ("cook/00.png,gender,robot", r"says 'robot' of cook/00.png.*\['woman', 'man'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            with_labels(findings, labels(row), table="other.csv")
    with pytest.raises(ValueError, match="no rows of images"):
        with_labels(Findings(findings.study), labels("cook/00.png,gender,man"), table="other.csv")


def test_a_study_shows_them_wherever_it_is_shown(photos: Path, table: Path, tmp_path: Path) -> None:
    concepts = put(
        tmp_path,
        "all.csv",
        "file,attribute,group\n" + "".join(f"cook/{k:02d}.png,gender,{g}\n" for k, g in enumerate(COOKS)),
    )
    out = tmp_path / "study"
    # The labels of the table are the machine here: people who labelled everything, and others who labelled a part.
    asked = ["audit", str(photos), "--perceiver", f"human:{concepts}", "--human-labels", str(table), "--out", str(out)]
    run = CliRunner()
    shown = run.invoke(app, asked, env={"COLUMNS": "160"})
    assert shown.exit_code == 0, shown.output
    (line,) = [one for one in numbers(read(photos, table).study).predictions[0].groups if one.group == "woman"]
    expected = f"{line.estimate:.0%} ({line.low:.0%} to {line.high:.0%})"
    assert "as people see it" in shown.stdout
    assert expected in shown.stdout
    again = json.loads(run.invoke(app, ["report", str(out), "--json"]).stdout)
    assert again["predictions"][0]["groups"][0]["estimate"] == pytest.approx(line.estimate)
    page = (out / "report.html").read_text()
    assert "35 of 80 images labelled" in page
    assert f"{100 * line.estimate:.1f}\u00a0% <small>" in page
    assert "1 human labels are too few" in page


class OfThree(ByColour):
    """Green pictures are read as androgynous."""

    groups: Mapping[str, Sequence[str]] = {"gender": ("woman", "man", "androgynous")}

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        found = super().read(images)["gender"]
        return {"gender": [Reading(one.label or "androgynous", one.confidence) for one in found]}


def test_a_group_that_nobody_used_is_left_out_of_the_matrix_and_counts_as_unknown(tmp_path: Path) -> None:
    read_as = ["woman"] * 20 + ["man"] * 20 + [None] * 5
    for k, group in enumerate(read_as):
        put(tmp_path, f"photos/cook/{k:02d}.png", picture(group))
    # people: 14 of 15 women right, one a man; 10 men right; of the 5 androgynous, 4 are women and 1 a man
    said = dict.fromkeys(range(14), "woman") | {14: "man"} | {20 + k: "man" for k in range(10)}
    said |= {40 + k: "woman" for k in range(4)} | {44: "man"}
    rows = "".join(f"cook/{k:02d}.png,gender,{group}\n" for k, group in said.items())
    table = put(tmp_path, "people.csv", "file,attribute,group\n" + rows)
    findings = read_folder(tmp_path / "photos", OfThree(), perceiver_name="colour", scratch=tmp_path)
    study = with_labels(findings, HumanLabels.load(table), table=table.name).study
    (matrix,) = study.confusions
    assert (matrix.groups, matrix.counts) == (["woman", "man"], [[14, 0, 4], [1, 10, 1]])
    assert matrix.left_out == ("androgynous",)
    assert any("no labelled image shows androgynous" in note and "the 5 images" in note for note in study.notes)
    (correction,) = numbers(study).corrections
    assert correction.refused is None
    whole = Tally(source="photos", concept="all", attribute="gender", counts={"woman": 20, "man": 20}, unknown=5)
    assert correction.groups == corrected(whole, matrix)
    save_study(study, tmp_path / "study")
    assert numbers(load_study(tmp_path / "study")).corrections == [correction]
    assert correction.n == 45
    assert sum(line.corrected for line in correction.groups) == pytest.approx(1)


def test_labels_of_one_group_alone_correct_nothing(photos: Path, tmp_path: Path) -> None:
    table = put(tmp_path, "one.csv", "file,attribute,group\ncook/00.png,gender,woman\n")
    (correction,) = numbers(read(photos, table).study).corrections
    assert correction.refused is not None
    assert "no image of 'man'" in correction.refused


def test_labelling_again_replaces(photos: Path, table: Path, tmp_path: Path) -> None:
    first = read(photos, table)
    rows = "".join(f"cook/{k:02d}.png,gender,{g}\n" for k, g in enumerate(COOKS))
    other = put(tmp_path, "all.csv", "file,attribute,group\n" + rows)
    study = with_labels(first, HumanLabels.load(other), table=other.name).study
    assert [(one.concept, one.table) for one in study.labelled] == [("cook", "all.csv")]
    (matrix,) = study.confusions
    assert (matrix.counts, matrix.sources) == ([[30, 0, 0], [0, 50, 0]], ["photos"])
    assert "the labels in all.csv replace those in people.csv" in study.notes
    assert [one.labelled for one in numbers(study).predictions] == [80]


def test_labels_are_checked_against_a_reader_before_it_reads(tmp_path: Path) -> None:
    labels = HumanLabels.load(
        put(tmp_path, "l.csv", "file,attribute,group\na.png,gender,androgynous\nb.png,gender,man\n")
    )
    with pytest.raises(ValueError, match=r"l.csv says 'androgynous' of a.png.*\['woman', 'man'\]"):
        check_labels(labels, ByColour.groups, table="l.csv")
    check_labels(labels, ByColour.groups, table="l.csv", files=["b.png"])
    with pytest.raises(ValueError, match=r"l\.csv labels gender; the machine has read age"):
        check_labels(labels, {"age": ("old",)}, table="l.csv")


def test_labels_that_were_drawn_by_uncertainty_do_not_count_alike(photos: Path, tmp_path: Path) -> None:
    """Pictures of another concept may have another probability: a concept counts by its own images."""
    rows = [f"cook/{k:02d}.png,gender,man,cook,{'0.5' if k else '{}'}" for k in range(3)]
    text = "\n".join(["file,attribute,group,concept,probability", *rows, "nurse/00.png,gender,man,nurse,1"])
    uneven = put(tmp_path, "uneven.csv", text.replace("{}", "0.25"))
    with pytest.raises(ValueError, match=r"uneven.csv has probabilities from 0\.25 to 0\.5 for gender, and an audit"):
        read(photos, uneven)
    with pytest.raises(ValueError, match=r"uneven.csv has probabilities from 0\.25 to 0\.5"):
        read_label_table(uneven)
    even = put(tmp_path, "even.csv", text.replace("{}", "0.5"))
    assert [one.concept for one in read(photos, even).study.labelled] == ["cook", "nurse"]
    assert len(read_label_table(even).study.tallies) == 2
