"""The command line: exit codes, one clear line, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fair_diffusion.cli import app

run = CliRunner()


def test_explain_prints_quotas() -> None:
    found = run.invoke(app, ["explain", "a doctor", "--instruct", "doctor: half women", "-n", "7", "--json"])
    assert found.exit_code == 0
    target = json.loads(found.stdout)["targets"][0]
    assert sum(target["quotas"].values()) == 7
    assert target["note"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", " "],
        ["explain", "x" * 40_000],
        ["explain", "a doctor", "--instruct", "doctor: 90% women, 90% men"],
        ["explain", "a doctor", "--policy", "missing.yaml"],
        ["generate", " ", "--out", "new"],
        ["generate", "a doctor", "--out", "new", "-n", "0"],
        ["generate", "a doctor", "--out", "new", "-n", "1000000000"],
        ["generate", "a doctor", "--out", "new", "--method", "magic"],
        ["generate", "a doctor", "--out", "new", "--model", "nothing"],
        ["generate", "a doctor", "--out", "full"],
    ],
)
def test_wrong_usage(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    found = run.invoke(app, arguments)
    assert found.exit_code == 2
    assert found.stderr.strip()
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "new").exists()
