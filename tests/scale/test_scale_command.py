"""`audit-suite` and `compare` with workers: the same study as in one process, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from fair_diffusion.cli import app

run = CliRunner()
WOMEN = ["--instruct", "every occupation: half women"]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "o.txt").write_text("nurse\nmechanic\njudge")
    return tmp_path


def lines(asked: list[str]) -> list[dict[str, Any]]:
    found = run.invoke(app, [*asked, "--json"])
    assert found.exit_code in (0, 3), found.output
    told: list[dict[str, Any]] = json.loads(found.stdout)["lines"]
    return told


def pictures(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    files = folder.glob("[!.]*/image-*.png")
    return {f"{path.parent.name}/{path.name}": np.asarray(Image.open(path), dtype=int) for path in files}


def test_worker_processes_draw_the_study_that_one_process_draws(files: Path) -> None:
    asked = ["audit-suite", "--suite", str(files / "o.txt"), "-n", "3", "--steps", "2", *WOMEN]
    alone = lines([*asked, "--work", str(files / "one")])
    assert lines([*asked, "--work", str(files / "two"), "--workers", "2"]) == alone
    one, two = pictures(files / "one"), pictures(files / "two")
    assert one.keys() == two.keys()
    assert len(one) == 9
    assert max(np.abs(one[name] - two[name]).max() for name in one) <= 1
    assert (files / "one" / "suite.json").read_text() == (files / "two" / "suite.json").read_text()
    again = [*asked[:4], "4", *asked[5:], "--work", str(files / "two")]
    assert {line["n"] for line in lines(again)} == {4}  # one process goes on with what workers began


def test_a_worker_draws_the_comparison_that_one_process_draws(files: Path) -> None:
    asked = ["compare", "--prompts", "a nurse", "--prompts", "a judge", "-n", "2", "--steps", "2", *WOMEN]
    asked += ["--methods", "switch", "--json"]
    alone = run.invoke(app, [*asked, "--out", str(files / "one")])
    many = run.invoke(app, [*asked, "--out", str(files / "two"), "--workers", "1"])
    assert many.exit_code == alone.exit_code == 0, many.output
    timed = ("seconds", "seconds_ratio", "memory", "kid", "kid_std", "pixels", "features")
    rows = [[json.loads(line) for line in found.stdout.splitlines()] for found in (alone, many)]
    kept = [[{name: value for name, value in row.items() if name not in timed} for row in own] for own in rows]
    assert kept[0] == kept[1]
    names = [sorted(path.name for path in (files / name / "cells").iterdir()) for name in ("one", "two")]
    assert names[0] == names[1]
    for name in names[0]:
        one, two = (pq.read_table(files / folder / "cells" / name) for folder in ("one", "two"))
        assert one["seed"] == two["seed"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "0"], "--workers 0 needs --database"),
        (["--workers", "10000"], "--workers is 10000; this machine has "),
        (["--cluster", "magic"], "--cluster is 'magic'; give local, auto, or an address such as ray://HOST:10001"),
        (["--database", "x.sqlite"], "--database is for workers; give --workers or --cluster, too"),
        (["--store", "s3://b/c"], "--store is for workers"),
        (["--workers", "1", "--gpus", "0.5"], "--gpus is for Ray"),
        (["--workers", "1", "--model", "some/model"], "'some/model' needs a perceiver and a judge"),
        (["--workers", "1", "--database", "mysql://x/y"], "give postgresql"),
        (["--workers", "1", "--store", "nothing://x"], "is no store"),
    ],
)
def test_wrong_usage_draws_nothing(options: list[str], said: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    monkeypatch.delenv("FAIR_DIFFUSION_DATABASE", raising=False)
    found = run.invoke(app, ["audit-suite", "--suite", "o.txt", "-n", "1", "--work", "work", *options])
    assert found.exit_code == 2
    assert said in found.stderr
    assert not (files / "work").exists()


def test_a_worker_that_cannot_load_the_model_says_why(files: Path) -> None:
    asked = ["audit-suite", "--suite", str(files / "o.txt"), "-n", "1", "--work", str(files / "work")]
    found = run.invoke(app, [*asked, "--workers", "1", "--judge", "faces"])
    assert found.exit_code == 2
    assert "could not be drawn: the model 'pocket' brings its perceiver and its judge; name none" in found.stderr
