"""Output folders are there whole, or not at all, and what somebody else has put there stays."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fair_diffusion.files.new_folder import check_new, is_unfinished, new_folder


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


def put_by_somebody(out: Path) -> None:
    (out / "theirs" / "deep").mkdir(parents=True, exist_ok=True)
    (out / "theirs" / "deep" / "thesis.txt").write_text("precious")


@pytest.mark.parametrize("place", ["out", "deep/er/out", "empty", "."])
@pytest.mark.parametrize("how", ["error", "interrupt", "no error"])
def test_what_somebody_else_puts_there_meanwhile_stays(
    place: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    out = Path(place) if place == "." else tmp_path / place

    def run() -> None:
        with new_folder(out) as part:
            (part / "a.txt").write_text("a")
            (part / "theirs").mkdir()
            put_by_somebody(out)
            if how != "no error":
                raise {"error": OSError("reading"), "interrupt": KeyboardInterrupt()}[how]

    wanted: dict[str, tuple[type[BaseException], str]] = {
        "error": (OSError, "reading"),
        "interrupt": (KeyboardInterrupt, "^$"),
        "no error": (ValueError, "is not empty any more; name a new folder"),
    }
    with pytest.raises(wanted[how][0], match=wanted[how][1]):
        run()
    assert (out / "theirs" / "deep" / "thesis.txt").read_text() == "precious"
    assert [path.name for path in out.rglob("*")] == ["theirs", "deep", "thesis.txt"]
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("call", ["fsync", "rename", "mkdir"])
@pytest.mark.parametrize("place", ["out", "empty", "."])
def test_a_full_disk_leaves_nothing_and_is_one_line(
    call: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty" if place == "." else tmp_path)
    real: Callable[..., None] = getattr(os, call)

    def full(*given: object, **named: object) -> None:
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*given, **named)

    written: list[int] = []

    def run() -> None:
        with new_folder(Path(place)) as part:
            (part / "a.txt").write_text("a")
            written.append(1)
            (part / "b").mkdir()

    monkeypatch.setattr(os, call, full)
    with pytest.raises(ValueError, match=r"cannot be written \(No space left on device\); name a folder") as error:
        run()
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_an_existing_folder_keeps_its_rights(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    with new_folder(tmp_path / "private") as part:
        assert part.stat().st_mode & 0o777 == 0o700
        (part / "a.txt").touch()
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o700


def test_while_files_move_up_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with new_folder(Path()) as part:
        (part / "a.txt").touch()
        assert is_unfinished(tmp_path)
    assert not is_unfinished(tmp_path)
