"""Work folders: what claims one, what goes on in it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fair_diffusion.runs.work import WorkFolder, changed


def folder_of(path: Path) -> WorkFolder:
    return WorkFolder(path=path, file="settings.json", format=2, kind="comparison")


def test_the_first_claim_writes_the_settings_and_a_check_leaves_nothing(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "deep" / "work")
    folder.check({"n": 4})
    assert folder.settings() is None
    assert not list(tmp_path.iterdir())
    folder.claim({"n": 4, "loras": ("a", "b")})
    assert json.loads((folder.path / "settings.json").read_text()) == {"format": 2, "n": 4, "loras": ["a", "b"]}
    assert folder.settings() == {"n": 4, "loras": ["a", "b"]}
    folder.claim({"n": 4, "loras": ("a", "b")})


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"n": 5, "seed": 0}, "was drawn with n 4, not 5; name another work folder"),
        ({"n": 4}, "was drawn with seed 0, not None"),
        ({"n": 4, "seed": 0, "loss": "mean"}, "was drawn with loss None, not 'mean'"),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, now: dict[str, Any], said: str) -> None:
    folder = folder_of(tmp_path)
    folder.claim({"n": 4, "seed": 0})
    for call in (folder.check, folder.claim):
        with pytest.raises(ValueError, match=said):
            call(now)
    folder.check(now, undecided=["n", "seed", "loss"])


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match="holds no comparison"):
        folder_of(tmp_path).claim({"n": 4})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("text", ["{", "7", '{"format": "new"}', '{"format": 3}'])
def test_settings_that_cannot_be_read_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(ValueError, match=r"settings\.json"):
        folder_of(tmp_path).check({"n": 4})


def test_a_missing_setting_is_none() -> None:
    assert changed({"a": None}, {"b": None}) is None
    assert changed({"a": 1, "b": 2}, {"b": 3}) == "a"
