"""The image files below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from fair_diffusion.files.guarded import InnerFile
from fair_diffusion.files.pictures import ENDINGS

STUDY = "study.json"
"""The file that marks the folder of a study, which an audit wrote."""


def is_study(folder: Path) -> bool:
    """Whether an audit wrote `folder`."""
    return InnerFile(folder, STUDY).is_file()


def image_files(folder: Path) -> Iterator[InnerFile]:
    """Yield every image file below `folder`, in order of the paths. Nothing is opened.

    A file's ending decides. Hidden files and folders, the folders of studies, and links to folders are passed over."""
    for place, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not is_study(Path(place, name)))
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix.lower() in ENDINGS and not name.startswith("."):
                yield InnerFile(folder, path.relative_to(folder).as_posix())


def linked_folders(folder: Path) -> list[str]:
    """The links to folders below `folder`, which nothing follows, by their paths below it."""
    return sorted(
        Path(place, name).relative_to(folder).as_posix()
        for place, folders, _ in os.walk(folder, followlinks=False)
        for name in folders
        if Path(place, name).is_symlink()
    )
