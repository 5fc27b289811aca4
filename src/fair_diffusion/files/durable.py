"""What both kinds of output share (`new_folder`, `whole_file`): a hidden place to write to, and the way to the disk.

Nobody can guess the name of the hidden place. So two writers never share one, and nobody can put a link there before.
The hidden place lies on the file system of the output, where a rename is one step.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

PART = ".part-"
"""How the names of hidden places begin. A process that was killed leaves such a place behind."""
FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS])
"""What goes wrong with a disk, by its number. Such errors often name no file."""


def hidden_in(folder: Path, prefix: str = PART) -> Path:
    """A new hidden path in a folder. Nothing is made."""
    return folder / f"{prefix}{secrets.token_hex(8)}"


def about(error: OSError, part: Path) -> bool:
    """Whether an error is about writing to the hidden place `part`."""
    if error.filename is None:
        return error.errno in FULL
    return Path(os.fsdecode(error.filename)).is_relative_to(part)


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems take no such request
            raise
    finally:
        os.close(descriptor)


def sync_all(folder: Path) -> None:
    """Wait until a folder is on the disk with everything in it."""
    for place, _, files in os.walk(folder):
        for name in files:
            sync(Path(place, name))
        sync(Path(place))
