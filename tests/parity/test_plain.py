"""The denoising loop without steering against `diffusers.StableDiffusionPipeline`."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from fair_diffusion.backbones import StableDiffusion, denoise

PROMPTS = ["a photo of a man", "a photo of a cook", "a pilot"]
SEEDS = [3, 1, 2**40]
TOLERANCE = 1e-4
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-karras": ("EulerDiscreteScheduler", {"use_karras_sigmas": True}),
    "euler-ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "dpm++-2m": ("DPMSolverMultistepScheduler", {}),
    "dpm++-2m-karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "dpm++-2m-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "ddpm": ("DDPMScheduler", {"clip_sample": False}),
}


def with_scheduler(pipeline: Any, name: str, prediction: str = "epsilon") -> Any:
    """The same networks with another scheduler."""
    kind, settings = SCHEDULERS[name]
    common = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    parts = dict(pipeline.components)
    parts["scheduler"] = getattr(diffusers, kind)(**common, **settings, prediction_type=prediction)
    twin = type(pipeline)(**parts, requires_safety_checker=False)
    twin.set_progress_bar_config(disable=True)
    return twin


def ours(pipeline: Any, *, guidance: float, steps: int, batch_size: int = 3) -> Tensor:
    backbone = StableDiffusion(pipeline)
    batches = denoise(
        backbone,
        prompts_cond=backbone.encode(PROMPTS),
        empty_cond=backbone.encode([""]),
        seeds=SEEDS,
        steps=steps,
        guidance=guidance,
        batch_size=batch_size,
    )
    return torch.cat([batch.latents for batch in batches])


def theirs(pipeline: Any, *, guidance: float, steps: int, output_type: str = "latent") -> Any:
    return pipeline(
        PROMPTS,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in SEEDS],
        output_type=output_type,
    ).images


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_plain_latents(tiny_sd: Any, name: str, prediction: str) -> None:
    pipeline = with_scheduler(tiny_sd, name, prediction)
    error = (ours(pipeline, guidance=7, steps=12) - theirs(pipeline, guidance=7, steps=12)).abs().max().item()
    print(f"max abs error {error:.1e}")
    assert error <= TOLERANCE


@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_guidance_scale(tiny_sd: Any, guidance: float) -> None:
    torch.testing.assert_close(
        ours(tiny_sd, guidance=guidance, steps=5),
        theirs(tiny_sd, guidance=guidance, steps=5),
        atol=TOLERANCE,
        rtol=0,
    )


def test_pixels_and_pictures(tiny_sd: Any) -> None:
    latents = ours(tiny_sd, guidance=7, steps=5)
    backbone = StableDiffusion(tiny_sd)
    with torch.no_grad():
        pixels = backbone.decode(latents)
    expected = torch.from_numpy(theirs(tiny_sd, guidance=7, steps=5, output_type="np")).permute(0, 3, 1, 2)
    torch.testing.assert_close(pixels, expected, atol=TOLERANCE, rtol=0)
    for picture, other in zip(
        backbone.images(latents), theirs(tiny_sd, guidance=7, steps=5, output_type="pil"), strict=True
    ):
        difference = [abs(a - b) for a, b in zip(picture.tobytes(), other.tobytes(), strict=True)]
        assert max(difference) <= 1


def test_encoding(tiny_sd: Any) -> None:
    prompts = ["a man", "a very long prompt that does not fit into so few tokens", "a man"]
    expected = tiny_sd.encode_prompt(prompts, "cpu", 1, False)[0]
    torch.testing.assert_close(StableDiffusion(tiny_sd).encode(prompts).embeddings, expected)
