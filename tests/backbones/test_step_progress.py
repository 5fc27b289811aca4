"""Steps told as images."""

from __future__ import annotations

from typing import Any

from fair_diffusion.backbones import StepInfo
from fair_diffusion.backbones.step_progress import StepProgress


def test_steps_are_told_as_images() -> None:
    told: list[tuple[int, int | None]] = []
    moved = StepProgress(lambda *said: told.append(said), 15, steps=10)
    nothing: Any = None

    def step(images: int, steps: int) -> None:
        moved(StepInfo(range(images), 0, steps, 0.0, nothing, nothing))

    moved.at(10)
    for _ in range(10):
        step(2, 10)
    assert told[0] == (10, 15)
    assert told[-1] == (12, 15)
    step(4, 3)  # a shorter run only looks ahead
    assert told[-1] == (12, 15)
    for _ in range(10):
        step(3, 20)  # a longer run has more steps for each image
    assert told[-1] == (12, 15)
    moved.at(14)  # repairs took steps without an image more
    for _ in range(40):
        step(2, 10)
    assert told[-1] == (15, 15)
    assert {whole for _, whole in told} == {15}
