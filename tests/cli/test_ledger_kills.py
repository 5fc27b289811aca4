"""The ledger never counts images that nobody gets, whatever ends `generate`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import killed_generate
import pytest
from typer.testing import CliRunner

from fair_diffusion.allocation.ledger import LEASE, Ledger
from fair_diffusion.cli import app
from fair_diffusion.result import Result


def test_killed_at_many_moments_it_counts_no_image_that_is_not_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, killed_generate.__file__, str(tmp_path), "9"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ends = [[int(word) for word in line.split()] for line in said.splitlines()]
    assert len(ends) > 6, said
    assert ends[-1] in ([0, 2, 2], [3, 2, 2]), said
    assert {code for code, _, _ in ends[:-1]} == {9}, said
    assert all(counted <= images for _, images, counted in ends), said
    assert {images for _, images, _ in ends} == {0, 2}, said  # never half a folder
    monkeypatch.setattr("fair_diffusion.allocation.ledger._now", lambda: time.time() + LEASE + 1)
    assert {row.pending for row in Ledger(tmp_path / "ledger").rows()} == {0}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_save_that_fails_gives_the_turn_back(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(result: Result, folder: Path, signature: object = None) -> None:
        assert sum(row.pending for row in Ledger(file).rows()) == 2
        raise error

    monkeypatch.setattr(Result, "save", fail)
    file = tmp_path / "ledger"
    asked = ("a photo of a nurse", "--instruct", "nurse: half women", "--method", "prompt", "-n", "2", "--steps", "1")
    ended = CliRunner().invoke(app, ["generate", *asked, "--ledger", str(file), "--out", str(tmp_path / "out")])
    assert ended.exit_code == (2 if isinstance(error, OSError) else 130), ended.output
    assert [(row.asked, row.pending) for row in Ledger(file).rows() if row.share] == [(0, 0), (0, 0)]
    assert [path.name for path in tmp_path.iterdir()] == ["ledger"]
