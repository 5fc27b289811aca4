"""Methods in every family that can: semantic guidance and switching mid-way and from the start, and all others.

A family that cannot says so. What is tested where stands in the table of docs/reference/models.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_families import TEXT_FAMILIES
from torch import Tensor
from untrained import pipe_of, weights

from fair_diffusion.backbones import Backbone, adapt, advance, begin
from fair_diffusion.methods import METHODS
from fair_diffusion.request import Request
from fair_diffusion.result import Result
from fair_diffusion.steering import guide_of
from fair_diffusion.steering.aim import Aim
from fair_diffusion.steering.bottleneck import Directions
from fair_diffusion.steering.brief import Aimed, Brief
from fair_diffusion.steering.cost import Cost
from fair_diffusion.steering.learn import alignment
from fair_diffusion.steering.learn.bottleneck import middle_shape
from fair_diffusion.steering.window import steering_start

PROMPT = "a man"
AIMS = [
    Aim({"gender": "woman"}, {"gender": ["man"]}, 1.0),
    Aim(),
    Aim({"gender": "man"}, {"gender": ["woman"]}, 2.0),
]
STEPS = 4


def draw(
    backbone: Backbone, method: str, control: str | None, aims: list[Aim], seeds: list[int], steps: int = STEPS
) -> tuple[Tensor, list[int]]:
    """The latents of images with these aims, and what they cost."""
    request = Request(prompt=PROMPT, n=len(aims), method=method, control=control, steps=steps, guidance=4.0)
    brief, guide = Brief(backbone, request, start=2), guide_of(request.row)
    start = steering_start(steps) if request.natural_first else 0
    batch = begin(backbone, range(len(aims)), seeds=seeds, steps=steps)
    batch = advance(batch, guide([Aimed(brief, Aim())] * len(aims)), until=start)
    batch = advance(batch, guide([Aimed(brief, aim) for aim in aims]))
    return batch.latents, batch.evaluations.tolist()


@pytest.mark.parametrize(
    ("method", "control"), [("semantic", "natural-first"), ("semantic", "all"), ("switch", "natural-first")]
)
@pytest.mark.parametrize("family", [*TEXT_FAMILIES, "lcm"])
def test_steered_and_left_alone(tiny: Callable[[str], Any], family: str, method: str, control: str) -> None:
    backbone = adapt(tiny(family))
    seeds = [7, 8, 9]
    plain, cost = draw(backbone, "none", None, [Aim()] * 3, seeds)
    steered, costs = draw(backbone, method, control, AIMS, seeds)
    assert torch.equal(steered[1], plain[1])
    change = (steered - plain).abs().amax(dim=(1, 2, 3))
    assert (change[[0, 2]] > 1e-3).all()
    for image in (0, 2):
        alone, _ = draw(backbone, method, control, [AIMS[image]], [seeds[image]])
        torch.testing.assert_close(alone[0], steered[image], atol=1e-4, rtol=2e-5)  # rounding grows with the latents

    one = 1 if backbone.distilled else 2
    assert cost == [STEPS * one] * 3
    # two concepts at each step of the window; without a pass on the empty prompt that too
    window = {"natural-first": 2, "all": STEPS}[control] if method == "semantic" else 0
    assert costs == [cost[0] + window * (2 + 2 - one), cost[0], cost[0] + window * (2 + 2 - one)]


@pytest.mark.parametrize("method", ["semantic", "switch"])
@pytest.mark.parametrize("steps", [1, 2])
def test_the_fewest_steps(tiny: Callable[[str], Any], steps: int, method: str) -> None:
    backbone = adapt(tiny("flux-schnell"))
    plain, _ = draw(backbone, "none", None, [Aim()] * 3, [7, 8, 9], steps)
    steered, _ = draw(backbone, method, "natural-first", AIMS, [7, 8, 9], steps)
    assert torch.equal(steered[1], plain[1])
    assert ((steered - plain).abs().amax(dim=(1, 2, 3))[[0, 2]] > 1e-3).all()


@pytest.mark.usefixtures("short_descent")
@pytest.mark.parametrize("family", [*TEXT_FAMILIES, "lcm", "pixel"])
def test_methods_without_a_look(tiny: Callable[[str], Any], family: str) -> None:
    """Of the images that are drawn from a seed, those differ from the plain one that are said to be steered."""
    pipe = pipe_of(tiny(family))
    plain = pipe("a doctor", n=8, steps=2, method="none")
    twins = {record.seed: np.asarray(image, int) for record, image in zip(plain.records, plain.images, strict=True)}
    for method in ("prompt", "hint", "embedding", "rejection", "latents", "distribution"):
        if family == "pixel" and METHODS[method].reads_text:
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


@pytest.mark.parametrize("family", [*TEXT_FAMILIES, "lcm", "pixel"])
def test_pictures_of_the_size_that_is_asked_for(tiny: Callable[[str], Any], family: str) -> None:
    pipe = pipe_of(tiny(family))
    factor = getattr(pipe.backbone.pipeline, "vae_scale_factor", 1)
    width, height = 12 * max(factor, 2), 8 * max(factor, 2)
    method = "none" if family == "pixel" else "switch"
    asked: dict[str, Any] = {"n": 2, "steps": 2, "method": method, "instruct": "doctor: half women"}
    result = pipe("a doctor", size=f"{width}x{height}", compare_plain=True, **asked)
    assert result.plain is not None
    assert {image.size for image in (*result.images, *result.plain.images)} == {(width, height)}
    usual = pipe("a doctor", **asked)
    assert {image.size for image in usual.images} != {(width, height)}
    grain = factor * (1 if family in ("sd", "sdxl", "lcm") else 2)  # patches, or a network that halves
    if grain > 1:
        with pytest.raises(ValueError, match=f"is {width + 1} wide; this model needs multiples of {grain}"):
            pipe("a doctor", size=f"{width + 1}x{height}", **asked)


def drawn_by(pipeline: Any, method: str, **file: Any) -> Result:
    """Two doctors, half women, beside their plain twins; the networks are afterwards what they were."""
    before = weights(pipeline)
    asked: dict[str, Any] = {"n": 2, "steps": 2, "instruct": "doctor: half women", "compare_plain": True}
    result = pipe_of(pipeline)("a doctor", method=method, **asked, **file)
    assert weights(pipeline) == before
    return result


def all_moved(result: Result) -> bool:
    assert result.plain is not None
    pairs = zip(result.images, result.plain.images, strict=True)
    return all(image.tobytes() != twin.tobytes() for image, twin in pairs)


@pytest.mark.parametrize("family", ["sd", "sdxl", "lcm", "pixel"])
def test_vectors_in_the_middle(tiny: Callable[[str], Any], tmp_path: Path, family: str) -> None:
    """Without text too: the vector alone says which group."""
    shape, generator = middle_shape(adapt(tiny(family))), torch.Generator().manual_seed(0)
    vectors = {("gender", group): 3 * torch.randn(shape, generator=generator) for group in ("woman", "man")}
    Directions(vectors, Cost()).save(tmp_path / "vectors.safetensors")
    result = drawn_by(tiny(family), "bottleneck", file=tmp_path / "vectors.safetensors")
    assert all_moved(result)
    assert sorted(record.assigned["gender"] for record in result.records) == ["man", "woman"]


@pytest.mark.parametrize("family", ["sd3", "flux-dev", "flux-schnell", "pixart"])
def test_networks_without_a_middle_say_so(tiny: Callable[[str], Any], tmp_path: Path, family: str) -> None:
    Directions({("gender", group): torch.ones(4, 2, 2) for group in ("woman", "man")}, Cost()).save(tmp_path / "v.st")
    with pytest.raises(ValueError, match="has no middle block to work on; use a model with a UNet, or another method"):
        drawn_by(tiny(family), "bottleneck", file=tmp_path / "v.st")


@pytest.mark.parametrize("family", [*TEXT_FAMILIES, "lcm", "pixel"])
def test_edited_weights(tiny: Callable[[str], Any], tmp_path: Path, family: str) -> None:
    network = getattr(tiny(family), "transformer", None) or tiny(family).unet
    save_file({name: 1.3 * tensor for name, tensor in network.state_dict().items()}, tmp_path / "edit.safetensors")
    assert all_moved(drawn_by(tiny(family), "edit", file=tmp_path / "edit.safetensors"))


@pytest.mark.parametrize("family", ["sd", "sdxl", "sd3", "flux-dev", "flux-schnell", "lcm"])
def test_a_lora_is_learnt_and_drawn_with(tiny: Callable[[str], Any], tmp_path: Path, family: str) -> None:
    align(tiny(family), rate=0.1).save(tmp_path / "lora.safetensors")
    assert all_moved(drawn_by(tiny(family), "edit", file=tmp_path / "lora.safetensors"))


@pytest.mark.parametrize("family", ["pixart", "pixel"])
def test_pipelines_without_loras_say_so(tiny: Callable[[str], Any], family: str) -> None:
    with pytest.raises(ValueError, match="cannot load a LoRA; use another method"):
        align(tiny(family))


def align(pipeline: Any, rate: float = alignment.RATE) -> alignment.Aligned:
    """A LoRA for brighter images, after two steps of learning."""
    return alignment.learn(
        adapt(pipeline),
        ["a man"],
        shares=[1.0, 0.0],
        probabilities=lambda pixels: torch.stack([(p := pixels.mean(dim=(1, 2, 3))), 1 - p], dim=1),
        features=lambda pixels: pixels.flatten(1),
        parts=("unet" if hasattr(pipeline, "unet") else "transformer",),
        iterations=2,
        images=2,
        steps=2,
        guidance=3.0,
        rank=2,
        rate=rate,
    )


def test_models_without_text_say_so(tiny: Callable[[str], Any]) -> None:
    with pytest.raises(ValueError, match="DDPMPipeline draws without text"):
        draw(adapt(tiny("pixel")), "semantic", "all", AIMS, [7, 8, 9])
