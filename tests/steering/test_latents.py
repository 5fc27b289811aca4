"""Descent on latents: its gradient against one through the whole sampler, its invariants, and every way to begin."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, HeunDiscreteScheduler
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from fair_diffusion.backbones import Backbone, Guide, StepInfo, adapt, advance
from fair_diffusion.backbones.sd3 import StableDiffusion3
from fair_diffusion.steering.fairness_loss import SURE, Assigned, Mean, fairness_loss
from fair_diffusion.steering.latents import (
    Descent,
    LatentDescent,
    Read,
    Stage,
    Start,
    descend,
    forward,
    from_images,
    from_latents,
    from_seeds,
    norms,
    pull_back,
    shell_step,
    stages,
)

STEPS = 6
SHORT = LatentDescent(iterations=8, chunk=4)


SCHEDULERS = {"euler": EulerDiscreteScheduler, "heun": HeunDiscreteScheduler}


@pytest.fixture(params=["sd", "sd3", "pixel", *SCHEDULERS])
def backbone(request: pytest.FixtureRequest, tiny: Callable[[str], Any]) -> Iterator[Backbone]:
    """A family that predicts noise, one that flows, one without text; noise in Karras' scale, of either order."""
    if request.param in SCHEDULERS:
        sd = tiny("sd")
        scheduler = SCHEDULERS[request.param].from_config(sd.scheduler.config)
        found = adapt(type(sd)(**sd.components | {"scheduler": scheduler}))
    else:
        found = adapt(tiny(request.param))
    with found.frozen():
        yield found


def guide(backbone: Backbone, n: int) -> Guide:
    text = backbone.encode(["" if backbone.distilled else "a man"])
    return Guide(text[[0] * n], backbone.empty()[[0] * n], 2.0)


def bright(pixels: Tensor) -> Tensor:
    """A perceiver: bright, dark, or unknown."""
    p = (40 * (pixels.mean(dim=(1, 2, 3)) - 0.5)).sigmoid()
    return torch.stack([0.98 * p, 0.98 * (1 - p), 0.02 * torch.ones_like(p)], dim=1)


def seen(start: Start, read: Stage) -> Read:
    """What `read` says of the pixels."""
    return lambda clean, t: read(start.backbone.decode(clean))


def way(start: Start, read: Stage = bright, steps: int = 3) -> Callable[[Sequence[int]], list[Stage]]:
    return lambda images: stages(start, guide(start.backbone, len(images)), images, seen(start, read), steps=steps)


def test_two_passes_and_chunks_give_the_gradient_of_one_pass_through_all(backbone: Backbone) -> None:
    start = from_seeds(backbone, range(4), steps=STEPS)
    loss = Mean([0.5, 0.5], 0.5)
    z = start.noise.clone().requires_grad_()
    p = z
    for stage in way(start)(range(4)):
        p = stage(p)
    (expected,) = torch.autograd.grad(loss(p.double()).mean(), z)

    trails = [forward(way(start)(images), start.noise[images]) for images in ([0, 1, 2], [3])]
    leaf = torch.cat([trail[-1] for trail in trails]).double().requires_grad_()
    torch.testing.assert_close(leaf.detach().float(), p.detach(), atol=1e-5, rtol=1e-4)
    (weights,) = torch.autograd.grad(loss(leaf).mean(), leaf)
    parts = [
        pull_back(way(start)(images), trail, weights[images])
        for images, trail in zip(([0, 1, 2], [3]), trails, strict=True)
    ]
    torch.testing.assert_close(torch.cat(parts), expected, atol=1e-3 * float(expected.abs().max()), rtol=1e-2)


def test_the_gradient_of_a_stage_is_that_of_finite_differences() -> None:
    def curve(z: Tensor) -> Tensor:
        return torch.stack([z.sin().sum(dim=1), (z**3).sum(dim=1)], dim=1)

    way, z = [lambda z: z**2, curve], torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights, h = torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]]).double(), 1e-6
    found = pull_back(way, forward(way, z), weights)
    for i, j in ((0, 0), (1, 1), (2, 0)):
        step = torch.zeros_like(z)
        step[i, j] = h
        high, low = ((forward(way, z + sign * step)[-1] * weights).sum() for sign in (1, -1))
        assert found[i, j].item() == pytest.approx(((high - low) / (2 * h)).item(), abs=1e-5)


@pytest.mark.parametrize("backbone", ["sd", "sd3", "euler"], indirect=True)
def test_the_short_sampler_over_all_times_is_the_usual_loop_of_first_order(backbone: Backbone) -> None:
    start = from_seeds(backbone, [5, 6], steps=STEPS)
    latents = forward(way(start, steps=STEPS)(range(2)), start.noise)[-2]
    usual = advance(start.batch(range(2), start.noise), guide(backbone, 2))
    # the usual loop ends a hair before 0, at the noise that the sampler leaves; its last prediction is clean
    torch.testing.assert_close(latents, usual.clean(), atol=1e-4, rtol=1e-3)


def test_over_one_time_it_is_the_predicted_clean_image(backbone: Backbone) -> None:
    start = from_seeds(backbone, [5, 6], steps=STEPS)
    latents = forward(way(start, steps=1)(range(2)), start.noise)[-2]
    one = advance(start.batch(range(2), start.noise), guide(backbone, 2), until=1)
    torch.testing.assert_close(latents, one.clean(), atol=1e-5, rtol=1e-4)


def test_the_loss_falls_and_noise_stays_on_its_shell(backbone: Backbone) -> None:
    start = from_seeds(backbone, range(6), steps=STEPS)
    found = descend(start.noise, way(start), lambda p: Assigned(torch.tensor([0, 1] * 3)), SHORT)
    assert min(found.losses) < found.losses[0]
    torch.testing.assert_close(norms(found.noise), norms(start.noise), rtol=1e-5, atol=0)


def test_a_step_goes_where_a_linear_loss_is_0_and_turns_by_the_rate_at_most() -> None:
    z = torch.tensor([[3.0, 4.0]] * 4)
    g = torch.tensor([[4.0, -3.0], [4.0, -3.0], [0.004, -0.003], [0.0, 0.0]])  # at right angles to z; of norms 5, 0.005
    moved = shell_step(z, g, norms(z), torch.tensor([0.25, 10.0, 0.25, 1.0]).double(), rate=0.1)
    angles = torch.atan2(-(moved * torch.tensor([0.8, -0.6])).sum(dim=1), (moved * z[0] / 5).sum(dim=1))
    torch.testing.assert_close(norms(moved), norms(z))
    # on the tangent, 0.25 / 5 of 5; then the rate, twice: a high loss, and a slope too small for it
    np.testing.assert_allclose(angles.tan(), [0.01, 0.1, 0.1, 0.0], atol=1e-6)


def test_the_slightest_gradient_turns_by_the_rate_and_none_not_at_all() -> None:
    z = torch.nn.functional.normalize(torch.randn(3, 1024, generator=torch.Generator().manual_seed(0)))
    g = torch.stack([torch.full((1024,), size) for size in (1e-19, 1e-25, 0.0)])
    moved = shell_step(z, g, norms(z), torch.ones(3), rate=0.2)
    turned = (moved * z).sum(dim=1).clamp(max=1).acos()
    assert turned[0].item() == pytest.approx(math.atan(0.2), rel=0.05)
    assert turned[1:] == pytest.approx(0, abs=1e-3)
    half = shell_step(z.half(), g.half(), norms(z).half(), torch.ones(3).double(), rate=0.2)
    assert half.dtype == torch.float16
    assert half.isfinite().all()


def rough(z: Tensor) -> Tensor:
    """The loss of its first group rises and falls as noise turns, and never comes to 0: steps overshoot."""
    p = 0.5 + 0.4 * (9 * z[:, :1]).sin()
    return torch.cat([p, 0.98 - p, 0 * p + 0.02], dim=1)


def test_the_best_iterate_is_kept_which_is_never_worse_than_the_start() -> None:
    noise = torch.tensor([[0.6, 0.8]])
    for rate in (0.05, 3.0):
        found = descend(noise, lambda images: [rough], lambda p: Assigned(torch.tensor([0])), LatentDescent(rate=rate))
        kept = Assigned(torch.tensor([0]))(found.probabilities)
        assert kept.item() == pytest.approx(min(found.losses), abs=1e-12)
        torch.testing.assert_close(forward([rough], found.noise)[-1].double(), found.probabilities)
    assert found.losses[-1] > min(found.losses)


@given(st.lists(st.floats(0, 2 * math.pi), min_size=2, max_size=6), st.integers(1, 4))
def test_under_assignment_an_image_ends_where_it_would_alone(angles: list[float], patience: int) -> None:
    noise = torch.tensor([[math.cos(angle), math.sin(angle)] for angle in angles])
    settings = LatentDescent(iterations=12, patience=patience, rate=0.3, chunk=2)

    def ended(noise: Tensor) -> Descent[Assigned]:
        cells = torch.zeros(len(noise), dtype=torch.long)
        return descend(noise, lambda images: [rough], lambda p: Assigned(cells), settings)

    together = ended(noise)
    for i in range(len(noise)):
        alone = ended(noise[i : i + 1])
        torch.testing.assert_close(together.noise[i], alone.noise[0])
        assert together.passes[i] == alone.passes[0]


def test_of_a_mean_one_iterate_of_all_images_is_kept() -> None:
    noise, loss = torch.tensor([[0.6, 0.8], [-0.8, 0.6], [0.0, 1.0]]), Mean([0.9, 0.1])
    found = descend(noise, lambda images: [rough], lambda p: loss, LatentDescent(patience=3, rate=3.0))
    assert loss(found.probabilities)[0].item() == pytest.approx(min(found.losses), abs=1e-12)
    assert found.losses[-1] > min(found.losses)
    assert len(found.losses) < 51
    assert len(set(found.passes.tolist())) == 1


def test_an_image_without_a_loss_keeps_its_start_and_lets_the_others_go_on() -> None:
    def broken(z: Tensor) -> Tensor:
        return rough(z).where(z[:, :1] > 0, torch.nan)

    noise = torch.tensor([[-0.6, 0.8], [0.6, 0.8]])
    found = descend(
        noise, lambda images: [broken], lambda p: fairness_loss("assigned", p, [1.0, 0.0], [2, 0]), LatentDescent()
    )
    assert torch.equal(found.noise[0], noise[0])
    assert found.passes[0] == 1
    assert Assigned(torch.tensor([0]))(found.probabilities[1:]) < Assigned(torch.tensor([0]))(rough(noise[1:]))


def test_what_is_settled_is_kept_though_the_loss_was_lower_before() -> None:
    """As may be with several targets: the sum was lower where one of them was not settled."""

    class Seventy(Assigned):
        def settled(self, p: Tensor) -> Tensor:
            return p[:, 0] == 0.7

    shown = iter([0.6, 0.6, 0.9, 0.9, 0.7])  # each iterate is looked at twice, the second time with gradient

    def way(images: Sequence[int]) -> list[Stage]:
        p = torch.tensor([[next(shown), 0.1, 0.0]], dtype=torch.float64)
        return [lambda z: p + 0 * z[:, :1]]

    found = descend(torch.tensor([[0.6, 0.8]]), way, lambda p: Seventy(torch.tensor([0])), LatentDescent())
    assert found.probabilities[0, 0] == 0.7
    assert len(found.losses) == 3


def test_what_is_settled_is_not_touched_and_costs_one_pass(tiny_sd: Any) -> None:
    start = from_seeds(adapt(tiny_sd), range(4), steps=STEPS)
    certain = torch.tensor([[(1 + SURE) / 2, (1 - SURE) / 2, 0.0]])

    def read(images: Sequence[int]) -> list[Stage]:  # the first image is certain, the others never are
        return way(start, lambda pixels: certain if images == [0] else (bright(pixels) + 1) / 4)(images)

    found = descend(
        start.noise,
        read,
        lambda p: Assigned(torch.tensor([0, 1, 1, 1])),
        LatentDescent(iterations=2, chunk=1),
    )
    assert torch.equal(found.noise[0], start.noise[0])
    assert found.passes.tolist() == [1, 7, 7, 7]
    assert (found.noise[1:] != start.noise[1:]).flatten(1).any(dim=1).all()


def test_descent_stops_inside_the_tolerance() -> None:
    def slope(z: Tensor) -> Tensor:
        p = (5 * z[:, :1]).sigmoid()
        return torch.cat([p, 1 - p, 0 * p], dim=1)

    noise = torch.tensor([[0.0, 1.0], [0.6, -0.8]])
    found = descend(noise, lambda images: [slope], lambda p: Assigned(torch.tensor([0, 1])), LatentDescent(rate=0.3))
    assert len(found.losses) < 11
    assert (found.probabilities.gather(1, torch.tensor([[0], [1]])) >= SURE).all()
    met = descend(noise, lambda images: [slope], lambda p: Mean(p.mean(dim=0)[:2].tolist()), LatentDescent())
    assert len(met.losses) == 1
    assert torch.equal(met.noise, noise)


def test_descent_ends_when_nothing_better_was_found_for_long() -> None:
    def flat(z: Tensor) -> Tensor:
        return torch.tensor([[0.5, 0.5, 0.0]]).expand(len(z), 3) + 0 * z[:, :1]

    noise = torch.tensor([[0.0, 1.0]])
    for patience in (1, 4):
        settings = LatentDescent(iterations=9, patience=patience)
        found = descend(noise, lambda images: [flat], lambda p: Assigned(torch.tensor([0])), settings)
        assert len(found.losses) == patience + 1
        assert found.passes.tolist() == [1 + 3 * patience]
    tireless = LatentDescent(iterations=2, patience=9)
    assert len(descend(noise, lambda images: [flat], lambda p: Assigned(torch.tensor([0])), tireless).losses) == 3


def test_images_are_diffused_forward_to_the_level(backbone: Backbone) -> None:
    pictures = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    start = from_images(backbone, pictures, [1, 2], steps=STEPS, level=600)
    t = start.times[start.step]
    assert float(t) <= 600
    assert start.step > 0
    assert (start.times[start.times > t] > 600).all()
    latents = start.latents(start.noise, [0, 1])
    assert start.clean is not None
    # taking the noise out again gives the picture's latents
    zero, one = torch.zeros_like(latents), torch.ones_like(latents)
    pairs = ((one, zero), (zero, one))
    signal, noise = (start.backbone.to_sampler_scale(start.backbone.noised(*pair, t), t) for pair in pairs)
    torch.testing.assert_close((latents - noise * start.noise) / signal, start.clean, atol=1e-4, rtol=1e-3)
    found = descend(start.noise, way(start), lambda p: Assigned(torch.tensor([1, 0])), LatentDescent(iterations=1))
    assert (found.noise != start.noise).any()
    drawn = advance(start.batch(range(2), found.noise), guide(backbone, 2))
    assert drawn.latents.isfinite().all()
    assert drawn.evaluations.tolist() == [(len(start.times) - start.step) * guide(backbone, 1).passes(backbone)] * 2


def test_clean_takes_apart_what_noised_puts_together(backbone: Backbone) -> None:
    start = from_seeds(backbone, [0, 1], steps=STEPS)
    clean, noise, t = torch.randn(2, *start.noise.shape[1:]), torch.randn(2, *start.noise.shape[1:]), start.times[2]
    noisy = start.backbone.to_sampler_scale(start.backbone.noised(clean, noise, t), t)
    # the output that means just this noise: velocity for flows, else the noise itself
    output = noise - clean if isinstance(backbone, StableDiffusion3) else noise
    torch.testing.assert_close(start.backbone.clean(noisy, output, t), clean, atol=1e-3, rtol=1e-3)


def test_noise_has_variance_1_whatever_scale_the_sampler_holds(backbone: Backbone) -> None:
    start = from_seeds(backbone, range(4), steps=STEPS)
    assert float(start.noise.std()) == pytest.approx(1, abs=0.1)
    first = start.latents(start.noise, range(4))
    own = backbone.fork()
    own.timesteps(STEPS)
    assert torch.equal(first, own.initial_latents(range(4)))
    again = from_latents(backbone, first, steps=STEPS)
    torch.testing.assert_close(again.noise, start.noise)
    torch.testing.assert_close(again.latents(again.noise, range(4)), first)


def test_latents_given_are_taken_as_they_are(tiny_sd: Any) -> None:
    backbone = adapt(tiny_sd)
    latents = from_seeds(backbone, [3], steps=STEPS).noise
    start = from_latents(backbone, latents, steps=STEPS)
    assert torch.equal(start.batch([0], start.noise).latents, latents)
    assert torch.equal(from_latents(backbone, latents.double(), steps=STEPS).noise, latents)
    assert from_latents(backbone, latents, [9], steps=STEPS).seeds == [9]
    with pytest.raises(ValueError, match="1 images for 2 seeds"):
        from_latents(backbone, latents, [0, 1], steps=STEPS)
    with pytest.raises(ValueError, match=r"give \(n, 4, 8, 8\)"):
        from_latents(backbone, latents[:, :3], steps=STEPS)


def test_no_weight_takes_gradients_while_frozen_and_as_before_after(tiny_sd: Any) -> None:
    backbone = adapt(tiny_sd)
    before = [weight.requires_grad for weight in tiny_sd.unet.parameters()]
    with backbone.frozen():
        assert not any(weight.requires_grad for part in (tiny_sd.unet, tiny_sd.vae) for weight in part.parameters())
    assert [weight.requires_grad for weight in tiny_sd.unet.parameters()] == before


def test_progress_is_told_and_can_stop_it(tiny_sd: Any) -> None:
    start = from_seeds(adapt(tiny_sd), [0, 1], steps=STEPS)
    told: list[StepInfo] = []
    read = seen(start, bright)
    forward(stages(start, guide(start.backbone, 2), [0, 1], read, steps=2, on_step=told.append), start.noise)
    assert [(info.images, info.step, info.steps) for info in told] == [([0, 1], 0, 2), ([0, 1], 1, 2)]


@pytest.mark.parametrize(
    ("setting", "said"),
    [({"iterations": 0}, "iterations is 0"), ({"rate": 0.0}, "rate is 0.0"), ({"patience": -1}, "patience")],
)
def test_wrong_settings_are_named(setting: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LatentDescent(**setting)


def test_wrong_levels_and_counts_are_named(tiny_sd: Any) -> None:
    backbone = adapt(tiny_sd)
    with pytest.raises(ValueError, match="level is 0"):
        from_images(backbone, [Image.new("RGB", (16, 16))], [0], steps=STEPS, level=0)
    with pytest.raises(ValueError, match="1 images for 2 seeds"):
        from_images(backbone, [Image.new("RGB", (16, 16))], [0, 1], steps=STEPS)
