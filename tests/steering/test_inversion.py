"""Images taken back to noise, in every family: what inversion undoes, what SDEdit mixes, and one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import pytest
import torch
from tiny_families import TEXT_FAMILIES
from torch import Tensor

from fair_diffusion.backbones import Guide, StableDiffusion, adapt, advance
from fair_diffusion.backbones.adapter import Adapter
from fair_diffusion.steering.inversion import INVERSIONS, taken_back

SEEDS, STEPS = [7, 8, 9], 6


def clean_latents(backbone: Adapter) -> Tensor:
    return torch.randn((3, *backbone.latent_shape), generator=torch.Generator().manual_seed(0))


def back(backbone: Adapter, places: list[int], way: str, depth: float) -> Tensor:
    """The latents of some of three images, taken back and then on to the end without guidance."""
    cond = backbone.empty()[[0] * len(places)]
    rows = torch.as_tensor(places)
    seeds = [SEEDS[k] for k in places]
    clean = clean_latents(backbone)[rows]
    start = taken_back(backbone, places, clean, cond, way=way, depth=depth, seeds=seeds, steps=STEPS)
    return advance(start, Guide(cond, cond, 1.0)).latents


@pytest.mark.parametrize("scheduler", ["DDIM", "EulerDiscrete", None])
@pytest.mark.parametrize("depth", [0.3, 1.0])
def test_inversion_is_undone_exactly_where_the_output_does_not_change(
    tiny: Callable[[str], Any], scheduler: str | None, depth: float
) -> None:
    """A network that always says the same is followed up and down the same line: DDIM, Karras' scale and flow."""
    pipeline = tiny("sd3" if scheduler is None else "sd")
    if scheduler:
        kind = getattr(diffusers, f"{scheduler}Scheduler")
        parts = {**pipeline.components, "scheduler": kind.from_config(pipeline.scheduler.config)}
        pipeline = type(pipeline)(**parts, requires_safety_checker=False)
    backbone = adapt(pipeline)
    output = torch.randn((3, *backbone.latent_shape), generator=torch.Generator().manual_seed(1))
    backbone._evaluate = lambda *_: output  # type: ignore[method-assign]
    clean, every = clean_latents(backbone), [0, 1, 2]
    torch.testing.assert_close(back(backbone, every, "inversion", depth), clean, atol=1e-3, rtol=0)
    assert (back(backbone, every, "sdedit", depth) - clean).abs().max() > 0.1


def test_sdedit_keeps_signal_and_noise_in_their_shares(tiny_sd: Any) -> None:
    backbone = StableDiffusion(tiny_sd)
    clean, cond = clean_latents(backbone), backbone.empty()[[0] * 3]
    batch = taken_back(backbone, range(3), clean, cond, way="sdedit", depth=0.5, seeds=SEEDS, steps=STEPS)
    signal = tiny_sd.scheduler.alphas_cumprod[int(batch.times[3])]
    noise = torch.cat([torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(seed)) for seed in SEEDS])
    torch.testing.assert_close(batch.latents, signal.sqrt() * clean + (1 - signal).sqrt() * noise)
    assert (batch.step, batch.evaluations.tolist()) == (3, [0, 0, 0])


def test_inversion_counts_one_evaluation_per_step_and_image(tiny_sd: Any) -> None:
    backbone = adapt(tiny_sd)
    cond, clean = backbone.empty()[[0] * 3], clean_latents(backbone)
    batch = taken_back(backbone, range(3), clean, cond, way="inversion", depth=0.5, seeds=SEEDS, steps=STEPS)
    assert (batch.step, batch.evaluations.tolist()) == (3, [3, 3, 3])


@pytest.mark.parametrize("way", INVERSIONS)
@pytest.mark.parametrize("family", [*TEXT_FAMILIES, "lcm", "pixel"])
def test_an_image_is_taken_back_whatever_its_neighbours(tiny: Callable[[str], Any], family: str, way: str) -> None:
    backbone = adapt(tiny(family))
    before = backbone.evaluations
    together = back(backbone, [0, 1, 2], way, 0.5)
    assert backbone.evaluations - before == 3 * 3 * (2 if way == "inversion" else 1)
    assert together.isfinite().all()
    torch.testing.assert_close(back(backbone, [2], way, 0.5)[0], together[2], atol=1e-3, rtol=0)


@pytest.mark.parametrize("scheduler", ["EulerAncestralDiscrete", "DDPM"])
def test_noise_on_the_way_down_is_the_images_own(tiny_sd: Any, scheduler: str) -> None:
    kind = getattr(diffusers, f"{scheduler}Scheduler")
    parts = {**tiny_sd.components, "scheduler": kind.from_config(tiny_sd.scheduler.config)}
    backbone = StableDiffusion(type(tiny_sd)(**parts, requires_safety_checker=False))
    first = back(backbone, [1], "inversion", 0.5)
    torch.testing.assert_close(first, back(backbone, [1], "inversion", 0.5))


@pytest.mark.parametrize(("depth", "step"), [(1.0, 0), (0.5, 3), (0.01, 5)])
def test_at_least_one_step_is_left(tiny_sd: Any, depth: float, step: int) -> None:
    backbone = StableDiffusion(tiny_sd)
    cond = backbone.empty()[[0] * 3]
    clean = clean_latents(backbone)
    batch = taken_back(backbone, range(3), clean, cond, way="sdedit", depth=depth, seeds=SEEDS, steps=STEPS)
    assert batch.step == step


def test_what_cannot_be_is_said(tiny_sd: Any) -> None:
    scheduler = diffusers.DDIMScheduler.from_config(tiny_sd.scheduler.config, prediction_type="sample")
    parts = {**tiny_sd.components, "scheduler": scheduler}
    backbone = StableDiffusion(type(tiny_sd)(**parts, requires_safety_checker=False))
    with pytest.raises(ValueError, match="use the way 'sdedit'"):
        back(backbone, [0], "inversion", 0.5)
    with pytest.raises(ValueError, match="unknown way 'magic'"):
        back(backbone, [0], "magic", 0.5)
    with pytest.raises(ValueError, match="depth is 0"):
        back(backbone, [0], "sdedit", 0)
    clean, cond = clean_latents(backbone)[:2], backbone.empty()[[0, 0]]
    with pytest.raises(ValueError, match="1 seeds for 2 images"):
        taken_back(backbone, range(2), clean, cond, way="sdedit", depth=0.5, seeds=[1], steps=STEPS)
