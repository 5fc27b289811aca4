"""Prompt switching: exact at both ends, on in the same direction beyond."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fair_diffusion.backbones import Conditioning, StableDiffusion
from fair_diffusion.request import Request
from fair_diffusion.steering.aim import PLAIN, Aim
from fair_diffusion.steering.brief import Aimed, Brief
from fair_diffusion.steering.switch import AWAY, guide, switched


def test_strength_0_is_plain_and_1_the_other_prompt_to_the_bit() -> None:
    plain, grouped = (Conditioning(torch.randn(3, 5, 7)) for _ in range(2))
    mixed = switched(plain, grouped, torch.tensor([0.0, 1.0, 1.5])).embeddings
    assert torch.equal(mixed[0], plain.embeddings[0])
    assert torch.equal(mixed[1], grouped.embeddings[1])
    beyond = plain.embeddings[2] + 1.5 * (grouped.embeddings[2] - plain.embeddings[2])
    torch.testing.assert_close(mixed[2], beyond)


@pytest.fixture(scope="module")
def brief(tiny_sd: Any) -> Brief:
    return Brief(StableDiffusion(tiny_sd), Request(prompt="a nurse"), start=2)


def test_an_image_that_keeps_a_group_goes_away_from_the_old_one(brief: Brief) -> None:
    aim = Aim({"gender": "man"}, {"gender": ["woman"]}, 1.0, {"skin_tone": "dark"})
    prompts = ["a nurse", "a dark-skinned male nurse", "a dark-skinned female nurse"]
    plain, new, old = brief.encode(prompts).embeddings
    found = guide([Aimed(brief, aim)]).cond.embeddings[0]
    torch.testing.assert_close(found, plain + brief.card.switch * (new + AWAY * (new - old) - plain))
    assert not torch.allclose(found, plain + brief.card.switch * (new - plain), atol=1e-3)


def test_whoever_keeps_nothing_or_shows_nobody_knows_what_is_as_without(brief: Brief) -> None:
    """Also in one batch with an image that keeps a group."""
    keeping = Aim({"gender": "man"}, {"gender": ["woman"]}, 1.0, {"skin_tone": "dark"})
    free, unknown = Aim({"gender": "man"}, {"gender": ["woman"]}, 1.0), Aim({"gender": "man"}, {"gender": []}, 1.0)
    held = Aim({"gender": "man"}, {"gender": []}, 1.0, {"skin_tone": "dark"})
    found = guide([Aimed(brief, aim) for aim in (keeping, free, unknown, held, PLAIN)]).cond
    prompts = ["a male nurse", "a male nurse", "a dark-skinned male nurse", "a nurse"]
    strength = torch.tensor([brief.card.switch] * 3 + [0.0])
    plain = brief.encode(["a nurse"] * 4)
    assert torch.equal(found[1:].embeddings, switched(plain, brief.encode(prompts), strength).embeddings)
