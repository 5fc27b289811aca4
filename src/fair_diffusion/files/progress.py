"""The progress of long work: a callback."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int | None], None]
"""Called with the number of steps done, and of all steps (None if that is not known)."""


def silent(done: int, whole: int | None) -> None:
    """A progress that shows nothing."""
