"""Partial images of a job while it is drawn: the picture that the model predicts at a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from PIL import Image

from fair_diffusion.backbones import Backbone, StepInfo
from fair_diffusion.files.pictures import from_pixels


def preview_steps(steps: int, partials: int) -> dict[int, int]:
    """After which steps a partial image is shown, spread evenly over a run, and its number.

    A short run shows fewer than `partials`."""
    places = dict.fromkeys(round((k + 1) * steps / (partials + 1)) - 1 for k in range(partials))
    return {step: number for number, step in enumerate(step for step in places if 0 <= step < steps - 1)}


class Previews:
    """The partial images of one job, each shown once: an image that is made again shows none twice.

    Args:
        first: the number of its first image in the run.
        n: its images.
        steps: as in `preview_steps`.
        partials: as in `preview_steps`.
        show: is given the number of the image, the number of the partial image, and the picture.
    """

    def __init__(
        self, first: int, n: int, *, steps: int, partials: int, show: Callable[[int, int, Image.Image], None]
    ) -> None:
        self._first, self._n, self._steps, self._show = first, n, steps, show
        self._at = preview_steps(steps, partials)
        self._shown: set[tuple[int, int]] = set()

    def wanted(self, info: StepInfo) -> list[int]:
        """The rows of the batch that are shown after this step."""
        if info.steps != self._steps or info.step not in self._at:
            return []
        number = self._at[info.step]
        ours = range(self._first, self._first + self._n)
        return [row for row, image in enumerate(info.images) if image in ours and (image, number) not in self._shown]

    @torch.no_grad()
    def show(self, info: StepInfo, rows: Sequence[int], backbone: Backbone) -> None:
        """Show these rows of the batch."""
        number = self._at[info.step]
        pictures = from_pixels(backbone.decode(info.clean()[list(rows)]))
        for row, picture in zip(rows, pictures, strict=True):
            self._shown.add((info.images[row], number))
            self._show(info.images[row] - self._first, number, picture)
