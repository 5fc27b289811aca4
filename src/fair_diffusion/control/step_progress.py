"""The steps of a request, told as images: what a bar over many requests counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fair_diffusion.backbones import StepInfo


def step_progress(
    progress: Callable[[int, int | None], None], before: int, whole: int, *, n: int, steps: int
) -> Callable[[StepInfo], None]:
    """A callback of the steps of `n` images that tells `progress` how many of `whole` are done, `before` among them."""
    rows = 0

    def moved(info: StepInfo) -> None:
        nonlocal rows
        if info.steps >= steps:  # a shorter run only looks; one as short as the request's counts as well
            rows += len(info.images)
        progress(before + min(n, rows // max(info.steps, steps)), whole)

    return moved
