"""The two kinds of database: a file of SQLite, and a server of PostgreSQL, both of their own and gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.postgres import postgres


@contextmanager
def places() -> Iterator[dict[str, tuple[str, Path]]]:
    """By the name of each kind, the URL of an empty database, and an empty folder for data."""
    with TemporaryDirectory(prefix="fd-serving-") as folder, postgres() as url:
        data = {name: Path(folder) / name for name in ("sqlite", "postgresql")}
        for each in data.values():
            each.mkdir()
        yield {
            "SQLite": (f"sqlite:///{data['sqlite'] / 'service.sqlite'}", data["sqlite"]),
            "PostgreSQL": (url, data["postgresql"]),
        }
