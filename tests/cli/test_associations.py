"""The verb `associations`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fair_diffusion.cli import app
from fair_diffusion.cli.associations import members
from fair_diffusion.policy.minilm import embed
from fair_diffusion.statistics.association import association

run = CliRunner()
X, Y = "engineer, carpenter, pilot", "nurse, teacher, dancer"
A, B = "man, he, father", "woman, she, mother"


def test_words_are_tested(tmp_path: Path) -> None:
    (tmp_path / "y.txt").write_text("nurse\n\n teacher \ndancer\n", encoding="utf-8-sig")
    found = run.invoke(app, ["associations", "--x", X, "--y", str(tmp_path / "y.txt"), "--a", A, "--b", B, "--json"])
    assert found.exit_code == 0
    printed = json.loads(found.stdout)
    sets = [embed(words.split(", ")) for words in (X, Y, A, B)]
    expected = association(*sets)
    assert printed["sets"]["Y"] == ["nurse", "teacher", "dancer"]
    assert printed["effect"] == pytest.approx(expected.effect)
    assert printed["p"] == expected.p == 0.05
    assert (printed["exact"], printed["partitions"], printed["encoder"]) == (True, 20, "minilm")


def test_a_person_reads_the_effect_and_every_target(tmp_path: Path) -> None:
    found = run.invoke(app, ["associations", "--x", X, "--y", Y, "--a", A, "--b", B])
    assert found.exit_code == 0
    assert "effect size d = +1." in found.stdout
    assert "p = 0.05 over 20 partitions (all)" in found.stdout
    assert all(word in found.stdout for word in (X + ", " + Y).split(", "))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--x": "empty"}, "X has 0 images in empty: the test needs at least 2"),
        ({"--x": "engineer, pilot"}, "X has 2 members and Y 3: the test needs as many in both"),
        ({"--a": "man,"}, "A has 1 words: the test needs at least 2"),
        ({"--a": "missing.txt"}, "A is 'missing.txt', which is no folder, no file and has no comma"),
        ({"--b": "binary.txt"}, "binary.txt is not text in UTF-8"),
        ({"--b": "woman, she, woman"}, "B names 'woman' twice"),
        ({"--y": "nurse, teacher, pilot"}, "'pilot' is in X and in Y"),
        ({"--x": "pictures", "--y": "pictures"}, "minilm reads words only"),
        ({"--encoder": "no/such/model"}, "'no/such/model' cannot be loaded"),
        ({"--x": "x" * 5000}, "which is no folder"),
    ],
)
def test_wrong_usage(change: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "pictures").mkdir()
    for k in range(3):
        Image.fromarray(np.full((8, 8), k, dtype=np.uint8)).save(tmp_path / "pictures" / f"{k}.png")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00wo")
    options = {"--x": X, "--y": Y, "--a": A, "--b": B} | change
    found = run.invoke(app, ["associations", *(part for option in options.items() for part in option)])
    assert found.exit_code == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr


def test_the_sheet_of_a_run_is_no_member(tmp_path: Path) -> None:
    for name in ("000.png", "001.png", "contact-sheet.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "inner").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "inner" / "002.png")
    assert list(members("x", str(tmp_path)).names) == ["000.png", "001.png", "inner/002.png"]
