"""Worker processes of a server: which end it, and which are started again."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from threading import Event

import pytest

from fair_diffusion.service.serving import USAGE, Workers
from fair_diffusion.service.settings import Settings


def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *codes: int) -> tuple[Workers, Event]:
    """Workers of one place that end with these codes, one after the other, and what is set when they are useless."""
    useless, left = Event(), list(codes)
    made = Workers(Settings.read(data=tmp_path, workers=1), [], useless.set)
    monkeypatch.setattr(made, "_command", lambda: [sys.executable, "-c", f"raise SystemExit({left.pop(0)})"])
    return made, useless


def test_a_first_worker_that_cannot_work_ends_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing, useless = workers(tmp_path, monkeypatch, USAGE)
    with drawing:
        assert useless.wait(60)
    assert drawing.failed


def test_a_worker_that_dies_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    drawing, useless = workers(tmp_path, monkeypatch, 1, USAGE, 1)
    with drawing:
        until = time.monotonic() + 60
        while len(caplog.records) < 2 and time.monotonic() < until:
            time.sleep(0.05)
    said = [record.getMessage().split(" ended with ")[1] for record in caplog.records[:2]]
    assert said == ["1; it starts again in 1 s", "2; it starts again in 2 s"]
    assert not useless.is_set()
    assert not drawing.failed
