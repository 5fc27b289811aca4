"""Output folders that are written whole or not at all (for files, see `whole_file`).

What is written lies in a hidden folder on the same file system. When it is on the disk, it gets its name in one step.
So a process that is killed leaves the hidden folder and nothing else. Nothing that was not made here is ever removed.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from fair_diffusion.files.durable import PART, about, hidden_in, sync, sync_all

UNFINISHED = ".unfinished-"
"""How the name of a hidden folder begins that lies in the output folder itself."""


def check_new(folder: Path) -> None:
    """Check that `folder` can become a new output folder, by making it and removing it again.

    Raises:
        ValueError: the folder is not empty, or cannot be written.
    """
    with ExitStack() as undo:
        try:
            check_empty(folder)
            _make(folder, undo)
            with tempfile.TemporaryDirectory(prefix=PART, dir=folder):
                pass
        except OSError as error:
            raise _unwritable(folder, error) from error


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a hidden folder to write to, which becomes `folder` at the end. If anything fails, nothing stays.

    `folder` may also be an existing empty folder or a link to one. If it cannot be replaced in one step, because it is
    the working directory, a mount point or somebody else's, the hidden folder lies inside and its files move up. While
    they do, `is_unfinished` tells so.

    Raises:
        ValueError: as `check_new`; or the disk is full, or somebody else has put something into the folder meanwhile.
    """
    with ExitStack() as undo:
        try:
            check_empty(folder)
            part, finish = _begin(Path(os.path.realpath(folder)), undo)
        except OSError as error:
            raise _unwritable(folder, error) from error
        try:
            yield part
            sync_all(part)
            finish()
        except OSError as error:
            if not about(error, part):
                raise
            raise _unwritable(folder, error) from error
        undo.pop_all()


@contextmanager
def scratch_for(folder: Path) -> Iterator[Path]:
    """Give a hidden folder for what is needed until `folder` is written; it is removed at the end.

    It lies beside `folder`, where there is room for a lot, or in the folder for temporary files if that may not be
    written.

    Raises:
        ValueError: the disk is full.
    """
    above = next(place for place in Path(os.path.realpath(folder)).parents if place.is_dir())
    place = above if os.access(above, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix=PART, dir=place, ignore_cleanup_errors=True) as scratch:
        try:
            yield Path(scratch)
        except OSError as error:
            if not about(error, Path(scratch)):
                raise
            raise _unwritable(folder, error) from error


def is_unfinished(folder: Path) -> bool:
    """Whether a process was killed while the files of `folder` moved to their places."""
    return any(path.name.startswith(UNFINISHED) and path.is_dir() for path in folder.iterdir())


def check_empty(folder: Path) -> None:
    """`ValueError` if there is something in the place of `folder`. Nothing is made to find out."""
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not empty; name a new folder")


def _begin(folder: Path, undo: ExitStack) -> tuple[Path, Callable[[], None]]:
    """Make the hidden folder. Returns it, and the function that gives its content to `folder`."""
    inside = folder.exists() and not _replaceable(folder)
    if not inside:
        _make(folder.parent, undo)
    part = hidden_in(folder, UNFINISHED) if inside else hidden_in(folder.parent)
    part.mkdir()
    undo.callback(shutil.rmtree, part, ignore_errors=True)
    if inside:
        return part, lambda: _move_up(part, undo)
    if folder.exists():
        shutil.copymode(folder, part)
    return part, lambda: _rename(part, folder)


def _replaceable(folder: Path) -> bool:
    """Whether a new folder may take the place of this empty one."""
    own = folder.stat().st_uid == os.geteuid() and os.access(folder.parent, os.W_OK | os.X_OK)
    return own and not os.path.ismount(folder) and not folder.samefile(Path.cwd())


def _rename(part: Path, folder: Path) -> None:
    part.rename(folder)  # fails if somebody else has put something there
    sync(folder.parent)


def _move_up(part: Path, undo: ExitStack) -> None:
    """Move everything in `part` into the folder around it, and remove `part` last."""
    for path in sorted(part.iterdir()):
        place = part.parent / path.name
        if os.path.lexists(place):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        path.rename(place)
        undo.callback(_remove, place)
    sync(part.parent)
    part.rmdir()
    sync(part.parent)


def _remove(path: Path) -> None:
    """Remove a file or folder that was made here."""
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _make(folder: Path, undo: ExitStack) -> None:
    """Make `folder` and the folders above it, and note how to remove those that are new, as far as they are empty."""
    for step in [*reversed(folder.parents), folder]:
        try:
            step.mkdir()
        except FileExistsError as error:
            if not step.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(step)) from error
        else:
            undo.callback(_remove_empty, step)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _unwritable(folder: Path, error: OSError) -> ValueError:
    if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
        return ValueError(f"{folder} is not empty any more; name a new folder")
    said = os.strerror(error.errno) if error.errno else str(error)
    return ValueError(f"{folder} cannot be written ({said}); name a folder where there is room and you may write")
