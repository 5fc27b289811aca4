"""Model cards: what is usual for a family of models, and for its distilled variants. Data in `cards.yaml`.

A loaded pipeline gets the first card that names its class and whose conditions its configuration meets. A condition
reads as a path (`scheduler.timestep_spacing: trailing`; `network` is the UNet or transformer, `name` the last part of
what the model is called: for variants whose configurations are like others'). Loads no model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, kw_only=True)
class Card:
    """One family of models, or one variant of it.

    name, models: what it is called, and examples of hub ids. lora: of LoRAs that make such a model of another.
    pipelines: classes of diffusers. when: further conditions. steps, guidance: if a request names none. start, end: the
    window of steering, as shares of the trajectory. switch, semantic: usual strengths of the two methods that steer in
    it. predicts: what the network may. empty_pass: whether the empty prompt is evaluated beside the prompt where
    guidance is above 1. source: where steps and guidance come from. tried: on what.
    """

    name: str
    models: Sequence[str] = ()
    lora: Sequence[str] = ()
    pipelines: Sequence[str]
    when: Mapping[str, Any] = field(default_factory=dict)
    steps: int
    guidance: float
    start: float
    end: float
    switch: float
    semantic: float
    predicts: Sequence[str]
    empty_pass: bool
    refused: Sequence[str] = ()
    source: str
    tried: str


@cache
def cards() -> tuple[Card, ...]:
    """All cards, variants before their families. `ValueError` naming the card if the file is wrong."""
    text = resources.files("fair_diffusion.models").joinpath("cards.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    known = {each.name for each in fields(Card)}
    found = []
    for row in data["cards"]:
        if strange := row.keys() - known:
            raise ValueError(f"cards.yaml: {row.get('name')} has an unknown field {min(strange)!r}")
        found.append(Card(**data["usual"] | row))
    return tuple(found)


def card_named(name: str) -> Card:
    """The card of that name. `ValueError` if there is none."""
    found = {card.name: card for card in cards()}
    if name not in found:
        raise ValueError(f"there is no card {name!r}; there are {', '.join(found)}")
    return found[name]


def card_of(pipeline: Any, name: str = "") -> Card:
    """The card of a loaded pipeline. `ValueError` if its class is on none."""
    kinds = {kind.__name__ for kind in type(pipeline).__mro__}
    for card in cards():
        if kinds & set(card.pipelines) and all(_meets(pipeline, name, *condition) for condition in card.when.items()):
            return card
    raise ValueError(f"{type(pipeline).__name__} is on no card of models; `fair-diffusion models` lists them")


def _meets(pipeline: Any, name: str, path: str, wanted: Any) -> bool:
    """Whether a condition holds: equal to a value, or one of a list; "any": there at all; a name: the pattern in it."""
    part, _, key = path.partition(".")
    if part == "name":
        from fair_diffusion.models.loading import name_of

        called = [Path(name).name, Path(name_of(pipeline)).name]
        return any(re.search(wanted, each, re.IGNORECASE) for each in called)
    owner = getattr(pipeline, "transformer", None) or pipeline.unet if part == "network" else pipeline.scheduler
    value = type(owner).__name__ if key == "class" else owner.config.get(key)
    if wanted == "any":
        return value is not None
    return value in wanted if isinstance(wanted, list) else bool(value == wanted)
