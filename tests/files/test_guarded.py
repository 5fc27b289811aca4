"""Files from outside: what lies in the folder and is a regular file is opened, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from fair_diffusion.files.guarded import InnerFile, RefusedFile, content, opened, refusal, text, why


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with regular files, and with what must not be opened."""
    folder = tmp_path / "here"
    (folder / "more").mkdir(parents=True)
    (folder / "a.txt").write_text("inside")
    (folder / "more" / "a.txt").write_text("deeper")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.txt").write_text("private")
    for name, target in {
        "inner.txt": "more/a.txt",
        "back.txt": "../here/a.txt",
        "out.txt": "../secret/a.txt",
        "far.txt": str(tmp_path / "secret" / "a.txt"),
        "folder": "../secret",
        "loop.txt": "loop.txt",
        "nowhere.txt": "gone.txt",
        "itself": ".",
        "zero": "/dev/zero",
    }.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe.txt")
    return folder


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a.txt", "inside"),
        ("more/a.txt", "deeper"),
        ("./more//a.txt", "deeper"),
        ("inner.txt", "deeper"),
        ("back.txt", "inside"),
        ("itself/a.txt", "inside"),
    ],
)
def test_what_lies_in_the_folder_is_opened(path: str, said: str, folder: Path) -> None:
    assert content(InnerFile(folder, path), 100) == said.encode()
    (folder.parent / "link").symlink_to(folder)
    assert text(InnerFile(folder.parent / "link", path)) == said  # the user named the link to the folder
    assert InnerFile(folder, path).is_file()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("out.txt", "a link out of the folder, not followed"),
        ("far.txt", "a link out of the folder, not followed"),
        ("folder/a.txt", "a link out of the folder, not followed"),
        ("zero", "a link out of the folder, not followed"),
        ("../secret/a.txt", "outside of its folder"),
        ("more/../../secret/a.txt", "outside of its folder"),
        ("/etc/hostname", "outside of its folder"),
        ("a\0.txt", "outside of its folder"),
        ("more", "no regular file"),
        ("itself", "no regular file"),
        ("", "no regular file"),
        (".", "no regular file"),
        ("pipe.txt", "no regular file"),
    ],
)
def test_nothing_else_is_opened(path: str, said: str, folder: Path) -> None:
    file = InnerFile(folder, path)
    with pytest.raises(RefusedFile, match=f"^{said}$"):
        file.open()
    assert refusal(file) == said
    assert not file.is_file()


def test_what_is_not_there_is_an_error_without_a_path(folder: Path) -> None:
    for path in ("gone.txt", "nowhere.txt", "a.txt/b"):
        with pytest.raises(OSError, match=r"No such file|Not a directory") as error:
            InnerFile(folder, path).open()
        assert str(folder) not in why(error.value)
    with pytest.raises((OSError, RefusedFile)):
        InnerFile(folder, "loop.txt").open()


def test_a_file_that_is_exchanged_for_a_link_is_not_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the path and the opening, somebody puts a link there."""
    real = os.path.realpath

    def exchanged(path: str) -> str:
        found = real(path)
        if found.endswith("a.txt"):
            Path(found).unlink()
            Path(found).symlink_to("../secret/a.txt")
        return found

    monkeypatch.setattr(os.path, "realpath", exchanged)
    with pytest.raises(OSError, match="symbolic links"):
        InnerFile(folder, "a.txt").open()


def test_a_file_that_the_user_named_may_be_a_link_but_no_pipe(folder: Path) -> None:
    assert text(folder / "out.txt") == "private"
    for name in ("pipe.txt", "more", "zero"):
        with pytest.raises(RefusedFile, match=r"^no regular file$"):
            opened(folder / name)


def test_bounds_and_encodings(folder: Path) -> None:
    assert content(folder / "a.txt", 6) == b"inside"
    with pytest.raises(RefusedFile, match=r"^more than 5 bytes$"):
        content(folder / "a.txt", 5)
    (folder / "marked.txt").write_bytes(b"\xef\xbb\xbfx")
    assert text(folder / "marked.txt") == "x"
    (folder / "latin.txt").write_bytes(b"\xe9")
    with pytest.raises(RefusedFile, match=r"^not text in UTF-8$"):
        text(folder / "latin.txt")


def test_a_snapshot_of_the_hub_is_links_to_the_blobs_beside_it(tmp_path: Path) -> None:
    home = tmp_path / "hub" / "datasets--owner--name"
    snapshot = home / "snapshots" / "0123" / "data"
    snapshot.mkdir(parents=True)
    (home / "blobs").mkdir()
    (home / "blobs" / "abcd").write_text("cached")
    (tmp_path / "hub" / "token").write_text("private")
    (snapshot / "a.txt").symlink_to("../../../blobs/abcd")
    (snapshot / "b.txt").symlink_to("../../../../token")
    for folder, path in ((snapshot, ""), (snapshot.parent, "data/")):
        assert text(InnerFile(folder, f"{path}a.txt")) == "cached"
        with pytest.raises(RefusedFile, match="link out"):
            InnerFile(folder, f"{path}b.txt").open()


def test_no_descriptor_is_left_open(folder: Path) -> None:
    before = psutil.Process().num_fds()
    for path in ("a.txt", "out.txt", "more", "pipe.txt", "gone.txt", "more/gone.txt"):
        refusal(InnerFile(folder, path))
        refusal(folder / path)
    assert psutil.Process().num_fds() == before
