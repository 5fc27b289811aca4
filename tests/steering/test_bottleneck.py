"""Vectors in the middle of the network: learning, the file, per-image steering, and that nothing of it stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from untrained import pipe_of, plain_latents, weights

from fair_diffusion.backbones import Conditioning, adapt
from fair_diffusion.backbones.adapter import MIDDLE
from fair_diffusion.steering.bottleneck import Directions
from fair_diffusion.steering.cost import Cost, cost_of
from fair_diffusion.steering.learn.bottleneck import learn, middle_shape

NEUTRAL = ["a cook", "a pilot"]
GROUPED = {("gender", "woman"): ["a woman cook", "a woman pilot"], ("gender", "man"): ["a man cook", "a man pilot"]}


def hooks(network: torch.nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


def random(pipeline: Any, scale: float = 3.0) -> Directions:
    generator = torch.Generator().manual_seed(0)
    shape = middle_shape(adapt(pipeline))
    return Directions({group: scale * torch.randn(shape, generator=generator) for group in GROUPED}, Cost())


@pytest.mark.parametrize("family", ["sd", "sdxl", "lcm"])
def test_each_row_gets_its_own_vector(tiny: Callable[[str], Any], family: str) -> None:
    pipeline = tiny(family)
    backbone = adapt(pipeline)
    before, plain = weights(pipeline), plain_latents(backbone)
    cond = backbone.encode(["a cook"] * 3)
    aims: list[tuple[dict[str, str], float]] = [({"gender": "woman"}, 1.0), ({}, 0.0), ({"gender": "man"}, 2.0)]
    steered, empty = random(pipeline).steer(cond, backbone.empty()[[0] * 3], aims)
    assert not empty.added[MIDDLE].any()
    latents = torch.randn(3, *backbone.latent_shape, generator=torch.Generator().manual_seed(1))
    t = torch.tensor(400)

    def output(c: Conditioning) -> Tensor:
        return backbone.evaluate(latents, t, c)

    with torch.no_grad():
        change = (output(steered) - output(cond)).abs().amax(dim=(1, 2, 3))
        once = replace(steered, added={**steered.added, MIDDLE: steered.added[MIDDLE] / 2})
        assert not torch.equal(output(once)[2], output(steered)[2])
    assert change[1] == 0
    assert (change[[0, 2]] > 1e-4).all()
    assert torch.equal(plain, plain_latents(backbone))
    assert (weights(pipeline), hooks(backbone.network)) == (before, 0)


def test_learning_leaves_the_model(tiny_sd: Any) -> None:
    backbone, before = adapt(tiny_sd), weights(tiny_sd)
    seen: list[tuple[Any, int]] = []

    def note(group: Any, step: int, loss: float) -> None:
        seen.append((group, step))

    found = learn(backbone, NEUTRAL, GROUPED, images=12, epochs=2, steps=2, guidance=2.0, on_step=note)
    # one evaluation to know the shape; drawing takes two at each step; learning sees each image twice
    assert found.cost.evaluations == backbone.evaluations == 1 + 2 * (12 * 2 * 2 + 12 * 2)
    assert found.cost.steps == len(seen) == 2 * 2 * 2
    assert seen[-1] == (("gender", "man"), 8)
    assert all(vector.abs().max() > 0 for vector in found.vectors.values())
    assert {vector.shape for vector in found.vectors.values()} == {middle_shape(backbone)}
    assert (weights(tiny_sd), hooks(tiny_sd.unet)) == (before, 0)
    assert all(parameter.grad is None for parameter in tiny_sd.unet.parameters())


def test_the_file(tiny_sd: Any, tmp_path: Path) -> None:
    path, found = tmp_path / "directions.safetensors", replace(random(tiny_sd), cost=Cost(steps=3, seconds=1.5))
    found.save(path)
    again = Directions.load(path)
    assert list(again.vectors) == sorted(found.vectors)
    for group, vector in found.vectors.items():
        assert torch.equal(again.vectors[group], vector.half())
    assert again.cost == cost_of(path) == found.cost


def test_in_the_flow(tiny_sd: Any, tmp_path: Path) -> None:
    pipe, before, path = pipe_of(tiny_sd), weights(tiny_sd), tmp_path / "directions.safetensors"
    random(tiny_sd).save(path)
    asked: dict[str, Any] = {"n": 4, "steps": 2, "method": "bottleneck", "file": path}
    result = pipe("a doctor", **asked, instruct="doctor: half women", compare_plain=True)
    assert result.plain is not None
    assert sorted(record.assigned["gender"] for record in result.records) == ["man", "man", "woman", "woman"]
    assert {(record.control, record.strength, record.evaluations) for record in result.records} == {("all", 1.0, 4)}
    plain = pipe("a doctor", n=4, steps=2, method="none")
    assert [a.tobytes() for a in plain.images] == [b.tobytes() for b in result.plain.images]
    assert all(a.tobytes() != b.tobytes() for a, b in zip(result.images, plain.images, strict=True))
    assert result.made_with["learnt"].startswith("directions.safetensors, sha256 ")
    assert (weights(tiny_sd), hooks(tiny_sd.unet)) == (before, 0)
    with pytest.raises(ValueError, match="no direction for skin_tone/light, only for gender/man, gender/woman"):
        pipe("a doctor", **asked, instruct="doctor: all light skin tone")


def test_vectors_of_another_model_are_refused(tiny_sd: Any, tmp_path: Path) -> None:
    path = tmp_path / "directions.safetensors"
    Directions({group: torch.ones(8, 2, 2) for group in GROUPED}, Cost()).save(path)
    with pytest.raises(ValueError, match=r"have shape \(8, 2, 2\), but the middle of this model has \(32, 4, 4\)"):
        pipe_of(tiny_sd)("a doctor", steps=1, instruct="doctor: all women", method="bottleneck", file=path)
    assert hooks(tiny_sd.unet) == 0


@pytest.mark.parametrize("family", ["sd3", "flux-dev", "pixart"])
def test_transformers_are_told(tiny: Callable[[str], Any], tmp_path: Path, family: str) -> None:
    path = tmp_path / "directions.safetensors"
    Directions({("gender", "woman"): torch.ones(8, 2, 2)}, Cost()).save(path)
    with pytest.raises(ValueError, match="has no middle block"):
        middle_shape(adapt(tiny(family)))
    with pytest.raises(ValueError, match="has no middle block"):
        pipe_of(tiny(family))("a doctor", steps=1, instruct="doctor: all women", method="bottleneck", file=path)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"woman": torch.ones(8, 2, 2)},
        {"gender/woman": torch.ones(8)},
        {"gender/woman": torch.ones(8, 2, 2), "gender/man": torch.ones(8, 4, 4)},
        {"gender/woman": torch.full((8, 2, 2), torch.inf)},
        None,
    ],
)
def test_other_files_are_refused(tmp_path: Path, tensors: dict[str, Tensor] | None) -> None:
    path = tmp_path / "directions.safetensors"
    if tensors is not None:
        save_file(tensors, path, Cost().metadata())
    with pytest.raises(ValueError, match="does not hold directions of groups"):
        Directions.load(path)


@pytest.mark.parametrize(
    ("asked", "message"),
    [({"images": 0}, "images is 0"), ({"epochs": 0}, "epochs 0"), ({"neutral": NEUTRAL[:1]}, "as many for each")],
)
def test_wrong_arguments_are_named(tiny_sd: Any, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learn(adapt(tiny_sd), **({"neutral": NEUTRAL, "grouped": GROUPED} | asked))
