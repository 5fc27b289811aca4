"""Weight edits are put in and taken out to the last bit, and what does not fit changes nothing."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file
from untrained import pipe_of, plain_latents, weights

from fair_diffusion.backbones import adapt
from fair_diffusion.models.edits import edited

NAME = "mid_block.resnets.0.conv1.weight"


def test_some_parameters(tiny_sd: Any, tmp_path: Path) -> None:
    before, plain = weights(tiny_sd), plain_latents(adapt(tiny_sd))
    new = torch.randn_like(tiny_sd.unet.state_dict()[NAME])
    save_file({NAME: new.half()}, tmp_path / "edit.safetensors")
    with edited(tiny_sd, tmp_path / "edit.safetensors"):
        assert torch.equal(tiny_sd.unet.state_dict()[NAME], new.half().float())
        assert not torch.equal(plain, plain_latents(adapt(tiny_sd)))
    assert weights(tiny_sd) == before
    assert torch.equal(plain, plain_latents(adapt(tiny_sd)))


def test_a_whole_network_and_an_error_on_the_way(tiny_sd: Any, tmp_path: Path) -> None:
    before = weights(tiny_sd)
    save_file({k: v + 1 for k, v in tiny_sd.unet.state_dict().items()}, tmp_path / "unet.safetensors")

    def fail() -> None:
        with edited(tiny_sd, tmp_path / "unet.safetensors"):
            assert weights(tiny_sd) != before
            raise RuntimeError("on the way")

    with pytest.raises(RuntimeError, match="on the way"):
        fail()
    assert weights(tiny_sd) == before


def test_a_whole_network_in_plain_diffusers(tiny_sd: Any, tmp_path: Path) -> None:
    """As retraining leaves it: the pipeline of diffusers draws from the file what we draw."""
    path, generator = tmp_path / "unet.safetensors", torch.Generator().manual_seed(0)
    trained = {k: v + 0.01 * torch.randn(v.shape, generator=generator) for k, v in tiny_sd.unet.state_dict().items()}
    save_file(trained, path)
    with edited(tiny_sd, path):
        ours = plain_latents(adapt(tiny_sd))
    twin = StableDiffusionPipeline(
        **tiny_sd.components | {"unet": copy.deepcopy(tiny_sd.unet)}, requires_safety_checker=False
    )
    twin.unet.load_state_dict(load_file(path))
    theirs = twin(
        ["a man"] * 2,
        num_inference_steps=3,
        guidance_scale=3.0,
        generator=[torch.Generator().manual_seed(seed) for seed in (4, 5)],
        output_type="latent",
    ).images
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    assert (ours - plain_latents(adapt(tiny_sd))).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({NAME: torch.zeros(3)}, r"'mid_block.resnets.0.conv1.weight' of shape \(3,\), but this model's is \(32, 32"),
        ({"other": torch.zeros(3)}, "holds 'other', which this model's UNet2DConditionModel does not have"),
        ({NAME: torch.full((32, 32, 3, 3), torch.nan)}, "not finite"),
        ({"unet.other.lora_A.weight": torch.zeros(2, 3)}, "LoRA"),
    ],
)
def test_what_does_not_fit_is_named(tiny_sd: Any, tmp_path: Path, tensors: dict[str, Any], message: str) -> None:
    before, path = weights(tiny_sd), tmp_path / "edit.safetensors"
    save_file(tensors, path)
    with pytest.raises(ValueError, match=message), edited(tiny_sd, path):
        pass
    assert weights(tiny_sd) == before


@pytest.mark.parametrize("place", ["meta", "cpu"])
def test_weights_that_are_kept_elsewhere_are_named(tiny_sd: Any, tmp_path: Path, place: str) -> None:
    """As sequential offload leaves them, where a copy would change nothing."""
    pipeline = copy.deepcopy(tiny_sd)
    save_file({NAME: pipeline.unet.state_dict()[NAME] + 1}, tmp_path / "edit.safetensors")
    pipeline.unet.mid_block.to(place)
    changed = edited(pipeline, tmp_path / "edit.safetensors")
    if place == "cpu":
        with changed:
            assert weights(pipeline) != weights(tiny_sd)
        return
    with (
        pytest.raises(ValueError, match=rf"holds '{NAME}', which this model keeps off the device.*offload 'model'"),
        changed,
    ):
        pass


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", None])
def test_what_is_no_safetensors_is_named(tiny_sd: Any, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "edit.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as safetensors"), edited(tiny_sd, path):
        pass


def test_an_edit_in_the_flow(tiny_sd: Any, tmp_path: Path) -> None:
    """The images are drawn with it, their twins and prompts under no rule without it."""
    pipe, before, path = pipe_of(tiny_sd), weights(tiny_sd), tmp_path / "edit.safetensors"
    asked: dict[str, Any] = {"n": 2, "steps": 2, "instruct": "doctor: half women"}
    plain = pipe("a doctor", **asked, method="none")
    save_file({NAME: 3 * tiny_sd.unet.state_dict()[NAME]}, path)
    result = pipe("a doctor", **asked, method="edit", file=path, compare_plain=True)
    assert result.plain is not None
    assert [a.tobytes() for a in result.plain.images] == [b.tobytes() for b in plain.images]
    assert all(a.tobytes() != b.tobytes() for a, b in zip(result.images, plain.images, strict=True))
    assert {(record.control, record.steered, record.evaluations) for record in result.records} == {("all", True, 4)}
    assert result.made_with["learnt"].startswith("edit.safetensors, sha256 ")
    assert weights(tiny_sd) == before
    other = pipe("a female doctor", **asked, method="edit", file=path)
    same = pipe("a female doctor", **asked, method="none")
    assert [a.tobytes() for a in other.images] == [b.tobytes() for b in same.images]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"method": "edit"}, "method 'edit' needs a file with edited weights or a LoRA; name it as file"),
        ({"method": "bottleneck"}, "a vector for each group; name it as file"),
        ({"file": Path("x")}, "file is 'x', which method 'switch' does not use; use bottleneck, edit, distribution"),
        ({"method": "edit", "file": Path("gone")}, "gone cannot be read"),
    ],
)
def test_a_file_and_its_method_go_together(tiny_sd: Any, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pipe_of(tiny_sd)("a doctor", steps=1, instruct="doctor: half women", **asked)
