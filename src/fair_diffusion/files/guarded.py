"""Files from outside: opened once, checked by what was opened, and read up to a bound.

A folder from elsewhere may hold links to private files, and names such as "../secret.png". A file below such a folder
is an `InnerFile`. It is opened only if it lies in the folder, whether a link leads there or not. A pipe or a device is
never opened: reading it might never end. The open file is checked, so nobody can exchange it between check and reading.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY
_CACHED = re.compile(r"(models|datasets|spaces)--.+")


class RefusedFile(ValueError):
    """A file that is not opened. `str()` says why; the name is left to the caller."""


@dataclass(frozen=True, slots=True)
class InnerFile:
    """A file below a folder that somebody else may have made. It need not be there.

    Attributes:
        folder: the folder, which the user named.
        path: the path below it, with "/".
    """

    folder: Path
    path: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    def beside(self, name: str) -> InnerFile:
        """The file of that name in the same folder."""
        return InnerFile(self.folder, str(PurePosixPath(self.path).with_name(name)))

    def __str__(self) -> str:
        return str(self.folder / self.path)

    def is_file(self) -> bool:
        """Whether it is there and would be opened."""
        return refusal(self) is None

    def open(self) -> BinaryIO:
        """Open the file.

        Raises:
            RefusedFile: it lies outside of the folder, or is no regular file.
            OSError: it is not there, or may not be read.
        """
        inner = PurePosixPath(self.path)
        if inner.is_absolute() or ".." in inner.parts or "\0" in self.path:
            raise RefusedFile("outside of its folder")
        home = Path(os.path.realpath(self.folder))
        root, real = root_of(home), Path(os.path.realpath(home / inner))
        if not real.is_relative_to(root):
            raise RefusedFile("a link out of the folder, not followed")
        if real == root:
            raise RefusedFile("no regular file")
        place = os.open(root, _READ | os.O_DIRECTORY)
        try:
            for part in real.relative_to(root).parts[:-1]:
                above, place = place, os.open(part, _READ | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
                os.close(above)
            return _regular(os.open(real.name, _READ | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=place))
        finally:
            os.close(place)


Readable = Path | InnerFile
"""A file that the user named, or a file below a folder from elsewhere."""


def opened(file: Readable) -> BinaryIO:
    """Open a file. The links of a file that the user named are followed, wherever they lead.

    Raises:
        RefusedFile: it is no regular file, or lies outside of its folder.
        OSError: it is not there, or may not be read.
    """
    if isinstance(file, InnerFile):
        return file.open()
    if not stat.S_ISREG(file.stat().st_mode):  # a device may act when it is opened
        raise RefusedFile("no regular file")
    return _regular(os.open(file, _READ | os.O_NONBLOCK))


def regular(path: Path) -> Path:
    """The path of a file that the user named, for a library that opens it by its path.

    Raises:
        RefusedFile: as for `opened`.
        OSError: as for `opened`.
    """
    opened(path).close()
    return path


def content(file: Readable, most: int) -> bytes:
    """The bytes of a file.

    Args:
        file: the file.
        most: the most bytes that it may have.

    Raises:
        RefusedFile: as for `opened`; or it is larger.
        OSError: it is not there, or may not be read.
    """
    with opened(file) as source:
        data = source.read(most + 1)
    if len(data) > most:
        raise RefusedFile(f"more than {most:,} bytes")
    return data


def text(file: Readable, most: int = 16 * 2**20) -> str:
    """The text of a file in UTF-8, without a byte order mark.

    Raises:
        RefusedFile: as for `content`; or it is no text in UTF-8.
        OSError: it is not there, or may not be read.
    """
    try:
        return content(file, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedFile("not text in UTF-8") from error


def refusal(file: Readable) -> str | None:
    """Why a file is not opened; None if it would be."""
    try:
        opened(file).close()
    except FileNotFoundError:  # its name is there, as that of a link which leads nowhere
        return "no regular file"
    except (OSError, RefusedFile) as error:
        return why(error)
    return None


def why(error: Exception) -> str:
    """What an error says of a file, without the path that was opened: that path may hold the name of a person."""
    if isinstance(error, FileNotFoundError):
        return "not there"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error)


def root_of(folder: Path) -> Path:
    """The folder out of which no link below `folder` may lead.

    It is the folder itself. In the cache of the model hub it is the folder of the repository, because the files of a
    snapshot are links to its blobs there.

    Args:
        folder: a folder without links.
    """
    for snapshot in (folder, *folder.parents):
        if snapshot.parent.name == "snapshots" and _CACHED.fullmatch(snapshot.parent.parent.name):
            return snapshot.parent.parent
    return folder


def _regular(descriptor: int) -> BinaryIO:
    """The open file, if it is a regular one."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise RefusedFile("no regular file")
