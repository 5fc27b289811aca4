"""`audit` and `perceiver train`: exit codes, one clear line, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from audit_examples import record, write_run
from PIL import Image
from typer.core import TyperGroup
from typer.testing import CliRunner

from fair_diffusion.cli import app
from fair_diffusion.cli.audit_options import FITS, KINDS, check_options
from fair_diffusion.readers.target import Kind

run = CliRunner()
HEAD = "prompt,attribute,group,count,source,target\n"
COUNTS = (
    HEAD
    + "nurse,gender,woman,90,plain,\nnurse,gender,man,10,plain,\ncook,gender,woman,5,plain,\ncook,gender,man,9,plain,\n"
)
MISSED = HEAD + "nurse,gender,woman,90,instructed,0.5\nnurse,gender,man,10,instructed,0.5\n"
MET = HEAD + "nurse,gender,woman,5000,instructed,0.5\nnurse,gender,man,5000,instructed,0.5\n"


def put(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def audited(*arguments: str, code: int = 0) -> Any:
    found = run.invoke(app, ["audit", *arguments, "--json"])
    assert found.exit_code == code, found.stderr
    return json.loads(found.stdout)


def test_counts_become_lines_deviations_and_a_study(tmp_path: Path) -> None:
    out = tmp_path / "study"
    found = audited(put(tmp_path / "t.csv", COUNTS), "--out", str(out))
    assert [(line["concept"], line["group"], line["share"]) for line in found["lines"][:2]] == [
        ("nurse", "woman", 0.9),
        ("nurse", "man", 0.1),
    ]
    assert found["deviations"][0]["concepts"] == 2
    assert {path.name for path in out.iterdir()} >= {"study.json", "tallies.csv", "lines.csv", "report.html"}
    assert "nurse" in (out / "report.html").read_text(encoding="utf-8")
    again = audited(str(out))
    assert again["lines"] == found["lines"]


def test_a_target_that_is_missed_is_exit_code_3(tmp_path: Path) -> None:
    audited(put(tmp_path / "a.csv", MISSED), code=3)
    audited(put(tmp_path / "b.csv", MET))
    audited(put(tmp_path / "c.csv", COUNTS))  # nothing was asked
    audited(put(tmp_path / "d.csv", MET + COUNTS.removeprefix(HEAD)))  # only the plain images miss


def test_what_nobody_could_read_is_not_compared(tmp_path: Path) -> None:
    labour = put(tmp_path / "labour.csv", HEAD + "nurse,gender,woman,50,labour,\nnurse,gender,man,50,labour,\n")
    unread = put(tmp_path / "t.csv", COUNTS.replace("nurse", "pilot") + "nurse,gender,unknown,5,plain,\n")
    shown = run.invoke(app, ["audit", unread, "--reference", labour])
    assert shown.exit_code == 0, shown.stderr
    assert "None" not in shown.stdout


def test_a_reference_says_amplified(tmp_path: Path) -> None:
    labour = put(
        tmp_path / "labour.csv", "prompt,attribute,group,count\nNurses,gender,woman,75\nNurses,gender,man,25\n"
    )
    found = audited(put(tmp_path / "t.csv", COUNTS), "--reference", labour)
    lines = {(line["source"], line["concept"], line["group"]): line for line in found["lines"]}
    assert lines["plain", "nurse", "woman"]["relation"] == "amplified"
    assert lines["plain", "cook", "woman"]["relation"] is None
    shown = run.invoke(app, ["audit", put(tmp_path / "t.csv", COUNTS), "--reference", labour])
    assert "amplified" in shown.stdout


def test_a_reference_may_be_a_source_of_the_target_itself(tmp_path: Path) -> None:
    rows = "nurse,gender,woman,75,laion,\nnurse,gender,man,25,laion,\n"
    found = audited(put(tmp_path / "t.csv", COUNTS + rows), "--reference", "laion")
    assert found["reference"] == "laion"
    relations = {(line["source"], line["concept"], line["group"]): line["relation"] for line in found["lines"]}
    assert relations["plain", "nurse", "woman"] == "amplified"
    assert relations["laion", "nurse", "woman"] is None
    shown = run.invoke(app, ["audit", str(tmp_path / "t.csv"), "--reference", "laoin"])
    assert (shown.exit_code, "its sources: plain, laion" in shown.stderr) == (2, True)


def test_a_table_with_every_column_fits_a_terminal_and_names_stay(tmp_path: Path) -> None:
    labour = put(
        tmp_path / "labour.csv", "prompt,attribute,group,count\nnurse,gender,woman,300\nnurse,gender,man,200\n"
    )
    shown = run.invoke(app, ["audit", put(tmp_path / "t.csv", MISSED), "--reference", labour])
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines]
    shares = ["90%", "(83%", "to", "95%)"]
    assert ["nurse", "woman", "50%", "90", "/", "100", *shares, "misses", "amplified"] in [row[:12] for row in rows]


def test_a_folder_of_skin_with_a_broken_picture(tmp_path: Path) -> None:
    folder = tmp_path / "[red]photos"
    for concept, colour in (("nurse", "#eadaba"), ("cook", "#604134")):
        (folder / concept).mkdir(parents=True)
        for k in range(3):
            Image.new("RGB", (32 + k, 32), colour).save(folder / concept / f"{k}.png")
    (folder / "cook" / "[bold]bad.png").write_bytes(b"\x89PNG")
    found = audited(str(folder), "--perceiver", "skin_tone", "--out", str(tmp_path / "s"))
    counts = {(line["concept"], line["group"]): line["count"] for line in found["lines"] if line["count"]}
    assert counts == {("nurse", "monk 04"): 3, ("cook", "monk 08"): 3}
    assert len(found["broken"]) == 1
    assert len(list((tmp_path / "s" / "samples").iterdir())) == 6
    shown = run.invoke(app, ["audit", str(folder), "--perceiver", "skin_tone"])
    assert "1 files could not be read and are in no share" in shown.stdout
    assert "[bold]bad.png" in shown.stdout
    assert "[red]photos" in shown.stdout


def test_human_labels_and_how_far_they_agree(tmp_path: Path) -> None:
    (tmp_path / "photos" / "nurse").mkdir(parents=True)
    said = ["file,attribute,group,rater"]
    for k in range(4):
        Image.new("RGB", (8, 8 + k)).save(tmp_path / "photos" / "nurse" / f"{k}.png")
        said += [
            f"nurse/{k}.png,gender,{'man' if k < 2 else 'woman'},a",
            f"nurse/{k}.png,gender,{'man' if k < 2 else 'woman'},b",
        ]
    found = audited(str(tmp_path / "photos"), "--perceiver", f"human:{put(tmp_path / 'l.csv', chr(10).join(said))}")
    assert {line["group"]: line["count"] for line in found["lines"]} == {"woman": 2, "man": 2, "androgynous": 0}
    assert any("1.00" in note and "2 raters" in note for note in found["notes"])


def test_80_characters_are_enough_for_what_people_see(tmp_path: Path) -> None:
    groups = ["woman", "man"] * 20
    folder = write_run(
        tmp_path / "run", [record(k, group) for k, group in enumerate(groups)], target={"woman": 0.5, "man": 0.5}
    )
    rows = [f"image-{k:05d}.png,gender,{group}" for k, group in enumerate(["man", *groups[1:34]])]
    labels = put(tmp_path / "labels.csv", "\n".join(["file,attribute,group", *rows]))
    asked = ["audit", str(folder), "--human-labels", str(labels), "--out", str(tmp_path / "study")]
    shown = run.invoke(app, asked, env={"COLUMNS": "80"})
    assert shown.exit_code == 0, shown.output
    head, first, second = (line for line in shown.stdout.splitlines() if "verdict" in line or "cannot" in line)
    assert head.split() == ["concept", "group", "target", "count", "(95", "%)", "see", "it", "verdict"]
    assert first.endswith(" cannot tell")
    assert second.endswith(" cannot tell")
    assert shown.stdout.count(" (people)") == 2


def test_train_then_audit(tmp_path: Path) -> None:
    for group, (r, g, b) in (("woman", (190, 20, 20)), ("man", (20, 20, 190))):
        (tmp_path / "labelled" / group).mkdir(parents=True)
        for k in range(15):
            shade = Image.new("RGB", (16, 16), (r + 4 * k, g + (7 * k) % 40, b + (11 * k) % 60))
            shade.save(tmp_path / "labelled" / group / f"{k}.png")
    arguments = ["perceiver", "train", str(tmp_path / "labelled"), "--side", "16", "--epochs", "30"]
    trained = run.invoke(app, [*arguments, "--out", str(tmp_path / "reader"), "--json"])
    assert trained.exit_code == 0, trained.stderr
    assert json.loads(trained.stdout)["confusion"] == [[3, 0, 0], [0, 3, 0]]
    out = tmp_path / "study"
    audited(str(tmp_path / "labelled"), "--perceiver", f"trained:{tmp_path / 'reader'}", "--out", str(out))
    (confusion,) = json.loads((out / "study.json").read_text())["confusions"]
    assert confusion["counts"] == [[3, 0, 0], [0, 3, 0]]
    assert confusion["sources"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument 'TARGET'"),
        (["gone"], "gone is not there"),
        (
            ["t.csv", "--perceiver", "pocket"],
            "--perceiver does not go with a table of counts, only with a run, a dataset or a folder of images; leave",
        ),
        (["t.csv", "--until", "5"], "No such option: --until"),
        (
            ["t.csv", "--concepts", "t.csv"],
            "--concepts does not go with a table of counts, only with a folder of images",
        ),
        (["photos", "--suite", "occupations"], "No such option: --suite"),
        (["photos"], "name a perceiver"),
        (["photos", "--perceiver", "magic"], "unknown perceiver 'magic'"),
        (["photos", "--perceiver", "clip"], "names no model or file"),
        (["photos", "--perceiver", "skin_tone:pantone"], "unknown scale 'pantone'"),
        (["t.csv", "--out", "photos"], "not empty"),
        (["t.csv", "--reference", "gone.csv"], "gone.csv is not there"),
        (["t.csv", "--attribute", "hair"], "nothing was read of 'hair'"),
        (["t.csv", "--human-labels", "t.csv"], "--human-labels does not go with a table of counts"),
        (
            ["photos", "--perceiver", "skin_tone", "--human-labels", "gone.csv"],
            "gone.csv cannot be used (No such file or directory)",
        ),
        (["x.pkl"], "could run code"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "t.csv", COUNTS)
    put(tmp_path / "x.pkl", "")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 8)).save("photos/nurse-1.png")
    found = run.invoke(app, ["audit", *arguments])
    assert found.exit_code == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "arguments",
    [["--model", "pocket", "--suite", "occupations", "-n", "2", "--out", "new"], ["t.csv", "--model=pocket"]],
)
def test_models_have_moved_to_audit_suite(arguments: list[str]) -> None:
    found = run.invoke(app, ["audit", *arguments])
    assert found.exit_code == 2
    assert "the verb that audits a model is now audit-suite" in found.stderr
    assert found.stderr.count("\n") == 1


def test_every_option_is_for_all_kinds_or_listed() -> None:
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    names = {parameter.name for parameter in command.commands["audit"].params} - {"target", "help"}
    assert names - FITS.keys() == {"reference", "attribute", "out", "as_json"}
    assert FITS.keys() <= names
    assert {kind for kinds in FITS.values() for kind in kinds} <= KINDS.keys() == {*get_args(Kind)}
    with pytest.raises(ValueError, match="--concepts") as error:
        check_options(["quality_reference", "concepts", "out"], "study")
    assert [line.split()[0] for line in str(error.value).splitlines()] == ["--concepts", "--quality-reference"]


def test_audit_and_train_take_definitions(tmp_path: Path) -> None:
    table = put(tmp_path / "t.csv", "prompt,glasses,no_glasses\nnurse,3,7\n")
    shown = run.invoke(app, ["audit", table, "--define", "glasses", "--json"])
    assert shown.exit_code == 0, shown.stderr
    assert {line["group"] for line in json.loads(shown.stdout)["lines"]} == {"glasses", "no glasses"}
    labelled = tmp_path / "labelled"
    for k, name in enumerate(("No_glasses", "spectacles")):
        (labelled / name).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (16, 16), (200 * k, 0, 0)).save(labelled / name / f"{i}.png")
    arguments = ["perceiver", "train", str(labelled), "--attribute", "glasses", "--define", "glasses", "--side", "16"]
    trained = run.invoke(app, [*arguments, "--epochs", "1", "--out", str(tmp_path / "reader"), "--json"])
    assert trained.exit_code == 0, trained.stderr
    assert json.loads(trained.stdout)["groups"] == ["glasses", "no glasses"]
    reader = f"trained:{tmp_path / 'reader'}"
    refused = run.invoke(app, ["audit", str(labelled), "--perceiver", reader, "--define", "glasses"])
    assert refused.exit_code == 2
    assert "as in clip:MODEL,glasses" in refused.stderr
    wrong = run.invoke(app, ["audit", table, "--define", "glases"])
    assert wrong.exit_code == 2
    assert "did you mean 'glasses'" in wrong.stderr
