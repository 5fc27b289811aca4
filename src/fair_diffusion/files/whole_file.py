"""Output files that are written whole or not at all (for folders, see `new_folder`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a hidden file beside `path` to write to, which replaces `path` at the end.

    If anything fails, `path` stays as it was and the hidden file is deleted. Processes that write the same file do not
    disturb each other: the last one to finish wins.

    Raises:
        OSError: the folder is not there, or may not be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
