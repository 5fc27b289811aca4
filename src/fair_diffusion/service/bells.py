"""To tell other processes what was written into an SQLite file: each that listens has a socket beside the file.

PostgreSQL does the same with NOTIFY. What is sent are topics, never contents.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

MOST = 65_536
"""Bytes of one message at most."""


class Bells:
    """The bells of all processes that listen to one file.

    Args:
        file: the database.
    """

    def __init__(self, file: Path) -> None:
        self._folder = file.absolute().with_name(f"{file.name}-bells")

    def ring(self, topics: Iterable[str]) -> None:
        """Send topics to all who listen. A process that died is forgotten; one that is too slow misses them."""
        message = "\n".join(topics).encode()
        with suppress(FileNotFoundError), os.scandir(self._folder) as found, _open() as sender:
            for place in found:
                try:
                    sender.sendto(message, place.path)
                except ConnectionRefusedError:
                    Path(place.path).unlink(missing_ok=True)
                except OSError:  # it wakes by itself once in a while
                    continue

    def hung(self) -> Bell | None:
        """A bell of one's own; None where no socket can be made, such as below a very long path."""
        with suppress(OSError, AttributeError):  # Windows has no such sockets
            self._folder.mkdir(mode=0o700, exist_ok=True)
            return Bell(self._folder / f"{os.getpid():x}-{os.urandom(3).hex()}")
        return None


class Bell:
    """The bell of one process, as a context manager; its end takes it down.

    Args:
        place: the path of its socket.

    Raises:
        OSError: the socket cannot be made.
    """

    def __init__(self, place: Path) -> None:
        self._place, self._socket = place, _open()
        try:
            self._socket.bind(str(place))
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._place.unlink(missing_ok=True)

    def wait(self, seconds: float) -> set[str]:
        """The topics that were sent; none if there are none for so many seconds."""
        topics = set[str]()
        self._socket.settimeout(seconds)
        with suppress(TimeoutError, BlockingIOError):
            while True:
                topics.update(self._socket.recv(MOST).decode(errors="replace").split("\n"))
                self._socket.settimeout(0)  # take what else is there
        return topics


def _open() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made
