"""Which folders are runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from fair_diffusion.readers.run import read_run
from fair_diffusion.runs.format import PNG_KEY
from fair_diffusion.runs.records import runs_in


def damaged(path: Path) -> None:
    """Write a PNG whose record is no JSON that can be read."""
    text = PngImagePlugin.PngInfo()
    text.add_text(PNG_KEY, "[" * 10_000)
    Image.new("RGB", (8, 8)).save(path, pnginfo=text)


def recorded(path: Path) -> None:
    """Write a PNG with a record."""
    text = PngImagePlugin.PngInfo()
    known = {"prompt": "a nurse", "model": "m", "method": "none", "judged": {"gender": "woman"}, "seed": 1}
    text.add_text(PNG_KEY, json.dumps(known))
    Image.new("RGB", (8, 8)).save(path, pnginfo=text)


def test_a_damaged_record_among_other_pictures_makes_no_run_and_no_error(tmp_path: Path) -> None:
    damaged(tmp_path / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "nurse_1.png")
    assert runs_in(tmp_path) == []


def test_a_damaged_record_among_records_is_named_and_the_others_count(tmp_path: Path) -> None:
    damaged(tmp_path / "a.png")
    recorded(tmp_path / "b.png")
    (run,) = runs_in(tmp_path)
    assert [record["file"] for record in run.records()] == ["b.png"]
    assert [*run.damaged] == ["a.png"]
    assert run.damaged["a.png"].startswith("a.png is damaged")
    study = read_run(tmp_path, scratch=tmp_path).study
    assert [*study.broken] == [*run.damaged.values()]
    assert sum(tally.n for tally in study.tallies if tally.attribute == "gender") == 1
    assert not any("a.png" in note for note in study.notes)


def test_a_run_whose_records_are_all_damaged_says_why(tmp_path: Path) -> None:
    damaged(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"no records of images that can be read; a\.png is damaged"):
        read_run(tmp_path, scratch=tmp_path)
