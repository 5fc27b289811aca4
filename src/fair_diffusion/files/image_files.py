"""The image files below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from fair_diffusion.files.guarded import InnerFile, RefusedFile, opened
from fair_diffusion.files.picture_kinds import START, kind_of_picture
from fair_diffusion.files.pictures import ENDINGS

STUDY = "study.json"
"""The file that marks the folder of a study, which an audit wrote."""


def is_study(folder: Path) -> bool:
    """Whether an audit wrote `folder`."""
    return InnerFile(folder, STUDY).is_file()


def image_files(folder: Path) -> Iterator[InnerFile]:
    """Yield every image file below `folder`, in order of the paths.

    A file's ending or its first bytes decide. What `files_below` passes over is none."""
    return (file for file in files_below(folder) if is_image(file))


def is_image(file: InnerFile) -> bool:
    """Whether a file has the ending of an image, or begins like one. Only files with other endings are opened."""
    if PurePosixPath(file.path).suffix.lower() in ENDINGS:
        return True
    with suppress(OSError, RefusedFile), opened(file) as source:
        return kind_of_picture(source.read(START)) is not None
    return False


def files_below(folder: Path) -> Iterator[InnerFile]:
    """Yield every file below `folder`, in order of the paths. Nothing is opened.

    Hidden files and folders, the folders of studies, and links to folders are passed over."""
    for place, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not is_study(Path(place, name)))
        for name in sorted(files):
            if not name.startswith("."):
                yield InnerFile(folder, Path(place, name).relative_to(folder).as_posix())


def linked_folders(folder: Path) -> list[str]:
    """The links to folders below `folder`, which nothing follows, by their paths below it."""
    return sorted(
        Path(place, name).relative_to(folder).as_posix()
        for place, folders, _ in os.walk(folder, followlinks=False)
        for name in folders
        if Path(place, name).is_symlink()
    )
