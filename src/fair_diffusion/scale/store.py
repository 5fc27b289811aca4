"""Where workers leave parts that do not see the work folder of the driver: one object for each part.

A store of objects such as S3 writes an object whole or not at all, so a part is there whole or not at all.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from fair_diffusion.files.object_store import object_store
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.runs.work import Settings, WorkFolder


class Store:
    """Objects below a URL of fsspec, such as "s3://bucket/suite".

    Raises:
        ValueError: the URL cannot be used, or what it needs is not installed.
    """

    def __init__(self, url: str) -> None:
        self._system, self._root = object_store(url, "store")

    def put(self, name: str, folder: Path, files: Iterable[Path]) -> None:
        """Store files below a folder as one object. One of the same name is replaced."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:  # pictures are compressed already
            for path in files:
                archive.write(path, path.relative_to(folder))
        self._system.makedirs(self._root, exist_ok=True)
        self._system.pipe_file(self._path(name), packed.getvalue())

    def has(self, name: str) -> bool:
        """Whether there is an object of this name."""
        return bool(self._system.exists(self._path(name)))

    def fetch(self, name: str, folder: Path) -> None:
        """Write the files of an object below a folder, each whole. `FileNotFoundError` if there is none."""
        with zipfile.ZipFile(io.BytesIO(self._system.cat_file(self._path(name)))) as archive:
            for inner in archive.namelist():
                path = folder / inner
                if not path.resolve().is_relative_to(folder.resolve()):
                    raise ValueError(f"the object {name} of the store holds {inner!r}, outside of its folder")
                path.parent.mkdir(parents=True, exist_ok=True)
                with whole_file(path) as part:
                    part.write_bytes(archive.read(inner))

    def agree(self, folder_of: Callable[[Path], WorkFolder], settings: Settings, *, write: bool = False) -> None:
        """Check that what lies in the store was drawn with the same settings.

        Args:
            folder_of: makes a work folder of a path: of a suite, or of a comparison.
            settings: of whoever draws.
            write: store the settings if there are none yet.

        Raises:
            ValueError: a setting differs.
        """
        with TemporaryDirectory() as scratch:
            folder = folder_of(Path(scratch))
            there = self.has(folder.file)
            if there:
                self.fetch(folder.file, folder.path)
            if there or write:
                folder.join(settings)
            if write and not there:
                self.put(folder.file, folder.path, [folder.path / folder.file])

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}.zip"
