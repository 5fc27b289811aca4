"""What takes more than two seconds says so on standard error, with a bar and the time left where that is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE = 2.0
"""Seconds before the bar shows."""


@contextmanager
def loading(model: str) -> Iterator[None]:
    """Say that a model is being loaded, in place of the bars of the libraries, one for each of its parts."""
    from diffusers.utils import logging as diffusers_bars
    from transformers.utils import logging as transformers_bars

    for bars in (diffusers_bars, transformers_bars):
        bars.disable_progress_bar()
    with Console(stderr=True).status(f"loading {model} (downloaded first if it is not cached)"):
        yield


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
