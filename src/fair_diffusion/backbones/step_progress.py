"""The steps of batches, told as images: what a bar over many requests counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fair_diffusion.files.progress import Progress

if TYPE_CHECKING:
    from fair_diffusion.backbones import StepInfo


class StepProgress:
    """A callback of steps that tells how many images are done.

    Args:
        progress: is told.
        whole: all images that there will be.
        steps: of an image.
    """

    def __init__(self, progress: Progress, whole: int, *, steps: int) -> None:
        self._progress, self._whole, self._steps = progress, whole, steps
        self._before, self._rows = 0, 0

    def at(self, done: int) -> None:
        """Count on from so many finished images: repairs took more steps than images, and some images were there."""
        self._before, self._rows = done, 0
        self._progress(done, self._whole)

    def __call__(self, info: StepInfo) -> None:
        """Count the images of one step; the steps of a shorter run, which only looks ahead, do not count."""
        if info.steps >= self._steps:
            self._rows += len(info.images)
        self._progress(min(self._whole, self._before + self._rows // max(info.steps, self._steps)), self._whole)
