"""Model cards: the usual settings of a family of models and of its distilled variants. The data is in `cards.yaml`.

A loaded pipeline gets the first card with its class whose conditions its configuration meets. A condition has a path
(`scheduler.timestep_spacing: trailing`). In a path, `network` is the UNet or transformer. `name` is the last part of
the model's name, for variants that differ in nothing else. Loads no model.
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

    Attributes:
        name: what the family or variant is called.
        models: examples of hub ids.
        lora: hub ids of LoRAs that turn another model into such a model.
        pipelines: classes of diffusers.
        when: further conditions.
        steps, guidance: used if a request does not state them.
        start, end: the window of steering, as shares of the trajectory.
        switch, semantic: usual strengths of the two methods that steer in the window.
        predicts: the possible outputs of the network.
        empty_pass: whether the empty prompt is evaluated beside the prompt if guidance is above 1.
        refused: features that such a model does not have.
        source: where steps and guidance come from.
        tried: the weights that this card was tried on.
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
    """All cards, variants before their families.

    Raises:
        ValueError: the file is wrong; the message names the card.
    """
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
    """The card of that name.

    Raises:
        ValueError: there is none.
    """
    found = {card.name: card for card in cards()}
    if name not in found:
        raise ValueError(f"there is no card {name!r}; there are {', '.join(found)}")
    return found[name]


def card_of(pipeline: Any, name: str = "") -> Card:
    """The card of a loaded pipeline. `name` is what the user called the model.

    Raises:
        ValueError: no card has its class.
    """
    kinds = {kind.__name__ for kind in type(pipeline).__mro__}
    for card in cards():
        if kinds & set(card.pipelines) and all(_meets(pipeline, name, *condition) for condition in card.when.items()):
            return card
    raise ValueError(f"{type(pipeline).__name__} is on no model card; `fair-diffusion models` lists the cards")


def _meets(pipeline: Any, name: str, path: str, wanted: Any) -> bool:
    """Whether a condition holds: the value is `wanted` or in it, or exists ("any"), or the name matches the pattern."""
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
