"""Output files are there whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from fair_diffusion.files.whole_file import whole_file


def test_a_file_appears_at_the_end_and_replaces_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for text in ("one", "two"):
        before = file.read_text() if file.exists() else None
        with whole_file(file) as part:
            part.write_text(text)
            assert (file.read_text() if file.exists() else None) == before
        assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("there", [True, False])
def test_what_fails_changes_and_leaves_nothing(there: bool, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    if there:
        file.write_text("old")

    def interrupted(part: Path) -> None:
        part.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), whole_file(file) as part:
        interrupted(part)
    assert [path.read_text() for path in tmp_path.iterdir()] == (["old"] if there else [])
    with pytest.raises(FileNotFoundError), whole_file(file):
        pass
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "gone" / "a.txt") as part:
        part.write_text("x")
