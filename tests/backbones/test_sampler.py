"""The equations of the sampler by themselves: x0 and noise put together and taken apart, whatever is predicted."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch

from fair_diffusion.backbones.sampler import Sampler

BETAS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
FLOW: dict[str, Any] = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}


def latents(seed: int) -> torch.Tensor:
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "scheduler",
    [
        *(diffusers.DDIMScheduler(**BETAS, prediction_type=kind) for kind in ("epsilon", "v_prediction", "sample")),
        *(diffusers.EulerDiscreteScheduler(**BETAS, prediction_type=k) for k in ("epsilon", "v_prediction", "sample")),
        diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        diffusers.UniPCMultistepScheduler(**FLOW),
    ],
    ids=lambda scheduler: f"{type(scheduler).__name__}-{scheduler.config.get('prediction_type')}",
)
def test_parts_are_what_was_put_together(scheduler: Any) -> None:
    """What a perfect network would say of x_t = a·x0 + b·ε, by the definition of each kind, gives back x0 and ε."""
    sampler, clean, noise = Sampler(scheduler), latents(0), latents(1)
    for k, t in enumerate(sampler.begin(num_inference_steps=6)):
        a, b = (sampler.noised(x, y, t) for x, y in ((torch.ones(1), torch.zeros(1)), (torch.zeros(1), torch.ones(1))))
        said = {"epsilon": noise, "v_prediction": a * noise - b * clean, "sample": clean}
        output = said.get(scheduler.config.get("prediction_type"), noise - clean)
        mixed = sampler.noised(clean, noise, t)
        found = sampler.parts(mixed, output, t)
        torch.testing.assert_close(found[0], clean, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(found[1], noise, atol=1e-3, rtol=1e-3)
        held = sampler.to_sampler_scale(mixed, t)
        torch.testing.assert_close(sampler.clean(held, output, t), clean, atol=1e-4, rtol=1e-4)
        entered = sampler.fork()  # mid-way: samplers count steps from where they enter
        torch.testing.assert_close(entered.to_network_scale(entered.enter(mixed, k), t), mixed, atol=1e-5, rtol=1e-5)


def test_the_scheduler_given_is_left_alone() -> None:
    scheduler = diffusers.PNDMScheduler(**BETAS, skip_prk_steps=True)
    before = {name: str(value) for name, value in vars(scheduler).items()}
    sampler = Sampler(scheduler)
    idle = sampler.running
    x = sampler.noise([1, 2], (4, 8, 8), torch.float32)
    for t in sampler.begin(num_inference_steps=4):
        x = sampler.step(x, 0.1 * x, t)
    assert (idle, sampler.running) == (False, True)
    assert {name: str(value) for name, value in vars(scheduler).items()} == before


def test_each_image_goes_on_with_its_own_noise() -> None:
    """Ancestral steps add noise: the same in a fork, and in a fork that remembers one image only."""
    sampler = Sampler(diffusers.EulerAncestralDiscreteScheduler(**BETAS))
    t = sampler.begin(num_inference_steps=4)[0]
    x = sampler.noise([1, 2], (4, 8, 8), torch.float32) * sampler.noise_scale
    fork, second = sampler.fork(), sampler.join([sampler], [1])
    ends = [
        each.step(x[rows], each.to_network_scale(x[rows], t), t)
        for each, rows in ((sampler, [0, 1]), (fork, [0, 1]), (second, [1]))
    ]
    assert torch.equal(ends[1], ends[0])
    assert torch.equal(ends[2], ends[0][1:])
