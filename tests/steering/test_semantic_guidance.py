from __future__ import annotations

from typing import Any

import pytest
import torch

from fair_diffusion.backbones import Batch, Conditioning, Guide, StableDiffusion, advance, begin, denoise
from fair_diffusion.steering.semantic import SemanticGuidance

PROMPTS = ["a man", "a cook", "a pilot", "a man", "a judge"]
SEEDS = [11, 12, 13, 14, 15]
CONCEPTS = ["male person", "female person", "old"]
SIGNS = torch.tensor([[-1, 1, 0], [0, 0, 0], [1, -1, -1], [0, 0, 1], [1, -1, 0]])
STEPS = 9


@pytest.fixture
def backbone(shallow_sd: Any) -> StableDiffusion:
    return StableDiffusion(shallow_sd)


def run(
    backbone: StableDiffusion,
    settings: SemanticGuidance | None,
    *,
    images: list[int] | None = None,
    signs: torch.Tensor = SIGNS,
    guidance: float = 7.0,
    batch_size: int = 8,
) -> list[Batch]:
    images = list(range(5)) if images is None else images
    steering = None if settings is None else settings.steer(backbone.encode(CONCEPTS), signs[images])
    return list(
        denoise(
            backbone,
            prompts_cond=backbone.encode([PROMPTS[i] for i in images]),
            empty_cond=backbone.encode([""]),
            seeds=[SEEDS[i] for i in images],
            steps=STEPS,
            guidance=guidance,
            steering=steering,
            batch_size=batch_size,
        )
    )


def latents(batches: list[Batch]) -> torch.Tensor:
    return torch.cat([batch.latents for batch in batches])


@pytest.mark.parametrize(
    "settings",
    [
        SemanticGuidance(),
        SemanticGuidance(warmup=(2, 5, 7), cooldown=(6, 9, 8), weight=(1.0, 0.5, 2.0)),
        SemanticGuidance(warmup=(2, 5, 7), momentum_scale=0),
    ],
)
def test_a_mixed_batch_is_its_images_one_by_one(backbone: StableDiffusion, settings: SemanticGuidance) -> None:
    together = latents(run(backbone, settings))
    for image in range(5):
        alone = latents(run(backbone, settings, images=[image]))
        torch.testing.assert_close(alone[0], together[image], atol=1e-4, rtol=0)
    torch.testing.assert_close(latents(run(backbone, settings, batch_size=2)), together, atol=1e-4, rtol=0)


def test_what_is_past_its_warm_up_alone_acts_with_weight_1(backbone: StableDiffusion) -> None:
    """Two of three concepts are past it: their weights of 1 and 3 count as 1/4 and 3/4."""
    settings = SemanticGuidance(warmup=(0, 0, 9), weight=(1.0, 3.0, 5.0), strength=2.0, threshold=0, momentum_scale=0)
    run = settings.steer(backbone.encode(CONCEPTS), torch.ones(1, 3)).start([0])
    zero = torch.zeros(1, 1, 2, 2)
    extra = torch.cat([zero + 1, zero + 5])
    guided = run.guide(0, plain=zero, uncond=zero, extra=extra)
    torch.testing.assert_close(guided, zero + 2 * (1 / 4 + 5 * 3 / 4))


def test_an_unused_concept_is_as_if_never_named(backbone: StableDiffusion) -> None:
    """Neither its warm-up nor its weight may hold back the others."""
    settings = SemanticGuidance(warmup=(2, 2, 40), weight=(1.0, 1.0, 9.0))
    pair = SemanticGuidance(warmup=2).steer(backbone.encode(CONCEPTS[:2]), SIGNS[:1, :2])
    expected = denoise(
        backbone,
        prompts_cond=backbone.encode(PROMPTS[:1]),
        empty_cond=backbone.encode([""]),
        seeds=SEEDS[:1],
        steps=STEPS,
        guidance=7.0,
        steering=pair,
    )
    torch.testing.assert_close(latents(run(backbone, settings))[:1], latents(list(expected)), atol=1e-4, rtol=0)


def test_images_without_direction_are_plain(backbone: StableDiffusion) -> None:
    steered, plain = latents(run(backbone, SemanticGuidance())), latents(run(backbone, None))
    changes = (steered - plain).abs().amax(dim=(1, 2, 3))
    assert torch.equal(steered[1], plain[1])
    assert (changes[[0, 2, 3, 4]] > 1e-3).all()
    off = latents(run(backbone, SemanticGuidance(), signs=torch.zeros(5, 3)))
    assert torch.equal(off, plain)


def test_neighbours_do_not_matter(backbone: StableDiffusion) -> None:
    turned = SIGNS.clone()
    turned[[0, 2, 4]] *= -1
    once, again = (
        latents(run(backbone, SemanticGuidance())),
        latents(run(backbone, SemanticGuidance(), signs=turned)),
    )
    torch.testing.assert_close(once[[1, 3]], again[[1, 3]], atol=1e-6, rtol=0)
    assert ((once - again)[[0, 2, 4]].abs().amax(dim=(1, 2, 3)) > 1e-3).all()


@pytest.mark.parametrize(
    ("settings", "guidance", "expected"),
    [
        (SemanticGuidance(), 7.0, [4 * 9, 2 * 9, 5 * 9, 3 * 9, 4 * 9]),
        (SemanticGuidance(cooldown=6), 7.0, [18 + 12, 18, 18 + 18, 18 + 6, 18 + 12]),
        (SemanticGuidance(momentum_scale=0), 7.0, [18 + 8, 18, 18 + 12, 18 + 4, 18 + 8]),
        (SemanticGuidance(momentum_in_warmup=False), 7.0, [18 + 8, 18, 18 + 12, 18 + 4, 18 + 8]),
        (SemanticGuidance(momentum_in_warmup=False, cooldown=4), 7.0, [18, 18, 18, 18, 18]),
        # without guidance ε_∅ is needed only where steering acts
        (SemanticGuidance(cooldown=6), 1.0, [9 + 18, 9, 9 + 24, 9 + 12, 9 + 18]),
    ],
)
def test_evaluations(
    backbone: StableDiffusion, settings: SemanticGuidance, guidance: float, expected: list[int]
) -> None:
    batches = run(backbone, settings, guidance=guidance, batch_size=3)
    assert [count for batch in batches for count in batch.evaluations] == expected
    assert backbone.evaluations == sum(expected)


@pytest.mark.parametrize(
    ("images", "guidance", "expected"),
    [
        # one image stays plain: its call is that of an unsteered run
        ([0, 1, 2], 7.0, [6, 5] * 4 + [6] * 5),
        ([0, 2, 3], 7.0, [6 + 6] * 4 + [6] * 5),
        # without guidance ε_∅ is a row more of each steered image
        ([0, 1, 2], 1.0, [3, 2 + 5] * 4 + [3] * 5),
        ([0, 2, 3], 1.0, [3 + 3 + 6] * 4 + [3] * 5),
    ],
)
def test_one_call_takes_all_rows_where_no_image_stays_plain(
    backbone: StableDiffusion, images: list[int], guidance: float, expected: list[int]
) -> None:
    seen: list[int] = []
    hook = backbone.network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    try:
        run(backbone, SemanticGuidance(cooldown=4), images=images, guidance=guidance)
    finally:
        hook.remove()
    assert seen == expected


def test_without_momentum_in_warm_up_steering_is_as_if_it_began_after_it(backbone: StableDiffusion) -> None:
    settings = SemanticGuidance(warmup=4, momentum_in_warmup=False)
    batch = begin(backbone, range(5), seeds=SEEDS, steps=STEPS)
    prompts, empty = backbone.encode(PROMPTS), backbone.empty()[[0] * 5]
    batch = advance(batch, Guide(prompts, empty, 7.0), until=4)
    published = SemanticGuidance(warmup=4).steer(backbone.encode(CONCEPTS), SIGNS).start(range(5))
    begun_late = advance(batch, Guide(prompts, empty, 7.0, published)).latents
    assert torch.equal(latents(run(backbone, settings)), begun_late)
    assert (latents(run(backbone, SemanticGuidance(warmup=4))) - begun_late).abs().max() > 1e-3


def test_each_concept_enters_the_momentum_after_its_own_warm_up() -> None:
    """One pixel per image, towards two concepts: γ of step 2 is ψ_1 alone, γ of step 3 both and ν."""
    settings = SemanticGuidance(
        strength=1.0, threshold=0.0, warmup=(2, 3), momentum_scale=0.5, momentum_beta=0.0, momentum_in_warmup=False
    )
    steering = settings.steer(Conditioning(torch.zeros(2, 1, 1)), torch.ones(1, 2)).start(range(1))
    zero = torch.zeros(1, 1, 1, 1)
    pushes = [[], [], [4.0], [4.0, 10.0]]
    moved = [
        steering.guide(step, plain=zero, uncond=zero, extra=torch.tensor(push).view(-1, 1, 1, 1)).item()
        for step, push in enumerate(pushes)
    ]
    # ν holds 4 after step 2
    assert moved == [0, 0, 4, 4 + 10 + 0.5 * 4]


def test_acts_without_guidance_too(backbone: StableDiffusion) -> None:
    steered, plain = (latents(run(backbone, s, guidance=1.0)) for s in (SemanticGuidance(), None))
    changed = (steered - plain).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert changed.tolist() == [True, False, True, True, True]


def test_a_larger_direction_is_a_larger_strength(backbone: StableDiffusion) -> None:
    double = latents(run(backbone, SemanticGuidance(), signs=2 * SIGNS))
    torch.testing.assert_close(double, latents(run(backbone, SemanticGuidance(strength=8.0))), atol=1e-4, rtol=0)


def test_one_step_by_hand() -> None:
    """γ of one image, one channel, four pixels: the 0.5-quantile keeps the two largest."""
    settings = SemanticGuidance(
        strength=2.0, threshold=0.5, warmup=1, momentum_scale=0.5, momentum_beta=0.75, weight=3.0
    )
    steering = settings.steer(Conditioning(torch.zeros(1, 1, 1)), torch.tensor([[0], [-1]])).start(range(2))
    plain, uncond = torch.full((2, 1, 2, 2), 10.0), torch.ones(2, 1, 2, 2)
    extra = uncond[1:] + torch.tensor([[[[1.0, -2.0], [3.0, -4.0]]]])

    asked = steering.extra(0)
    assert asked is not None
    assert asked.images.tolist() == [1]
    assert torch.equal(steering.guide(0, plain=plain, uncond=uncond, extra=extra), plain)
    # warm-up: γ = 3·(−2)·(0, 0, 3, −4) = (0, 0, −18, 24), ν = 0.25·γ
    guided = steering.guide(1, plain=plain, uncond=uncond, extra=extra)
    assert torch.equal(guided[0], plain[0])
    momentum = torch.tensor([[0, 0], [-18, 24]]) * 0.25
    torch.testing.assert_close(guided[1, 0], 10 + torch.tensor([[0, 0], [-18, 24]]) + 0.5 * momentum)


def test_runs_do_not_share_momentum(backbone: StableDiffusion) -> None:
    steering = SemanticGuidance().steer(backbone.encode(CONCEPTS), SIGNS)
    arguments: dict[str, Any] = {
        "prompts_cond": backbone.encode(PROMPTS),
        "empty_cond": backbone.encode([""]),
        "seeds": SEEDS,
        "steps": STEPS,
        "guidance": 7.0,
        "steering": steering,
    }
    first = latents(list(denoise(backbone, **arguments)))
    assert torch.equal(first, latents(list(denoise(backbone, **arguments))))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strength": -1.0}, "strength must be at least 0, not -1"),
        ({"threshold": 1.5}, "threshold must be between 0 and 1, not 1.5"),
        ({"threshold": (0.5, float("nan"))}, "threshold must be between 0 and 1"),
        ({"momentum_beta": 2}, "momentum_beta must be between 0 and 1, not 2"),
        ({"warmup": -1}, "warmup must be at least 0"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SemanticGuidance(**settings)


def test_settings_that_do_not_fit_the_request(backbone: StableDiffusion) -> None:
    concepts = backbone.encode(CONCEPTS)
    with pytest.raises(ValueError, match="do not fit 3 concepts"):
        SemanticGuidance().steer(concepts, SIGNS[:, :2])
    with pytest.raises(ValueError, match="warmup has 2 values for 3 concepts"):
        SemanticGuidance(warmup=(1, 2)).steer(concepts, SIGNS)
    with pytest.raises(ValueError, match="image 5 has no direction"):
        SemanticGuidance().steer(concepts, SIGNS).start(range(4, 6))
