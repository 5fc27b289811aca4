"""Semantic guidance against its authors' pipeline, which diffusers keeps as deprecated: an oracle only."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from diffusers import SemanticStableDiffusionPipeline
from torch import Tensor

from fair_diffusion.backbones import StableDiffusion, denoise
from fair_diffusion.models.pocket import load as load_pocket
from fair_diffusion.steering.semantic import SemanticGuidance

PROMPTS = ["a photo of a cook", "a pilot"]
NEGATIVE = ["old", "a man"]
SEEDS = [7, 8]
STEPS = 14
TOLERANCE = 1e-4


def semantic(pipeline: Any) -> Any:
    """The authors' pipeline with the same networks."""
    parts = {k: v for k, v in pipeline.components.items() if k != "image_encoder"}
    twin = SemanticStableDiffusionPipeline(**parts, requires_safety_checker=False)
    twin.set_progress_bar_config(disable=True)
    return twin


@pytest.fixture(scope="module")
def official(shallow_sd: Any) -> Any:
    return semantic(shallow_sd)


def theirs(
    official: Any,
    settings: SemanticGuidance,
    concepts: list[str],
    signs: list[int],
    steps: int = STEPS,
    negative: list[str] | None = None,
) -> Tensor:
    def listed(value: Any) -> Any:
        return list(value) if isinstance(value, tuple) else value

    weights = settings.weight if isinstance(settings.weight, tuple) else [settings.weight] * len(concepts)
    latents: Tensor = official(
        PROMPTS,
        num_inference_steps=steps,
        guidance_scale=7,
        negative_prompt=negative,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in SEEDS],
        output_type="latent",
        editing_prompt=concepts,
        reverse_editing_direction=[sign < 0 for sign in signs],
        edit_guidance_scale=listed(settings.strength),
        edit_warmup_steps=listed(settings.warmup),
        edit_cooldown_steps=listed(settings.cooldown),
        edit_threshold=listed(settings.threshold),
        edit_momentum_scale=settings.momentum_scale,
        edit_mom_beta=settings.momentum_beta,
        edit_weights=list(weights),
    ).images
    return latents


def ours(
    pipeline: Any,
    settings: SemanticGuidance,
    concepts: list[str],
    signs: list[int],
    steps: int = STEPS,
    negative: list[str] | None = None,
) -> Tensor:
    backbone = StableDiffusion(pipeline)
    steering = settings.steer(backbone.encode(concepts), torch.tensor([signs] * len(SEEDS)))
    batches = denoise(
        backbone,
        prompts_cond=backbone.encode(PROMPTS),
        empty_cond=backbone.encode(negative or [""]),
        seeds=SEEDS,
        steps=steps,
        guidance=7,
        steering=steering,
    )
    return torch.cat([batch.latents for batch in batches])


PUBLISHED = SemanticGuidance()
PAIR = ["male person", "female person"]
CASES: dict[str, tuple[SemanticGuidance, list[str], list[int]]] = {
    "published, to female": (PUBLISHED, PAIR, [-1, 1]),
    "published, to male": (PUBLISHED, PAIR, [1, -1]),
    "one concept": (PUBLISHED, ["female person"], [1]),
    "three groups": (PUBLISHED, [*PAIR, "old"], [-1, -1, 1]),
    "readme": (SemanticGuidance(warmup=10, momentum_scale=0.3), PAIR, [-1, 1]),
    "no warm-up": (SemanticGuidance(warmup=0), PAIR, [-1, 1]),
    "longer warm-up than run": (SemanticGuidance(warmup=40), PAIR, [-1, 1]),
    "cool-down": (SemanticGuidance(cooldown=9), PAIR, [-1, 1]),
    "cool-down in warm-up": (SemanticGuidance(cooldown=3), PAIR, [-1, 1]),
    "no momentum": (SemanticGuidance(momentum_scale=0), PAIR, [-1, 1]),
    "momentum keeps all": (SemanticGuidance(momentum_scale=1, momentum_beta=0.9), PAIR, [-1, 1]),
    "no threshold": (SemanticGuidance(threshold=0), PAIR, [-1, 1]),
    "no threshold, half weight": (SemanticGuidance(threshold=0, weight=0.5), PAIR, [1, 1]),
    "concept by concept": (
        SemanticGuidance(
            strength=(4.0, 6.0, 2.0),
            threshold=(0.9, 0.95, 0.5),
            warmup=(2, 5, 8),
            cooldown=(12, 10, 14),
            weight=(1.0, 0.5, 2.0),
        ),
        [*PAIR, "old"],
        [-1, 1, 1],
    ),
    "no momentum, concept by concept": (
        SemanticGuidance(momentum_scale=0, warmup=(1, 6), weight=(0.3, 0.9)),
        PAIR,
        [-1, 1],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_latents(shallow_sd: Any, official: Any, case: str) -> None:
    settings, concepts, signs = CASES[case]
    mine, other = ours(shallow_sd, settings, concepts, signs), theirs(official, settings, concepts, signs)
    error = (mine - other).abs().max().item()
    print(f"max abs error {error:.1e}")
    assert error <= TOLERANCE


def test_edits_are_measured_from_the_negative_prompt(shallow_sd: Any, official: Any) -> None:
    settings = SemanticGuidance(warmup=2)
    mine = ours(shallow_sd, settings, PAIR, [-1, 1], negative=NEGATIVE)
    assert (mine - theirs(official, settings, PAIR, [-1, 1], negative=NEGATIVE)).abs().max() <= TOLERANCE
    assert (mine - ours(shallow_sd, settings, PAIR, [-1, 1])).abs().max() > 100 * TOLERANCE


def test_on_the_pocket_model() -> None:
    pipeline = load_pocket()
    mine = ours(pipeline, PUBLISHED, PAIR, [-1, 1], steps=8)
    other = theirs(semantic(pipeline), PUBLISHED, PAIR, [-1, 1], steps=8)
    error = (mine - other).abs().max().item()
    print(f"max abs error {error:.1e}")
    assert error <= TOLERANCE


def test_the_edit_shows(shallow_sd: Any) -> None:
    """The cases above would agree on a model that ignores its text, so this one must not."""
    plain = ours(shallow_sd, SemanticGuidance(strength=0.0), PAIR, [-1, 1])
    towards, away = ours(shallow_sd, PUBLISHED, PAIR, [-1, 1]), ours(shallow_sd, PUBLISHED, PAIR, [1, -1])
    assert (towards - plain).abs().max() > 100 * TOLERANCE
    assert (towards - away).abs().max() > 100 * TOLERANCE
    warm = dataclasses.replace(PUBLISHED, warmup=8)
    assert (ours(shallow_sd, warm, PAIR, [-1, 1]) - towards).abs().max() > 100 * TOLERANCE
