"""SIGTERM ends a command as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from fair_diffusion.cli import app
from fair_diffusion.cli.interrupt import interruptible


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before)


def test_every_verb_takes_the_signal_as_an_interrupt() -> None:
    assert CliRunner().invoke(app, ["explain", "a nurse"]).exit_code == 0
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)


def test_other_threads_are_left_as_they_are() -> None:
    thread = threading.Thread(target=interruptible)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
