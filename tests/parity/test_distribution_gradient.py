"""Distribution guidance by finite differences through the network, and by a gradient written out in NumPy."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fair_diffusion.backbones import Guide, adapt
from fair_diffusion.steering.bottleneck_heads import TEMPERATURE, BottleneckHeads
from fair_diffusion.steering.distribution import BottleneckGuide, CleanGuide, DistributionGuidance
from fair_diffusion.steering.fairness_loss import floored, kl

STEPS, SHARES = 4, [0.9, 0.1]


def loss(p: Tensor) -> Tensor:
    return kl(p.mean(dim=0), floored(SHARES))


def parts(backbone: Any, n: int) -> dict[str, Any]:
    return {"cond": backbone.encode(["a man"])[[0] * n], "empty": backbone.empty()[[0] * n], "guidance": 2.0}


@pytest.mark.parametrize("family", ["sd", "sd3"])
def test_clean_latents_follow_the_gradient_of_finite_differences(tiny: Callable[[str], Any], family: str) -> None:
    """In float64. A clip above all gradients makes the change of the output proportional to the gradient."""
    pipeline = copy.deepcopy(tiny(family)).to(torch.float64)
    backbone = adapt(pipeline).fork()
    t = backbone.timesteps(STEPS)[1]
    generator = torch.Generator().manual_seed(0)
    latents, probe = (torch.randn(2, *backbone.latent_shape, dtype=torch.float64, generator=generator) for _ in "ab")

    def read(clean: Tensor, _: float) -> Tensor:
        p = (3 * clean.mean(dim=(1, 2, 3))).sigmoid()
        return torch.stack([0.98 * p, 0.98 * (1 - p), 0.02 * torch.ones_like(p)], dim=1)

    @torch.no_grad()
    def value(x: Tensor) -> float:
        output, _ = Guide(**parts(backbone, 2)).predict(backbone, x, t, 1)
        return 2 * loss(read(backbone.clean(x, output, t), 0)).item()

    clip, strength = 1e6, 0.5
    settings = DistributionGuidance(strength=strength, clip=clip)
    guide = CleanGuide(**parts(backbone, 2), read=read, loss=loss, steps=STEPS, settings=settings)
    plain, _ = Guide(**parts(backbone, 2)).predict(backbone, latents, t, 1)
    guided, _ = guide.predict(backbone, latents, t, 1)
    # both predict what is taken away to get clean latents, so the output goes up the gradient
    size = plain.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    gradient = (guided - plain).detach() * clip / (strength * size)
    h = 1e-4
    slope = (value(latents + h * probe) - value(latents - h * probe)) / (2 * h)
    assert abs(slope) > 1e-4
    assert (gradient * probe).sum().item() == pytest.approx(slope, rel=1e-4)


def test_features_follow_the_gradient_written_out(tiny_sd: Any) -> None:
    """∂KL/∂p̂ = log(p̂/y*) + 1; softmax: ∂p_k/∂z_j = p_k·(δ_kj − p_j); z = (W·h + b)/8."""
    backbone = adapt(tiny_sd).fork()
    times = backbone.timesteps(STEPS)
    latents, rng = backbone.initial_latents([0, 1, 2]), np.random.default_rng(0)
    weights, biases = 0.05 * rng.normal(size=(2, 3, 32 * 4 * 4)), rng.normal(size=(2, 3))
    heads = BottleneckHeads(
        times[[0, 2]],
        {"gender": ("woman", "man")},
        {"gender": torch.from_numpy(weights).float()},
        {"gender": torch.from_numpy(biases).float()},
    )
    strength, clip = 0.3, 0.72
    guide = BottleneckGuide(
        **parts(backbone, 3),
        heads=lambda features, t: (heads.probabilities(features, t, "gender"), heads.size(t, "gender")),
        loss=loss,
        steps=STEPS,
        settings=DistributionGuidance(strength=strength, clip=clip),
    )
    seen: list[Tensor] = []
    middle, after = tiny_sd.unet.mid_block, tiny_sd.unet.up_blocks[0]
    spies = [
        middle.register_forward_hook(lambda _, __, output: seen.append(output.detach())),
        after.register_forward_pre_hook(
            lambda _, __, kwargs: seen.append(kwargs["hidden_states"].detach()), with_kwargs=True
        ),
    ]
    try:
        with torch.no_grad():
            guide.predict(backbone, latents, times[2], 1)
    finally:
        for spy in spies:
            spy.remove()
    before, moved = (np.asarray(state, dtype=np.float64).reshape(6, -1) for state in seen)
    np.testing.assert_array_equal(moved[:3], before[:3])  # the rows on the empty prompt

    h, w = before[3:], weights[1]
    z = (h @ w.T + biases[1]) / TEMPERATURE
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    by_p = np.log(p.mean(axis=0) / floored(SHARES).numpy()) + 1
    g = (p * (by_p - (p * by_p).sum(axis=1, keepdims=True))) @ w / TEMPERATURE
    length = np.linalg.norm(g, axis=1, keepdims=True)
    limit = clip * np.linalg.norm(w, ord=2) / TEMPERATURE
    expected = h - strength * np.linalg.norm(h, axis=1, keepdims=True) * g / np.maximum(length, limit)
    assert length.min() < limit < length.max()
    np.testing.assert_allclose(moved[3:], expected, atol=1e-4)
