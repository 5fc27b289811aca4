"""Alignment's gradient through the sampler against one put together from plain diffusers and DDIM's own shares.

x0 = a·x_T + Σ_t c_t·ε_t    c_t = √ᾱ_end·(σ_next − σ_t),  σ = √((1 − ᾱ)/ᾱ)

With the latents that each evaluation sees taken as given, ∂L/∂θ = Σ_t c_t · (∂L/∂x0) · ∂ε_t/∂θ.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from fair_diffusion.backbones import adapt
from fair_diffusion.steering.learn import alignment

STEPS, GUIDANCE, SEEDS = 3, 3.0, [5, 6]
PROMPT = "a cook"


@pytest.fixture
def parameters(tiny_sd: Any) -> list[Tensor]:
    """The parameters whose gradients are compared, by name: of both networks, first parts and last ones."""
    unet, text = dict(tiny_sd.unet.named_parameters()), dict(tiny_sd.text_encoder.named_parameters())
    first = next(name for name in text if name.endswith("layers.0.self_attn.q_proj.weight"))
    return [unet["conv_in.weight"], unet["mid_block.resnets.0.conv1.weight"], unet["conv_out.bias"], text[first]]


def ours(pipeline: Any, parameters: list[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    pixels = alignment._draw(adapt(pipeline), PROMPT, SEEDS, STEPS, GUIDANCE)
    return pixels.detach(), torch.autograd.grad((pixels**2).sum(), parameters)


def theirs(pipeline: StableDiffusionPipeline, parameters: list[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    def text(prompt: str) -> Tensor:
        ids = pipeline.tokenizer(prompt, padding="max_length", max_length=pipeline.tokenizer.model_max_length)
        found: Tensor = pipeline.text_encoder(torch.tensor([ids.input_ids])).last_hidden_state
        return found.expand(len(SEEDS), -1, -1)

    scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(STEPS)
    noise = [torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(seed)) for seed in SEEDS]
    latents, alphas = torch.cat(noise), scheduler.alphas_cumprod
    outputs = []
    for t in scheduler.timesteps:
        none, asked = (pipeline.unet(latents, t, states).sample for states in (text(""), text(PROMPT)))
        outputs.append(none + GUIDANCE * (asked - none))
        latents = scheduler.step(outputs[-1].detach(), t, latents).prev_sample
    latents = latents.detach().requires_grad_()
    pixels = (pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)
    (wanted,) = torch.autograd.grad((pixels**2).sum(), latents)

    at = torch.stack([*alphas[scheduler.timesteps], scheduler.final_alpha_cumprod])
    sigma = ((1 - at) / at).sqrt()
    shares = at[-1].sqrt() * (sigma[1:] - sigma[:-1])
    surrogate = sum((share * output * wanted).sum() for share, output in zip(shares, outputs, strict=True))
    assert isinstance(surrogate, Tensor)
    return pixels.detach(), torch.autograd.grad(surrogate, parameters)


def test_it_is_the_sum_of_the_evaluations_own_gradients(tiny_sd: Any, parameters: list[Tensor]) -> None:
    (pixels, found), (expected_pixels, expected) = ours(tiny_sd, parameters), theirs(tiny_sd, parameters)
    torch.testing.assert_close(pixels, expected_pixels, atol=1e-5, rtol=0)
    for one, other in zip(found, expected, strict=True):
        scale = float(other.abs().max())
        assert scale > 0
        torch.testing.assert_close(one, other, atol=1e-3 * scale, rtol=1e-3)
