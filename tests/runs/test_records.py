"""Which folders are runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from fair_diffusion.files.schema import DamagedFile
from fair_diffusion.runs.format import PNG_KEY
from fair_diffusion.runs.records import runs_in


def damaged(path: Path) -> None:
    """Write a PNG whose record is no JSON that can be read."""
    text = PngImagePlugin.PngInfo()
    text.add_text(PNG_KEY, "[" * 10_000)
    Image.new("RGB", (8, 8)).save(path, pnginfo=text)


def test_a_damaged_record_among_other_pictures_makes_no_run_and_no_error(tmp_path: Path) -> None:
    damaged(tmp_path / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "nurse_1.png")
    assert runs_in(tmp_path) == []


def test_a_damaged_record_among_records_is_named(tmp_path: Path) -> None:
    damaged(tmp_path / "a.png")
    (run,) = runs_in(tmp_path)
    with pytest.raises(DamagedFile, match=r"a\.png"):
        list(run.records())
