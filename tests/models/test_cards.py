"""Every family has its card, and what a card says of its family is true."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest

from fair_diffusion.backbones import FAMILIES, adapt
from fair_diffusion.models import pocket
from fair_diffusion.models.cards import card_named, card_of, cards
from fair_diffusion.steering.window import LOOK

FOUND = {
    "sd": "Stable Diffusion 1.x, 2.x",
    "lcm": "LCM",
    "sdxl": "SDXL",
    "sd3": "SD3",
    "flux-dev": "FLUX.1 dev",
    "flux-schnell": "FLUX.1 schnell",
    "pixart": "PixArt-Σ",
    "pixel": "pixel models",
}


@pytest.mark.parametrize("family", FOUND)
def test_the_card_of_a_family(tiny: Callable[[str], Any], family: str) -> None:
    card, backbone = card_of(tiny(family)), adapt(tiny(family))
    assert card.name == FOUND[family]
    assert card.empty_pass is not backbone.distilled
    assert ("negative prompt" in card.refused) is backbone.distilled
    assert ("method bottleneck" in card.refused) is not hasattr(backbone.network, "mid_block")
    assert ("rebalance" in card.refused) is not backbone.reads_text
    kind = tiny(family).scheduler.config.get("prediction_type", "flow")
    assert kind in card.predicts


@pytest.mark.parametrize("kind", FAMILIES)
def test_no_family_is_without(kind: str) -> None:
    on = [card for card in cards() if kind in card.pipelines]
    assert [not card.when for card in on] == [False] * (len(on) - 1) + [kind != "LatentConsistencyModelPipeline"]


def like(pipeline: Any, scheduler: Any = None, name: str = "", **network: Any) -> Any:
    """What a card looks at, with other settings."""
    old = getattr(pipeline, "transformer", None) or pipeline.unet
    part = "transformer" if getattr(pipeline, "transformer", None) is not None else "unet"
    fake = type(type(pipeline).__name__, (), {})()
    fake.config = {"_name_or_path": name}
    fake.scheduler = scheduler or pipeline.scheduler
    setattr(fake, part, SimpleNamespace(config=dict(old.config) | network))
    return fake


def test_few_step_variants(tiny: Callable[[str], Any]) -> None:
    euler = diffusers.EulerAncestralDiscreteScheduler(timestep_spacing="trailing")
    assert card_of(like(tiny("sdxl"), euler), "stabilityai/sdxl-turbo").name == "SDXL-Turbo, Lightning"
    assert card_of(like(tiny("sdxl"), euler, "x/SDXL-Lightning-4step/")).name == "SDXL-Turbo, Lightning"
    cached = "cache/models--stabilityai--sd-turbo/snapshots/0123abc"
    assert card_of(like(tiny("sd"), euler, cached)).name == "SD-Turbo"
    for name in ("", "x/sdxl-trailing", "turbo/sdxl", "cache/models--turbo--sdxl/snapshots/0123abc"):
        assert card_of(like(tiny("sdxl"), euler, name), name).name == "SDXL"
        assert card_of(like(tiny("sd"), euler, name), name).name == FOUND["sd"]
    trailing = diffusers.DDIMScheduler(timestep_spacing="trailing", prediction_type="v_prediction")
    assert card_of(like(tiny("sd"), trailing)).name == FOUND["sd"]
    assert card_of(like(tiny("sdxl"), diffusers.LCMScheduler())).name == "LCM-LoRA"
    assert card_of(like(tiny("sdxl"), time_cond_proj_dim=256)).name == "LCM"
    large: dict[str, Any] = {"num_layers": 38}
    assert card_of(like(tiny("sd3"), **large)).name == "SD3.5 large"
    assert card_of(like(tiny("sd3"), **large), "stabilityai/stable-diffusion-3.5-large-turbo").name == "SD3.5-Turbo"
    assert card_of(like(tiny("sd3"), name="x/stable-diffusion-3.5-medium")).name == "SD3.5 medium"
    for card in cards():
        if card.name.endswith(("Turbo", "Lightning", "schnell")):
            assert (card.steps, card.guidance) == (4, 0.0)


def test_the_pocket_keeps_its_numbers() -> None:
    card = card_named("pocket")
    assert (card.steps, card.guidance) == (25, pocket.GUIDANCE)
    assert (card.start, card.end, card.switch, card.semantic) == (LOOK, 0.8, 1.5, 5.0)
    assert card.predicts == [pocket.load().scheduler.config.prediction_type]


def test_windows_lie_in_the_trajectory() -> None:
    for card in cards():
        assert 0 < card.start < card.end <= 1
        assert 1 <= card.steps <= 1000


def test_what_is_on_no_card() -> None:
    with pytest.raises(ValueError, match="object is on no model card"):
        card_of(object())
    with pytest.raises(ValueError, match="no card 'x'; there are pocket"):
        card_named("x")
