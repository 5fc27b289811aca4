"""Distributional alignment on a small model: targets, learning, the LoRA's file, and that nothing of it stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor
from untrained import pipe_of, plain_latents, weights

from fair_diffusion.backbones import adapt
from fair_diffusion.models.edits import edited
from fair_diffusion.steering.cost import cost_of
from fair_diffusion.steering.learn.alignment import learn, targets


def reds(pixels: Tensor) -> Tensor:
    """A perceiver that takes reddish images for women: woman, man, unknown."""
    woman = (20 * (pixels[:, 0] - pixels[:, 1]).mean(dim=(1, 2))).sigmoid()
    return 0.98 * torch.stack([woman, 1 - woman, torch.full_like(woman, 0.02 / 0.98)], dim=1)


def tints(pixels: Tensor) -> Tensor:
    return pixels.mean(dim=(2, 3))


def trainable(pipeline: Any) -> list[bool]:
    return [p.requires_grad for part in (pipeline.unet, pipeline.text_encoder) for p in part.parameters()]


def state(pipeline: Any) -> tuple[Any, ...]:
    names = [name for part in (pipeline.unet, pipeline.text_encoder) for name, _ in part.named_modules()]
    return weights(pipeline), trainable(pipeline), names, pipeline.get_list_adapters()


SMALL: dict[str, Any] = {"shares": [0.5, 0.5], "probabilities": reds, "features": tints, "images": 6, "steps": 2}
SMALL |= {"guidance": 2.0, "rank": 4}


@pytest.mark.parametrize("parts", [("unet",), ("text_encoder",), ("unet", "text_encoder")])
def test_learning_leaves_the_pipeline(tiny_sd: Any, tmp_path: Path, parts: tuple[str, ...]) -> None:
    backbone, path = adapt(tiny_sd), tmp_path / "lora.safetensors"
    before, plain = state(tiny_sd), plain_latents(backbone)
    found = learn(backbone, ["a cook"], parts=parts, iterations=2, rate=1e-2, **SMALL)
    assert state(tiny_sd) == before
    assert torch.equal(plain, plain_latents(backbone))
    networks = (tiny_sd.unet, tiny_sd.text_encoder)
    assert all(weight.grad is None for network in networks for weight in network.parameters())
    assert {name.split(".")[0] for name in found.tensors} == set(parts)
    assert all(torch.isfinite(tensor).all() for tensor in found.tensors.values())

    found.save(path)
    assert cost_of(path).steps == found.cost.steps == 2
    assert {name: tensor.shape for name, tensor in load_file(path).items()} == {
        name: tensor.shape for name, tensor in found.tensors.items()
    }
    with edited(tiny_sd, path):
        steered = plain_latents(adapt(tiny_sd))
    assert (steered - plain).abs().max() > 1e-4
    assert state(tiny_sd) == before
    assert torch.equal(plain, plain_latents(adapt(tiny_sd)))


def test_plain_diffusers_loads_it(tiny_sd: Any, tmp_path: Path) -> None:
    path = tmp_path / "lora.safetensors"
    learn(adapt(tiny_sd), ["a cook"], parts=["unet", "text_encoder"], iterations=1, rate=1e-2, **SMALL).save(path)
    before = state(tiny_sd)
    with edited(tiny_sd, path):
        ours = plain_latents(adapt(tiny_sd))
    twin = StableDiffusionPipeline(**tiny_sd.components, requires_safety_checker=False)
    took = trainable(twin)
    twin.load_lora_weights(tmp_path, weight_name="lora.safetensors")
    theirs = plain_latents(adapt(twin))
    twin.unload_lora_weights()
    for parameter, flag in zip([*twin.unet.parameters(), *twin.text_encoder.parameters()], took, strict=True):
        parameter.requires_grad_(flag)
    assert torch.equal(ours, theirs)
    assert state(tiny_sd) == before


def test_the_loss_goes_down(tiny_sd: Any) -> None:
    losses: list[float] = []
    asked = SMALL | {"shares": [0.9, 0.1], "rank": 8}
    learn(adapt(tiny_sd), ["a cook"], iterations=14, rate=1e-2, on_step=lambda _, loss: losses.append(loss), **asked)
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_in_the_flow(tiny_sd: Any, tmp_path: Path) -> None:
    path, before = tmp_path / "lora.safetensors", state(tiny_sd)
    learn(adapt(tiny_sd), ["a cook"], iterations=1, rate=1e-1, **SMALL).save(path)
    result = pipe_of(tiny_sd)(
        "a doctor", n=2, steps=2, instruct="doctor: half women", method="edit", file=path, compare_plain=True
    )
    assert result.plain is not None
    assert all(a.tobytes() != b.tobytes() for a, b in zip(result.images, result.plain.images, strict=True))
    assert state(tiny_sd) == before


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=12, unique=True).map(lambda p: np.array(p) / 1000),
    st.floats(0.05, 0.95),
)
def test_two_groups_by_rank(p: Any, share: float) -> None:
    """Those nearest to the first group get it, the middle is unsure, and the transport of draws agrees."""
    both = np.stack([p, 1 - p], axis=1)
    chosen, unsure = targets(both, [share, 1 - share])
    order = np.argsort(-p)
    assert (np.diff(chosen[order]) >= 0).all()
    drawn, roughly = targets(np.column_stack([both, np.full(len(p), -1.0)]), [share, 1 - share, 0.0])
    np.testing.assert_allclose(unsure, roughly, atol=0.2)
    assert (drawn == chosen)[unsure < 0.3].all()


def test_several_groups_by_transport() -> None:
    p = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.5, 0.3, 0.2], [0.5, 0.1, 0.4], [0.6, 0.0, 0.4]])
    chosen, unsure = targets(np.tile(p, (5, 1)), [1 / 3] * 3)
    assert set(np.bincount(chosen)) == {10}
    assert chosen.reshape(5, 6)[:, 0].tolist() == [0] * 5
    assert (chosen.reshape(5, 6)[:, 4] == 2).all()
    assert unsure.min() < 0.05
    assert targets(p, [1.0, 0.0, 0.0])[0].tolist() == [0] * 6
    with pytest.raises(ValueError, match="do not fit 2 shares"):
        targets(p, [0.5, 0.5])


@pytest.mark.parametrize(
    ("family", "asked", "message"),
    [
        ("sd", {"shares": [0.5, 0.6]}, "summing to 1"),
        ("sd", {"images": 1}, "images 1"),
        ("sd", {"parts": ["vae"]}, "'vae' of StableDiffusionPipeline takes no LoRA"),
        ("sd", {"parts": ["transformer"]}, "'transformer' of StableDiffusionPipeline takes no LoRA"),
        ("pixart", {}, "PixArtSigmaPipeline cannot load a LoRA"),
    ],
)
def test_wrong_arguments_are_named(
    tiny: Callable[[str], Any], family: str, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        learn(adapt(tiny(family)), ["a cook"], **(SMALL | asked))
