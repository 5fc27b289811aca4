"""Output files: there whole, or not at all (folders: `new_folder`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A hidden file beside `path` to write to, which takes its place at the end: `path` stays as it is if that fails.

    Its folder must be there; a file of that name is written over. `OSError` if it cannot be written."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
