"""Methods in every family that can: semantic guidance and switching mid-way and from the start, and all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tiny_families import TEXT_FAMILIES
from torch import Tensor
from untrained import pipe_of

from fair_diffusion.backbones import Backbone, adapt, advance, begin
from fair_diffusion.control import Aim, steering_start
from fair_diffusion.guides import Guides
from fair_diffusion.request import READING, Request

PROMPT = "a man"
AIMS = [
    Aim({"gender": "woman"}, {"gender": ["man"]}, 1.0),
    Aim(),
    Aim({"gender": "man"}, {"gender": ["woman"]}, 2.0),
]
STEPS = 4


def draw(
    backbone: Backbone, method: str, control: str, aims: list[Aim], seeds: list[int], steps: int = STEPS
) -> tuple[Tensor, list[int]]:
    """The latents of images with these aims, and what they cost."""
    request = Request(prompt=PROMPT, n=len(aims), method=method, control=control, steps=steps)
    guides = Guides(backbone, request, 4.0, 2)
    start = steering_start(steps) if request.natural_first else 0
    batch = begin(backbone, range(len(aims)), seeds=seeds, steps=steps)
    batch = advance(batch, guides.guide([Aim()] * len(aims)), until=start)
    batch = advance(batch, guides.guide(aims))
    return batch.latents, batch.evaluations.tolist()


@pytest.mark.parametrize(
    ("method", "control"), [("semantic", "natural-first"), ("semantic", "all"), ("switch", "natural-first")]
)
@pytest.mark.parametrize("family", [*TEXT_FAMILIES, "lcm"])
def test_steered_and_left_alone(tiny: Callable[[str], Any], family: str, method: str, control: str) -> None:
    backbone = adapt(tiny(family))
    seeds = [7, 8, 9]
    plain, cost = draw(backbone, "none", "natural-first", [Aim()] * 3, seeds)
    steered, costs = draw(backbone, method, control, AIMS, seeds)
    assert torch.equal(steered[1], plain[1])
    change = (steered - plain).abs().amax(dim=(1, 2, 3))
    assert (change[[0, 2]] > 1e-3).all()
    for image in (0, 2):
        alone, _ = draw(backbone, method, control, [AIMS[image]], [seeds[image]])
        torch.testing.assert_close(alone[0], steered[image], atol=1e-4, rtol=0)

    one = 1 if backbone.distilled else 2
    assert cost == [STEPS * one] * 3
    # two concepts at each step of the window; without a pass on the empty prompt that too
    window = {"natural-first": 2, "all": STEPS}[control] if method == "semantic" else 0
    assert costs == [cost[0] + window * (2 + 2 - one), cost[0], cost[0] + window * (2 + 2 - one)]


@pytest.mark.parametrize("method", ["semantic", "switch"])
@pytest.mark.parametrize("steps", [1, 2])
def test_the_fewest_steps(tiny: Callable[[str], Any], steps: int, method: str) -> None:
    backbone = adapt(tiny("flux-schnell"))
    plain, _ = draw(backbone, "none", "natural-first", [Aim()] * 3, [7, 8, 9], steps)
    steered, _ = draw(backbone, method, "natural-first", AIMS, [7, 8, 9], steps)
    assert torch.equal(steered[1], plain[1])
    assert ((steered - plain).abs().amax(dim=(1, 2, 3))[[0, 2]] > 1e-3).all()


@pytest.mark.parametrize("family", [*TEXT_FAMILIES, "lcm", "pixel"])
def test_methods_without_a_look(tiny: Callable[[str], Any], family: str) -> None:
    """Of the images that are drawn from a seed, those differ from the plain one that are said to be steered."""
    pipe = pipe_of(tiny(family))
    plain = pipe("a doctor", n=8, steps=2, method="none")
    twins = {record.seed: np.asarray(image, int) for record, image in zip(plain.records, plain.images, strict=True)}
    for method in ("prompt", "hint", "embedding", "rejection", "latents", "distribution"):
        if family == "pixel" and method in READING:
            continue
        result = pipe("a doctor", n=2, steps=2, method=method, instruct="doctor: half women")
        steered = [record.steered for record in result.records]
        for record, image in zip(result.records, result.images, strict=True):
            change = np.abs(np.asarray(image, int) - twins[record.seed]).max()
            assert change > 0 if record.steered else change <= 1, (method, change)  # 1: batches of other sizes round
        if method != "latents":  # which moves only where that lowers the loss
            assert steered == [method != "rejection"] * 2, method
        if method in ("prompt", "latents"):
            assert sorted(record.assigned["gender"] for record in result.records) == ["man", "woman"]


def test_models_without_text_say_so(tiny: Callable[[str], Any]) -> None:
    with pytest.raises(ValueError, match="DDPMPipeline draws without text"):
        draw(adapt(tiny("pixel")), "semantic", "all", AIMS, [7, 8, 9])
