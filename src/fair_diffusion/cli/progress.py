"""What takes more than two seconds says so on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fair_diffusion.cli.console import say, visible
from fair_diffusion.cli.terminal import Terminal
from fair_diffusion.files.text import printable

if TYPE_CHECKING:
    from fair_diffusion.backbones import StepInfo

Move = Callable[[str, float, float | None], None]
"""Moves the progress, given what is being done, how much is done and the whole (None: not known)."""
PATIENCE = 2.0
"""Seconds before the bar shows."""
BETWEEN = 15.0
"""Seconds from line to line where there is no terminal."""


@contextmanager
def loading(model: str) -> Iterator[None]:
    """Say that a model is being loaded, in place of the bars of the libraries, one for each of its parts."""
    from diffusers.utils import logging as diffusers_bars
    from transformers.utils import logging as transformers_bars

    for bars in (diffusers_bars, transformers_bars):
        bars.disable_progress_bar()
    what = loading_text(model)
    console = Terminal(error=True)
    if console.is_terminal:
        with console.status(what):
            yield
        return
    late = Timer(PATIENCE, lambda: say(what, err=True))
    late.start()
    try:
        yield
    finally:
        late.cancel()


def loading_text(model: str) -> str:
    """What is said while a model is loaded: only a model on the hub can be downloaded."""
    on_hub = "/" in model and not Path(model).exists()
    return f"loading {printable(model)}" + (" (downloaded first if it is not cached)" if on_hub else "")


@contextmanager
def working() -> Iterator[Move]:
    """A callback that moves the bar, or that now and then prints a line where standard error is no terminal."""
    if not Terminal(error=True).is_terminal:
        yield _Lines().move
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    start = time.monotonic()
    with Progress(*columns, console=Terminal(error=True), transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)

        def move(what: str, done: float, whole: float | None) -> None:
            late = time.monotonic() - start > PATIENCE
            bar.update(task, description=visible(what), completed=done, total=whole, visible=late)

        yield move


class _Lines:
    """Progress as lines: "denoising: 120 of 960, about 40 s left"."""

    def __init__(self) -> None:
        self._told = time.monotonic()
        self._first: tuple[float, float] | None = None  # when it was first moved, and what was there already

    def move(self, what: str, done: float, whole: float | None) -> None:
        """Print a line if the last one, or the start, is long enough ago."""
        now = time.monotonic()
        start, there = self._first = self._first or (now, done)
        if now - self._told < BETWEEN:
            return
        self._told = now
        of = "" if whole is None else f" of {whole:,.0f}"
        left = ""
        if whole is not None and there < done < whole:
            left = f", about {_left(now - start, done - there, whole - there)} left"
        say(f"{what}: {done:,.0f}{of}{left}", err=True)
        sys.stderr.flush()


def _left(seconds: float, done: float, whole: float) -> str:
    """The time that is left at the pace so far."""
    left = seconds * (whole - done) / done
    return f"{left:.0f} s" if left < 120 else f"{left / 60:.0f} min"


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """A callback that moves the progress, given what is done and the whole (None: not known)."""
    with working() as move:
        yield lambda done, whole: move(what, done, whole)


@contextmanager
def denoising(images: int, steps: int) -> Iterator[Callable[[StepInfo], None]]:
    """A callback that moves the progress, given the steps of a request as they are done; steps: of each image."""
    with working() as move:
        whole, done = images * steps, 0

        def step(info: StepInfo) -> None:
            nonlocal done
            if info.steps < steps:  # descent looks ahead; how often is not known
                move("moving the noise", done, whole)
                return
            done += len(info.images)
            move("denoising", done, max(whole, done))  # repairs are steps more

        yield step
