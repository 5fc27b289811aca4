"""Steps of requests, told as images."""

from __future__ import annotations

import torch

from fair_diffusion.backbones import StepInfo
from fair_diffusion.control.step_progress import step_progress


def test_progress_counts_pictures_and_no_looks() -> None:
    told: list[int] = []
    moved = step_progress(lambda done, _: told.append(done), 10, 20, n=5, steps=10)
    for steps in (3, 10):
        for step in range(steps):
            moved(StepInfo(range(5), step, steps, 0.0, torch.zeros(0), lambda: torch.zeros(0)))
    assert told == [10] * 3 + [10, 11, 11, 12, 12, 13, 13, 14, 14, 15]
