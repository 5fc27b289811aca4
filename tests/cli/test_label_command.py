"""`fair-diffusion label`: from pictures to a table that an audit reads; Ctrl-C; going on; and what is refused."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from PIL import Image
from typer.testing import CliRunner

from fair_diffusion import FairPipeline
from fair_diffusion.cli import app
from fair_diffusion.perception.human import HumanLabels
from fair_diffusion.policy import built_in
from fair_diffusion.readers.to_label import pictures_to_label


def _pictures(folder: Path, count: int = 4) -> Path:
    for k in range(count):
        (folder / "nurse").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (k, 9, 9)).save(folder / "nurse" / f"{k}.{'bmp' if k == 0 else 'png'}")
    return folder


@contextmanager
def _labelling(*words: str) -> Iterator[tuple[httpx2.Client, str, subprocess.Popen[str]]]:
    """The command while it runs: a client that is signed in, the address of the set, and the process."""
    command = [sys.executable, "-m", "fair_diffusion.cli", "label", *words, "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/studio/\S+", process.stdout.readline())
        assert found, process.communicate()[1]
        with httpx2.Client(follow_redirects=True, timeout=60) as http:
            page = http.get(found[0])
            assert page.status_code == 200
            proof = re.search(r'name="proof" value="([^"]+)"', page.text)
            assert proof
            http.headers |= {"x-proof": proof[1], "accept": "application/json"}
            at = str(page.url).partition("?")[0].replace("/studio/label/", "/studio/v1/label/sets/")
            yield http, at, process
    finally:
        process.kill()
        process.communicate()


def _rate(http: httpx2.Client, at: str, answer: str, count: int) -> None:
    version = http.get(f"{at}/guideline").json()["version"]
    assert http.post(f"{at}/consent", json={"guideline": version}).status_code == 200
    for _ in range(count):
        (task,) = http.post(f"{at}/next").json()["data"]
        assert http.get(f"{at}/pictures/{task['image']}").status_code == 200
        given = {"image": task["image"], "answer": answer, "guideline": version}
        assert http.post(f"{at}/labels", json=given).status_code == 201


def test_labels_become_a_table_and_go_on_another_time(tmp_path: Path) -> None:
    folder = _pictures(tmp_path / "pictures")
    table = tmp_path / "pictures.labels" / "labels.csv"
    with _labelling(str(folder), "--rater", "maria") as (http, at, process):
        _rate(http, at, "woman", 2)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert f"2 labels stand in {table}" in said
    assert len(HumanLabels.load(table).files) == 2
    (folder / "nurse" / "1.png").rename(folder / "moved.png")
    with _labelling(str(folder), "--rater", "ben") as (http, again, process):
        assert again.rpartition("/")[2] == at.rpartition("/")[2], "the same pictures are the same set"
        _rate(http, again, "man", 2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    labels = HumanLabels.load(table).votes["gender"]
    assert (
        sorted(next(iter(said.items())) for said in labels.values()) == [("ben", "man")] * 2 + [("maria", "woman")] * 2
    )
    assert {file.partition("/")[0] for file in labels} == {"nurse"}


def test_an_audit_takes_what_was_labelled_of_a_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    FairPipeline.from_pretrained("pocket")("a photo of a nurse", n=4, seed=1, steps=2).save(run)
    pictures = pictures_to_label(run, built_in()["gender"])
    assert [each.file.path for each in pictures] == [f"image-{k:05d}.png" for k in range(4)]
    assert {each.reading for each in pictures} <= {"woman", "man", None}
    assert {each.concept for each in pictures} == {"nurse"}
    with _labelling(str(run)) as (http, at, process):
        _rate(http, at, "woman", 4)
        assert http.get(f"{at}/progress").json()["labelled"] == 4
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    table = tmp_path / "run.labels" / "labels.csv"
    told = CliRunner().invoke(app, ["audit", str(run), "--human-labels", str(table), "--out", str(tmp_path / "study")])
    assert told.exit_code in (0, 3), told.output
    made = CliRunner().invoke(app, ["calibrate", str(table), str(run), "--out", str(tmp_path / "calibration.json")])
    assert made.exit_code == 0, made.output


def test_a_kill_loses_no_label(tmp_path: Path) -> None:
    folder = _pictures(tmp_path / "pictures")
    with _labelling(str(folder)) as (http, at, process):
        _rate(http, at, "woman", 3)
        process.kill()
        process.communicate()
    with _labelling(str(folder)) as (http, at, _):
        assert http.get(f"{at}/progress").json()["labelled"] == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "nothing is not there"),
        (["empty"], "holds no pictures"),
        (["counts.csv"], "is no folder of pictures"),
        (["pictures", "--attribute", "gendre"], "did you mean 'gender'?"),
        (["pictures", "--rater", " "], "name of a key"),
    ],
)
def test_what_cannot_be_labelled_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _pictures(tmp_path / "pictures")
    (tmp_path / "empty").mkdir()
    (tmp_path / "counts.csv").write_text("source,concept,attribute,group,count\nm,nurse,gender,woman,1\n")
    told = CliRunner().invoke(app, ["label", *words, "--no-browser"])
    assert told.exit_code == 2
    assert said in told.output


def test_a_broken_picture_is_left_out(tmp_path: Path) -> None:
    folder = _pictures(tmp_path / "pictures")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with _labelling(str(folder)) as (http, at, process):
        assert http.get(at).json()["pictures"] == 4
        process.kill()
        assert "broken.png was left out" in process.communicate()[1]


def test_the_table_has_the_labels_of_all_questions(tmp_path: Path) -> None:
    folder = _pictures(tmp_path / "pictures")
    for words, answer in (([], "woman"), (["--attribute", "skin_tone"], "dark")):
        with _labelling(str(folder), *words) as (http, at, process):
            _rate(http, at, answer, 2)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
    votes = HumanLabels.load(tmp_path / "pictures.labels" / "labels.csv").votes
    assert {name: len(files) for name, files in votes.items()} == {"gender": 2, "skin_tone": 2}
