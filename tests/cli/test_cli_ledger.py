"""`fair-diffusion ledger`: what it prints, asks and refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fair_diffusion.allocation.ledger import Ledger
from fair_diffusion.cli import app
from fair_diffusion.policy.target import Cell, uniform

run = CliRunner(env={"COLUMNS": "120"})
GENDER = uniform("gender")
WOMAN: Cell = ("woman",)
MAN: Cell = ("man",)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Nurses: 8 asked, of which one woman was seen as a man and one image as nobody; and a doctor under way."""
    file = tmp_path / "ledger.sqlite"
    ledger = Ledger(file)
    turn = ledger.reserve(rule="nurse [/b]", target=GENDER, n=8, model="pocket")
    asked: list[Cell] = [WOMAN] * 4 + [MAN] * 4
    seen: list[Cell | None] = [MAN, *asked[1:7], None]
    ledger.settle(turn, assigned=asked, perceived=seen, judged=asked)
    ledger.reserve(rule="doctor", target=uniform("skin_tone"), n=5, model="pocket")
    return file


def test_show_prints_each_stream_as_a_table(file: Path) -> None:
    shown = run.invoke(app, ["ledger", "show", str(file)])
    assert shown.exit_code == 0
    lines = [line.split() for line in shown.stdout.splitlines() if line.strip()]
    assert ["nurse", "[/b]:", "gender", "by", "pocket,", "8", "images"] in lines
    # The unknown man counts as a man: with the woman who came out as one, five of eight.
    assert ["woman", "50", "%", "4", "3", "4", "50.0%", "0", "+1.0"] in lines
    assert ["man", "50", "%", "4", "4", "4", "50.0%", "0", "-1.0"] in lines
    assert ["unknown", "1", "0", "0.0%"] in lines
    assert ["dark", "20", "%", "0", "0", "0", "1", "+0.0"] in lines
    assert "androgynous" not in shown.stdout


def test_show_as_json(file: Path) -> None:
    rows = json.loads(run.invoke(app, ["ledger", "show", str(file), "--json"]).stdout)
    assert len(rows) == 8
    assert rows[0] == {
        "stream": 1,
        "rule": "nurse [/b]",
        "model": "pocket",
        "attributes": "gender",
        "group": "woman",
        "share": 0.5,
        "asked": 4,
        "perceived": 3,
        "judged": 4,
        "pending": 0,
        "deficit": 1.0,
        "n": 8,
    }


def test_reset_forgets_one_rule_or_all(file: Path) -> None:
    found = run.invoke(app, ["ledger", "reset", str(file), "--rule", "doctor", "--yes"])
    assert (found.exit_code, found.stdout) == (0, f"forgot 1 stream of {file}\n")
    assert {row.rule for row in Ledger(file).rows()} == {"nurse [/b]"}
    assert run.invoke(app, ["ledger", "reset", str(file), "--yes"]).exit_code == 0
    assert Ledger(file).rows() == []
    assert run.invoke(app, ["ledger", "show", str(file)]).stdout == "no images yet\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "missing.sqlite"], "missing.sqlite does not exist; "),
        (["reset", "missing.sqlite", "--yes"], "missing.sqlite does not exist; "),
        (["show", "notes.txt"], "notes.txt: it is a file of another kind; name another file"),
        (["show", "."], ".: it cannot be opened; name a file in a folder where you may write"),
        (["reset", "ledger.sqlite"], "nobody is there to ask; add --yes to forget the counts"),
        (["reset", "ledger.sqlite", "--yes", "--rule", "docter"], "no rule 'docter'; did you mean 'doctor'?"),
    ],
)
def test_wrong_usage_is_one_line_and_changes_nothing(
    arguments: list[str], message: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    Path("notes.txt").write_text("notes " * 1000)
    before = Ledger(file).rows()
    found = run.invoke(app, ["ledger", *arguments])
    assert found.exit_code == 2
    assert message in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert sorted(path.name for path in Path().iterdir()) == ["ledger.sqlite", "notes.txt"]
    assert Ledger(file).rows() == before


@pytest.mark.parametrize(("answer", "left"), [("n", 8), ("y", 0)])
def test_reset_asks_a_person_at_a_terminal(answer: str, left: int, file: Path) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(ours, "wb", buffering=0) as keyboard:
        command = [sys.executable, "-c", "from fair_diffusion.cli import app; app()", "ledger", "reset", str(file)]
        keyboard.write(f"{answer}\n".encode())
        found = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=600, check=False)
        os.close(theirs)
    assert found.returncode == 0
    assert f"Forget the counts of every rule in {file}? [y/N]" in found.stdout
    assert found.stderr == ""
    assert len(Ledger(file).rows()) == left


def test_the_other_verbs_do_not_wait_for_the_database_library() -> None:
    code = "import sys, fair_diffusion.cli; sys.exit('sqlalchemy' in sys.modules or 'alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_stream_of_one_image_says_so(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "one.sqlite")
    turn = ledger.reserve(rule="nurse", target=GENDER, n=1, model="pocket")
    ledger.settle(turn, assigned=[WOMAN], perceived=[WOMAN], judged=[WOMAN])
    shown = run.invoke(app, ["ledger", "show", str(tmp_path / "one.sqlite")])
    assert shown.stdout.splitlines()[0].rstrip() == "nurse: gender by pocket, 1 image"
