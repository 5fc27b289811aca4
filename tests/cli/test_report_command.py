"""`fair-diffusion report`: exit codes, one clear line, a page whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from fair_diffusion.audit.folder import save_study
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.cli import app

run = CliRunner()
COUNTS = "prompt,attribute,group,count,source\ncook,gender,woman,2,data\ncook,gender,man,8,data\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "counts.csv").write_text(COUNTS + "cook,gender,woman,1,plain\ncook,gender,man,9,plain\n")
    for name in ("before", "after"):
        tally = Tally(source="plain", concept="cook", attribute="gender", counts={"woman": 5, "man": 5})
        save_study(Study(title=name, sources=[Source(name="plain")], tallies=[tally]), tmp_path / name / "study")
    return tmp_path


def test_a_page_is_written_and_never_over_another(here: Path) -> None:
    found = run.invoke(app, ["report", "counts.csv"])
    assert (found.exit_code, found.stdout) == (0, "wrote report.html\n")
    page = (here / "report.html").read_text()
    assert "For “cook”, data images deviate 0.30 from an even split of women and men; plain 0.40." in page
    found = run.invoke(app, ["report", "counts.csv", "--title", "other"])
    assert found.exit_code == 2
    assert found.stderr == "report.html exists; name another with --out, or write over it with --force\n"
    assert (here / "report.html").read_text() == page
    assert run.invoke(app, ["report", "counts.csv", "--title", "other", "--force"]).exit_code == 0
    assert "<h1>other</h1>" in (here / "report.html").read_text()
    assert not list(here.glob(".*"))


def test_numbers_are_printed_and_no_page_written(here: Path) -> None:
    found = run.invoke(app, ["report", "counts.csv", "--json"])
    assert found.exit_code == 0
    plain = json.loads(found.stdout)
    assert [(line["source"], line["share"]) for line in plain["lines"]] == [
        ("data", 0.2),
        ("data", 0.8),
        ("plain", 0.1),
        ("plain", 0.9),
    ]
    assert plain["reference"] == "data"
    assert plain["corrections"] == []
    (comparison,) = plain["comparisons"]
    assert (comparison["before"], comparison["after"], comparison["attribute"]) == ("data", "plain", "gender")
    assert [(row["group"], row["n_after"], round(row["difference"], 9)) for row in comparison["differences"]] == [
        ("woman", 10, -0.1),
        ("man", 10, 0.1),
    ]
    assert not list(here.glob("*.html"))
    found = run.invoke(app, ["report", "counts.csv", "--json", "--out", "page.html"])
    assert json.loads(found.stdout) == plain
    assert (here / "page.html").is_file()


def test_two_runs_are_called_by_what_tells_them_apart(here: Path) -> None:
    found = run.invoke(app, ["report", "before/study", "after/study", "--json"])
    assert found.exit_code == 0
    plain = json.loads(found.stdout)
    assert [one["source"] for one in plain["deviations"]] == ["before/study: plain", "after/study: plain"]
    assert plain["title"] == "before and after"


def test_two_studies_with_the_same_seeds_are_tested_pair_by_pair(here: Path) -> None:
    for name, kind, women in (("one", "plain", 2), ("two", "instructed", 9)):
        labels = ["woman"] * women + ["man"] * (20 - women)
        told = {"source": kind, "concept": "cook", "gender_confidence": 0.9}
        rows = [{**told, "file": f"{k}.png", "seed": k, "gender": label} for k, label in enumerate(labels)]
        counts = {"woman": women, "man": 20 - women}
        tally = Tally(source=kind, concept="cook", attribute="gender", counts=counts)
        made = Study(title=name, sources=[Source(name=kind, kind=kind)], tallies=[tally])
        save_study(made, here / name, pa.Table.from_pylist(rows))
    found = run.invoke(app, ["report", "one", "two", "--json"])
    (comparison,) = json.loads(found.stdout)["comparisons"]
    assert (comparison["before"], comparison["after"], comparison["paired"]) == ("plain", "instructed", 1)
    assert {row["test"] for row in comparison["differences"]} == {"McNemar mid-p"}
    assert comparison["differences"][0]["p"] == pytest.approx(0.5**7)  # all 7 that changed became women
    assert run.invoke(app, ["report", "one", "two"]).exit_code == 0
    page = (here / "report.html").read_text()
    assert "McNemar&#39;s mid-p test, paired: image by image of the same seed" in page
    assert "Fisher" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is not there"),
        (["before"], "before holds studies and no images; `fair-diffusion report before/study` shows them"),
        (["nowhere.csv"], "nowhere.csv is not there"),
        (["before/study", "./before/study"], "given twice"),
        (["counts.csv", "--reference", "x"], "no source 'x'"),
        (["counts.csv", "--tolerance", "7"], "tolerance is 7"),
        (["counts.csv", "--out", "nowhere/page.html"], "nowhere/page.html cannot be written"),
        (["counts.csv", "--out", "before"], "before exists"),
        (["counts.csv", "--out", "before", "--force"], "before cannot be written"),
        (["before/study/study.json"], "cannot be audited; name a run"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, here: Path) -> None:
    before = sorted(here.rglob("*"))
    found = run.invoke(app, ["report", *arguments])
    assert found.exit_code == 2
    assert message in found.stderr
    assert found.stderr.count("\n") == 1
    assert not found.stdout
    assert sorted(here.rglob("*")) == before


def test_numbers_as_tables_in_a_new_folder(here: Path) -> None:
    asked = ["report", "counts.csv", "--tables", "tables", "--json"]
    found = run.invoke(app, asked)
    assert found.exit_code == 0, found.output
    lines = pq.read_table(here / "tables" / "lines.parquet").to_pylist()
    assert lines == json.loads(found.stdout)["lines"]
    assert {path.name for path in (here / "tables").iterdir()} == {
        f"{name}.{ending}" for name in ("lines", "deviations", "impact") for ending in ("parquet", "csv")
    }
    again = run.invoke(app, asked)
    assert again.exit_code == 2
    assert "not empty" in again.stderr
