"""An order that nobody wants any more leaves its batch at the next step; its neighbours are drawn as before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fair_diffusion.backbones import StepInfo
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.request import Request
from fair_diffusion.result import Result

PROMPTS = ["a photo of a firefighter", "a photo of a nurse", "a photo of a singer", "a photo of a cook"]


@pytest.fixture(scope="module")
def pocket() -> FairPipeline:
    return FairPipeline.from_pretrained("pocket")


class Mix:
    """Four requests of `n` images in one batch, of which one is unwanted after some steps of the network."""

    def __init__(self, pipe: FairPipeline, unwanted: int, after: int, n: int = 1, **asked: Any) -> None:
        self.steps: list[StepInfo] = []
        requests = [Request(prompt=prompt, seed=70 + k, n=n, **asked) for k, prompt in enumerate(PROMPTS)]
        planned = [pipe.plan(request) for request in requests]
        planned[unwanted] = replace(planned[unwanted], unwanted=lambda: len(self.steps) >= after)
        self.results = dict(pipe.run(planned, self.steps.append))
        self._pipe, self._requests = pipe, requests

    def alone(self, k: int) -> Result:
        """What a request gives that nothing else is drawn with."""
        return self._pipe.many([self._requests[k]])[0]


def farthest(a: Image.Image, b: Image.Image) -> int:
    return int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max())


@pytest.mark.parametrize(
    ("method", "control", "instruct"),
    [
        ("none", None, None),
        ("semantic", "all", "every occupation: all women"),  # it keeps momentum from step to step
        ("switch", "natural-first", "every occupation: half women"),
    ],
)
def test_one_leaves_and_the_others_stay_as_they_are(
    pocket: FairPipeline, method: str, control: str | None, instruct: str | None
) -> None:
    asked: dict[str, Any] = {"steps": 8, "batch_size": 4, "method": method, "control": control, "instruct": instruct}
    mix = Mix(pocket, 1, 5, repair_budget=0, hold="none", **asked)
    assert set(mix.results) == set(range(4))
    left = mix.results[1]
    assert (left.stopped, left.images, left.notes[-1]) == (True, [], "cancelled after 0 of 1 images")
    assert sorted(mix.steps[4].images) == [0, 1, 2, 3]
    assert all(1 not in info.images for info in mix.steps[5:])
    assert [info.step for info in mix.steps if 0 in info.images][-1] == 7
    for k in (0, 2, 3):
        assert not mix.results[k].stopped
        alone = mix.alone(k)
        assert farthest(mix.results[k].images[0], alone.images[0]) <= 1
        assert mix.results[k].records[0].evaluations == alone.records[0].evaluations


def test_finished_images_are_kept_and_what_waits_is_not_drawn(pocket: FairPipeline) -> None:
    mix = Mix(pocket, 0, 4, n=3, steps=2, batch_size=2, method="none")
    first = mix.results[0]
    assert first.stopped
    assert 0 < len(first.images) < 3
    assert all(farthest(a, b) <= 1 for a, b in zip(first.images, mix.alone(0).images, strict=False))
    assert [len(mix.results[k].images) for k in (1, 2, 3)] == [3, 3, 3]


def test_when_all_leave_nothing_more_is_drawn(pocket: FairPipeline) -> None:
    steps: list[StepInfo] = []
    planned = [
        replace(pocket.plan(Request(prompt=prompt, steps=6, batch_size=4)), unwanted=lambda: len(steps) >= 2)
        for prompt in PROMPTS
    ]
    results = dict(pocket.run(planned, steps.append))
    assert len(steps) == 2
    assert all(result.stopped and not result.images for result in results.values())
