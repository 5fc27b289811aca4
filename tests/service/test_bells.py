"""Bells beside an SQLite file: what one process writes wakes the others at once, whoever died or cannot listen."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fair_diffusion.service import signals as signals_module
from fair_diffusion.service.bells import Bells
from fair_diffusion.service.database import Database
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.signals import Signals
from fair_diffusion.service.writes import QUEUE, tell


def sockets(file: Path) -> list[Path]:
    return list(file.with_name(f"{file.name}-bells").iterdir())


def told_and_undone(database: Database) -> None:
    with database.writing() as connection:
        tell(connection, "never")
        raise ValueError("undone")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "s.sqlite"


def test_all_who_listen_hear_all_topics(file: Path) -> None:
    one, two = Bells(file).hung(), Bells(file).hung()
    assert one is not None
    assert two is not None
    with one, two:
        Bells(file).ring(["a", "b"])
        Bells(file).ring(["c"])
        assert one.wait(60) == two.wait(60) == {"a", "b", "c"}
        assert one.wait(0.01) == set()
    assert sockets(file) == []


def test_nobody_listens(file: Path) -> None:
    Bells(file).ring(["a"])
    assert not file.with_name(f"{file.name}-bells").exists()


def test_who_died_is_forgotten(file: Path) -> None:
    code = f"""
import os, pathlib
from fair_diffusion.service.bells import Bells
bell = Bells(pathlib.Path({str(file)!r})).hung()
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(sockets(file)) == 1
    bell = Bells(file).hung()
    assert bell is not None
    with bell:
        Bells(file).ring(["a"])
        assert bell.wait(60) == {"a"}
        assert len(sockets(file)) == 1


def test_who_hears_nothing_in_time_holds_nobody_up(file: Path) -> None:
    """A process that was stopped takes nothing out of its socket: whoever writes goes on all the same."""
    bell = Bells(file).hung()
    assert bell is not None
    with bell:
        for _ in range(2000):
            Bells(file).ring(["topic" * 20])
        assert bell.wait(60) == {"topic" * 20}


def test_only_what_was_written_is_told(file: Path) -> None:
    database = Database(file)
    bell = Bells(file).hung()
    assert bell is not None
    with bell:
        with pytest.raises(ValueError, match="cost is 0"):
            Jobs(database).put("draw", {}, cost=0)
        with pytest.raises(ValueError, match="undone"):
            told_and_undone(database)
        Jobs(database).put("draw", {})
        assert bell.wait(60) == {QUEUE}
    database.close()


def test_without_a_bell_the_file_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a socket is short; that of a file need not be."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    database = Database(folder / "service.sqlite")
    assert database.bells is not None
    assert database.bells.hung() is None
    monkeypatch.setattr(signals_module, "POLL", 3600.0)
    signals, woken = Signals(database), threading.Event()
    with signals.listen(QUEUE, woken.set):
        assert woken.wait(60)
        woken.clear()
        Jobs(database).put("draw", {})
        assert woken.wait(60)
    signals.close()
    database.close()
