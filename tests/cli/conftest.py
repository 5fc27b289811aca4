"""For all tests of the commands."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _fast_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine adds no line of its own: that a model is still being loaded, or how far a command is."""
    monkeypatch.setattr("fair_diffusion.cli.progress.PATIENCE", 3600.0)
