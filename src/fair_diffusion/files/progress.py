"""How long work says how far it is: a callback."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int | None], None]
"""Called with what is done and with the whole (None: not known)."""


def silent(done: int, whole: int | None) -> None:
    """A progress that shows nothing."""
