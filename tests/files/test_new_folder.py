"""Output folders are there whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from fair_diffusion.files.new_folder import check_new, new_folder


@pytest.mark.parametrize("place", ["new", "deep/er/new", "empty", "link", "."])
def test_a_new_folder_holds_what_was_written(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if place in ("empty", "link"):
        (tmp_path / "empty").mkdir()
        (tmp_path / "link").symlink_to("empty")
    check_new(Path(place))
    with new_folder(Path(place)) as part:
        (part / "a.txt").write_text("a")
        (part / "b").mkdir()
        (part / "b" / "c.txt").write_text("c")
        assert not (Path(place) / "a.txt").exists()
    found = Path(place)
    assert sorted(str(p.relative_to(found)) for p in found.rglob("*")) in (
        ["a.txt", "b", "b/c.txt"],
        ["a.txt", "b", "b/c.txt", "empty", "link"],
    )


@pytest.mark.parametrize("place", ["deep/er/new", "empty"])
def test_nothing_stays_if_writing_fails(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()

    def fail() -> None:
        with new_folder(Path(place)) as part:
            (part / "a.txt").write_text("a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [p.name for p in tmp_path.rglob("*")] == ["empty"]


@pytest.mark.parametrize("place", ["full", "full/file", "full/file/below", "x" * 300])
def test_a_folder_that_cannot_be_new(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(ValueError, match="name a"):
        check_new(Path(place))
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "full"]
