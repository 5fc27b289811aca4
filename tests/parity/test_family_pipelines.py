"""The denoising loop without steering against each family's own diffusers pipeline, several images per prompt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from fair_diffusion.backbones import Conditioning, Pixel, adapt, denoise

PROMPTS = ["a photo of a man", "a pilot"]
NEGATIVE = ["a cook", "old"]
SEEDS = [3, 1, 2**40, 5]
STEPS = 6
TOLERANCE = 1e-4
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SCHEDULERS: dict[str, Any] = {
    "ddim": lambda: diffusers.DDIMScheduler(**BETAS, clip_sample=False, steps_offset=1),
    "pndm": lambda: diffusers.PNDMScheduler(**BETAS, skip_prk_steps=True, steps_offset=1),
    "euler": lambda: diffusers.EulerDiscreteScheduler(**BETAS, steps_offset=1),
    "dpm++-2m": lambda: diffusers.DPMSolverMultistepScheduler(**BETAS, steps_offset=1),
    "unipc": lambda: diffusers.UniPCMultistepScheduler(**BETAS, steps_offset=1),
}
FLOWS: dict[str, Any] = {
    "euler": lambda: diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    "euler-dynamic": lambda: diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    "dpm++-2m": lambda: diffusers.DPMSolverMultistepScheduler(
        use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0
    ),
    "unipc": lambda: diffusers.UniPCMultistepScheduler(
        use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0
    ),
}


def variant(pipeline: Any, **parts: Any) -> Any:
    """The same pipeline with other parts."""
    known = {**pipeline.components, **parts}
    if "requires_safety_checker" in pipeline.config:
        known["requires_safety_checker"] = False
    if "force_zeros_for_empty_prompt" in pipeline.config:
        known.setdefault("force_zeros_for_empty_prompt", pipeline.config.force_zeros_for_empty_prompt)
    twin = type(pipeline)(**known)
    twin.set_progress_bar_config(disable=True)
    if hasattr(pipeline, "default_sample_size"):
        twin.default_sample_size = pipeline.default_sample_size
    return twin


def ours(
    pipeline: Any,
    *,
    guidance: float,
    negative: list[str] | None = None,
    rescale: float = 0.0,
    steps: int = STEPS,
    size: tuple[int, int] | None = None,
) -> Tensor:
    backbone = adapt(pipeline) if size is None else adapt(pipeline).sized(*size)
    twice = [0, 0, 1, 1]
    empty = backbone.empty() if negative is None else backbone.encode(negative)[twice]
    batches = denoise(
        backbone,
        prompts_cond=backbone.encode(PROMPTS),
        empty_cond=empty,
        seeds=SEEDS,
        steps=steps,
        guidance=guidance,
        rescale=rescale,
        rows=twice,
    )
    return torch.cat([batch.latents for batch in batches])


def theirs(pipeline: Any, *, output_type: str = "latent", steps: int = STEPS, **more: Any) -> Any:
    return pipeline(
        prompt=PROMPTS,
        num_images_per_prompt=2,
        num_inference_steps=steps,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in SEEDS],
        output_type=output_type,
        **more,
    ).images


def agree(mine: Tensor, other: Tensor) -> None:
    error = (mine - other).abs().max().item()
    print(f"max abs error {error:.1e}")
    assert error <= TOLERANCE


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("family", ["sd", "sdxl", "pixart"])
def test_samplers(tiny: Callable[[str], Any], family: str, name: str) -> None:
    pipeline = variant(tiny(family), scheduler=SCHEDULERS[name]())
    more: dict[str, Any] = {"use_resolution_binning": False} if family == "pixart" else {}
    agree(
        ours(pipeline, guidance=5, negative=NEGATIVE),
        theirs(pipeline, guidance_scale=5, negative_prompt=NEGATIVE, **more),
    )


@pytest.mark.parametrize("name", FLOWS)
def test_flow_samplers(tiny: Callable[[str], Any], name: str) -> None:
    pipeline = variant(tiny("sd3"), scheduler=FLOWS[name]())
    agree(
        ours(pipeline, guidance=5, negative=NEGATIVE),
        theirs(pipeline, guidance_scale=5, negative_prompt=NEGATIVE),
    )


@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("family", ["sd", "sdxl", "sd3", "pixart"])
def test_no_negative_prompt(tiny: Callable[[str], Any], family: str, guidance: float) -> None:
    more: dict[str, Any] = {"use_resolution_binning": False} if family == "pixart" else {}
    agree(ours(tiny(family), guidance=guidance), theirs(tiny(family), guidance_scale=guidance, **more))


@pytest.mark.parametrize("family", ["sd", "sdxl", "sd3", "pixart"])
def test_pictures_of_another_size(tiny: Callable[[str], Any], family: str) -> None:
    pipeline = tiny(family)
    width, height = (side * pipeline.vae_scale_factor for side in (12, 4))
    more: dict[str, Any] = {"use_resolution_binning": False} if family == "pixart" else {}
    agree(
        ours(pipeline, guidance=5, negative=NEGATIVE, size=(width, height)),
        theirs(pipeline, guidance_scale=5, negative_prompt=NEGATIVE, width=width, height=height, **more),
    )


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_guidance_rescale(tiny: Callable[[str], Any], family: str) -> None:
    negative = NEGATIVE if family == "sd" else None
    rescaled = ours(tiny(family), guidance=7, negative=negative, rescale=0.7)
    agree(rescaled, theirs(tiny(family), guidance_scale=7, negative_prompt=negative, guidance_rescale=0.7))
    assert (rescaled - ours(tiny(family), guidance=7, negative=negative)).abs().max() > 100 * TOLERANCE


def test_sdxl_that_was_not_trained_on_zeros(tiny: Callable[[str], Any]) -> None:
    pipeline = variant(tiny("sdxl"), force_zeros_for_empty_prompt=False)
    told = ours(pipeline, guidance=5)
    agree(told, theirs(pipeline, guidance_scale=5))
    assert (told - ours(tiny("sdxl"), guidance=5)).abs().max() > 100 * TOLERANCE


def test_sd3_without_its_t5(tiny: Callable[[str], Any]) -> None:
    pipeline = variant(tiny("sd3"), text_encoder_3=None, tokenizer_3=None)
    agree(ours(pipeline, guidance=5), theirs(pipeline, guidance_scale=5))
    assert adapt(pipeline).truncated_text("a man " * 12) != ""
    assert adapt(tiny("sd3")).truncated_text("a man " * 12) == ""


@pytest.mark.parametrize(("family", "steps"), [("flux-dev", 6), ("flux-schnell", 1), ("flux-schnell", 4)])
def test_flux(tiny: Callable[[str], Any], family: str, steps: int) -> None:
    pipeline = tiny(family)
    length = 512 if family == "flux-dev" else 256
    packed = theirs(pipeline, guidance_scale=3.5, steps=steps, max_sequence_length=length)
    latents = pipeline._unpack_latents(packed, 16, 16, pipeline.vae_scale_factor)
    agree(ours(pipeline, guidance=3.5, steps=steps), latents)
    moved = (ours(pipeline, guidance=3.5, steps=steps) - ours(pipeline, guidance=9, steps=steps)).abs().max()
    assert moved > 10 * TOLERANCE if family == "flux-dev" else moved == 0


@pytest.mark.parametrize("kind", ["LatentConsistencyModelPipeline", "StableDiffusionPipeline"])
def test_guidance_distilled_unet(tiny: Callable[[str], Any], kind: str) -> None:
    pipeline = tiny("lcm")
    if kind != type(pipeline).__name__:
        scheduler = diffusers.LCMScheduler(**BETAS, steps_offset=1)
        pipeline = getattr(diffusers, kind)(
            **{**pipeline.components, "scheduler": scheduler}, requires_safety_checker=False
        )
        pipeline.set_progress_bar_config(disable=True)
    latents = ours(pipeline, guidance=8, steps=4)
    agree(latents, theirs(pipeline, guidance_scale=8, steps=4))
    assert (latents - ours(pipeline, guidance=1, steps=4)).abs().max() > 10 * TOLERANCE


def test_guidance_distilled_unet_of_sdxl(tiny: Callable[[str], Any]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        settings = {name: value for name, value in tiny("sdxl").unet.config.items() if not name.startswith("_")}
        unet = diffusers.UNet2DConditionModel(**settings | {"time_cond_proj_dim": 16})
    unet.time_embedding.cond_proj.weight.data.mul_(10)
    pipeline = variant(tiny("sdxl"), unet=unet.eval(), scheduler=diffusers.LCMScheduler(**BETAS, steps_offset=1))
    latents = ours(pipeline, guidance=8, steps=4)
    agree(latents, theirs(pipeline, guidance_scale=8, steps=4))
    assert (latents - ours(pipeline, guidance=1, steps=4)).abs().max() > 10 * TOLERANCE


FEW_STEPS: dict[str, tuple[Any, float]] = {
    "turbo": (
        lambda: diffusers.EulerAncestralDiscreteScheduler(**BETAS, timestep_spacing="trailing", steps_offset=1),
        0.0,
    ),
    "lightning": (lambda: diffusers.EulerDiscreteScheduler(**BETAS, timestep_spacing="trailing", steps_offset=1), 0.0),
    "lcm-lora": (lambda: diffusers.LCMScheduler(**BETAS, steps_offset=1), 1.0),
}


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("kind", FEW_STEPS)
@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_few_steps(tiny: Callable[[str], Any], family: str, kind: str, steps: int) -> None:
    scheduler, guidance = FEW_STEPS[kind]
    pipeline = variant(tiny(family), scheduler=scheduler())
    agree(ours(pipeline, guidance=guidance, steps=steps), theirs(pipeline, guidance_scale=guidance, steps=steps))


@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux-dev", "pixart"])
def test_pixels(tiny: Callable[[str], Any], family: str) -> None:
    pipeline = tiny(family)
    more: dict[str, Any] = {"use_resolution_binning": False} if family == "pixart" else {}
    expected = torch.from_numpy(theirs(pipeline, guidance_scale=3, steps=2, output_type="np", **more))
    with torch.no_grad():
        pixels = adapt(pipeline).decode(ours(pipeline, guidance=3, steps=2))
    agree(pixels, expected.permute(0, 3, 1, 2))


@pytest.mark.parametrize(("kind", "steps"), [("DDPM", 5), ("DDIM", 5), ("DDPM", 1)])
def test_pixel_model(tiny: Callable[[str], Any], kind: str, steps: int) -> None:
    unet = tiny("pixel").unet
    pipeline = getattr(diffusers, f"{kind}Pipeline")(unet=unet, scheduler=getattr(diffusers, f"{kind}Scheduler")())
    pipeline.set_progress_bar_config(disable=True)
    backbone = Pixel(pipeline)
    nothing: Conditioning = backbone.empty()
    batches = denoise(
        backbone,
        prompts_cond=nothing,
        empty_cond=nothing,
        seeds=SEEDS,
        steps=steps,
        guidance=7.5,
        rows=[0] * len(SEEDS),
    )
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in SEEDS]
    other = pipeline(batch_size=4, generator=generators, num_inference_steps=steps, output_type="np").images
    mine = torch.cat([backbone.decode(batch.latents) for batch in batches])
    agree(mine, torch.from_numpy(other).permute(0, 3, 1, 2))
    assert backbone.evaluations == 4 * steps
