"""A bar with the time left, on standard error, for anything that takes more than two seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE = 2.0
"""Seconds before the bar shows."""


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """A callback of what is done and the whole (None: not known), which moves the bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    start = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, visible=False)

        def move(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total, visible=time.monotonic() - start > PATIENCE)

        yield move
