"""Output folders that are written whole or not at all (for files, see `whole_file`)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_new(folder: Path) -> None:
    """Check that `folder` can become a new output folder, by making it and removing it again.

    Raises:
        ValueError: the folder is not empty, or cannot be written.
    """
    made: list[Path] = []
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ValueError(f"{folder} is not empty; name a new folder")
        _make(folder, made)
        with tempfile.TemporaryDirectory(dir=folder):
            pass
    except OSError as error:
        message = f"{folder} cannot be written ({error.strerror}); name a folder where you may write"
        raise ValueError(message) from error
    finally:
        for step in reversed(made):
            step.rmdir()


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a hidden folder inside `folder` to write to; its files move up at the end. If anything fails, nothing stays.

    The hidden folder lies inside, so `folder` may also be an existing empty folder, a link to one, or the working
    directory.

    Raises:
        ValueError: as `check_new`.
    """
    check_new(folder)
    made: list[Path] = []
    try:
        _make(folder, made)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder))
        try:
            yield part
            for file in sorted(part.iterdir()):
                file.rename(folder / file.name)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except BaseException:
        for file in folder.iterdir() if folder.is_dir() else ():
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        for step in reversed(made):
            step.rmdir()
        raise


def _make(folder: Path, made: list[Path]) -> None:
    """Create `folder` and the folders above it; add each new folder to `made`."""
    for step in [*reversed(folder.parents), folder]:
        if not step.exists():
            step.mkdir()
            made.append(step)
