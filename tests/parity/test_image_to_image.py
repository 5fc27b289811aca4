"""Images taken back to noise against diffusers: SDEdit against the families' image-to-image pipelines (for PixArt-Σ,
which has none, against its networks in a loop), DDIM inversion against its inverse scheduler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import pytest
import torch
from test_family_pipelines import FLOWS, agree, variant
from test_family_pipelines import SCHEDULERS as FAMILY_SCHEDULERS
from test_plain import SCHEDULERS, TOLERANCE, with_scheduler
from torch import Tensor

from fair_diffusion.backbones import Batch, Guide, adapt, advance
from fair_diffusion.steering.inversion import taken_back

PROMPTS = ["a man", "a pilot"]
SEEDS = [3, 2**40]
STEPS, DEPTH, GUIDANCE = 10, 0.6, 3.0


def images(pipeline: Any, *, way: str, guidance: float = GUIDANCE) -> tuple[Tensor, Batch, Tensor]:
    """Clean latents, their batch mid-way, and the latents that it ends in."""
    backbone = adapt(pipeline)
    clean = torch.randn((2, *backbone.latent_shape), generator=torch.Generator().manual_seed(0))
    cond = backbone.encode(PROMPTS)
    start = taken_back(backbone, range(2), clean, cond, way=way, depth=DEPTH, seeds=SEEDS, steps=STEPS)
    end = advance(start, Guide(cond, backbone.empty()[[0, 0]], guidance))
    return clean, start, end.latents


def theirs(pipeline: Any, kind: str, clean: Tensor, **more: Any) -> Any:
    image_to_image = getattr(diffusers, kind).from_pipe(pipeline)
    image_to_image.set_progress_bar_config(disable=True)
    return image_to_image(
        prompt=PROMPTS,
        image=clean,
        strength=DEPTH,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in SEEDS],
        output_type="latent",
        **more,
    ).images


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_sdedit(tiny_sd: Any, name: str, prediction: str) -> None:
    pipeline = with_scheduler(tiny_sd, name, prediction)
    clean, start, latents = images(pipeline, way="sdedit")
    agree(latents, theirs(pipeline, "StableDiffusionImg2ImgPipeline", clean))
    assert start.evaluations.tolist() == [0, 0]
    assert (latents - clean).abs().max() > 100 * TOLERANCE


@pytest.mark.parametrize("name", ["ddim", "euler", "heun", "dpm++-2m"])
def test_sdedit_of_sdxl(tiny: Callable[[str], Any], name: str) -> None:
    pipeline = variant(tiny("sdxl"), scheduler=with_scheduler(tiny("sd"), name).scheduler)
    clean, _, latents = images(pipeline, way="sdedit")
    agree(latents, theirs(pipeline, "StableDiffusionXLImg2ImgPipeline", clean))


@pytest.mark.parametrize("name", ["euler", "euler-dynamic"])
def test_sdedit_of_sd3(tiny: Callable[[str], Any], name: str) -> None:
    pipeline = variant(tiny("sd3"), scheduler=FLOWS[name]())
    clean, _, latents = images(pipeline, way="sdedit")
    side = clean.shape[-1] * pipeline.vae_scale_factor
    agree(latents, theirs(pipeline, "StableDiffusion3Img2ImgPipeline", clean, height=side, width=side))


@pytest.mark.parametrize("family", ["flux-dev", "flux-schnell"])
def test_sdedit_of_flux(tiny: Callable[[str], Any], family: str) -> None:
    pipeline = tiny(family)
    clean, _, latents = images(pipeline, way="sdedit")
    side = clean.shape[-1] * pipeline.vae_scale_factor
    length = 512 if family == "flux-dev" else 256
    size: dict[str, Any] = {"height": side, "width": side, "max_sequence_length": length}
    packed = theirs(pipeline, "FluxImg2ImgPipeline", clean, **size)
    agree(latents, pipeline._unpack_latents(packed, side, side, pipeline.vae_scale_factor))


@pytest.mark.parametrize("name", ["ddim", "euler", "dpm++-2m", "unipc"])
def test_sdedit_of_pixart(tiny: Callable[[str], Any], name: str) -> None:
    """Noise at the level, then the family's network and sampler with guidance, written out."""
    pipeline = variant(tiny("pixart"), scheduler=FAMILY_SCHEDULERS[name]())
    clean, _, latents = images(pipeline, way="sdedit")
    tokens, mask, no_tokens, no_mask = pipeline.encode_prompt(PROMPTS, clean_caption=False, max_sequence_length=300)
    scheduler = FAMILY_SCHEDULERS[name]()
    scheduler.set_timesteps(STEPS)
    times = scheduler.timesteps[-round(DEPTH * STEPS) :]
    if name != "ddim":  # which has no state
        scheduler.set_begin_index(STEPS - len(times))
    noise = torch.cat([torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(seed)) for seed in SEEDS])
    x = scheduler.add_noise(clean, noise, times[:1])
    for t in times:
        with torch.no_grad():
            outputs = pipeline.transformer(
                scheduler.scale_model_input(torch.cat([x, x]), t),
                encoder_hidden_states=torch.cat([no_tokens, tokens]),
                encoder_attention_mask=torch.cat([no_mask, mask]),
                timestep=t.expand(4),
                added_cond_kwargs={"resolution": None, "aspect_ratio": None},
            ).sample
        plain, prompted = outputs[:, :4].chunk(2)
        x = scheduler.step(plain + GUIDANCE * (prompted - plain), t, x).prev_sample
    agree(latents, x)


@pytest.mark.parametrize("to_one", [False, True])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_ddim_inversion(tiny_sd: Any, prediction: str, to_one: bool) -> None:
    pipeline = with_scheduler(tiny_sd, "ddim", prediction)
    pipeline.scheduler.register_to_config(set_alpha_to_one=to_one)
    clean, start, _ = images(pipeline, way="inversion")
    inverse = diffusers.DDIMInverseScheduler.from_config(pipeline.scheduler.config)
    inverse.set_timesteps(STEPS)
    embeddings, latents = adapt(pipeline).encode(PROMPTS).embeddings, clean
    with torch.no_grad():
        for t in inverse.timesteps[: round(DEPTH * STEPS)]:
            latents = inverse.step(pipeline.unet(latents, t, embeddings).sample, t, latents).prev_sample
    agree(start.latents, latents)
    assert start.evaluations.tolist() == [round(DEPTH * STEPS)] * 2
