"""Output files that are written whole or not at all (for folders, see `new_folder`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fair_diffusion.files.durable import about, hidden_in, sync


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the path of a hidden file beside `path` to write to. The file replaces `path` at the end, in one step.

    If anything fails, `path` stays as it was and the hidden file is deleted. Processes that write the same file do not
    disturb each other: the last one to finish wins.

    Raises:
        OSError: the folder is not there, or may not be written; or the disk is full.
    """
    part = hidden_in(path.parent)
    try:
        try:
            yield part
            sync(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        sync(path.parent)
    except OSError as error:
        if not about(error, part):
            raise
        said = os.strerror(error.errno or 0)
        raise OSError(error.errno, said, str(path)) from error  # the name of the hidden file tells nobody anything
