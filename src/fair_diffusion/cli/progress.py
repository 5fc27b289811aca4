"""What takes more than two seconds says so on standard error, with a bar and the time left where that is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fair_diffusion.files.text import printable

if TYPE_CHECKING:
    from fair_diffusion.backbones import StepInfo

PATIENCE = 2.0
"""Seconds before the bar shows."""


@contextmanager
def loading(model: str) -> Iterator[None]:
    """Say that a model is being loaded, in place of the bars of the libraries, one for each of its parts."""
    from diffusers.utils import logging as diffusers_bars
    from transformers.utils import logging as transformers_bars

    for bars in (diffusers_bars, transformers_bars):
        bars.disable_progress_bar()
    console = Console(stderr=True, markup=False)
    with console.status(f"loading {printable(model)} (downloaded first if it is not cached)"):
        yield


@contextmanager
def working() -> Iterator[Callable[[str, float, float | None], None]]:
    """A callback that moves the bar, given what is being done, how much is done and the whole (None: not known)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    start = time.monotonic()
    console = Console(stderr=True, force_interactive=True)  # otherwise an empty line is left where there is no terminal
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)

        def move(what: str, done: float, whole: float | None) -> None:
            visible = time.monotonic() - start > PATIENCE
            bar.update(task, description=what, completed=done, total=whole, visible=visible)

        yield move


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """A callback that moves the bar, given what is done and the whole (None: not known)."""
    with working() as move:
        yield lambda done, whole: move(what, done, whole)


@contextmanager
def denoising(images: int, steps: int) -> Iterator[Callable[[StepInfo], None]]:
    """A callback that moves the bar, given the steps of a request as they are done; steps: of each image."""
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
