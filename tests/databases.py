"""Fixtures: every test that takes `url` or `database` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from benchmarks.postgres import postgres
from fair_diffusion.service.database import Database


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A PostgreSQL server, for as long as this process lives, with a database "made" that has the tables.

    It does not wait for the disk: what it holds need not outlive the machine's power."""
    with postgres() as url:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            _run(url, f"ALTER SYSTEM SET {setting} = off")
        _run(url, "SELECT pg_reload_conf()")
        _run(url, "CREATE DATABASE made")
        Database(make_url(url).set(database="made").render_as_string(hide_password=False)).close()
        yield url


@pytest.fixture(scope="session")
def made_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file that has the tables: a copy of it takes a hundredth of what making them takes."""
    file = tmp_path_factory.mktemp("made") / "made.sqlite"
    Database(file).close()
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database that has the tables: a file of its own, or a database of its own on the server."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("made_file"), tmp_path / "service.sqlite")
        yield f"sqlite:///{tmp_path / 'service.sqlite'}"
        return
    server = request.getfixturevalue("server")
    name = f"t{uuid.uuid4().hex}"
    _run(server, f"CREATE DATABASE {name} TEMPLATE made")
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    _run(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


def _run(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
