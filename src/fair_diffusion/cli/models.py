"""`fair-diffusion models`: the families of models that can be loaded, with what is usual for each."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.models.cards import Card, cards

SHORT = {"epsilon": "ε", "v_prediction": "v", "sample": "x0"}


def models(
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object per card, with all it holds")] = False,
) -> None:
    """List the families of models and their distilled variants, with the settings that hold unless others are given.

    Scale: of guidance. Window: the share of the trajectory from which images are steered, and that at which semantic
    guidance ends. Strength: of the methods switch and semantic. Predicts: noise (ε), velocity (v, or that of a flow) or
    the image (x0). ∅: whether the empty prompt, or a negative one, is evaluated beside the prompt."""
    if as_json:
        for card in cards():
            say_json(asdict(card))
        return
    shown = Columns()
    shown.padding = (0, 1, 0, 0)
    for column in ("model", "diffusers class", "steps", "scale", "window", "strength", "predicts", "∅"):
        shown.add_column(column, overflow="fold", no_wrap=column not in ("model", "diffusers class"))
    shown.columns[1].width = 17
    for card in cards():
        shown.add_row(*_row(card))
    Terminal().print(shown, soft_wrap=True)
    refusals: dict[str, list[str]] = {}
    for card in cards():
        refusals.setdefault(", ".join(card.refused), []).append(card.name)
    for refused, names in refusals.items():
        if refused:
            say(f"refused with {', '.join(names)}: {refused}")
    say("All but pocket: published settings, and a first guess at window and strength (docs/reference/models.md)")


def _row(card: Card) -> tuple[str, ...]:
    return (
        card.name,
        "\n".join(kind.removesuffix("Pipeline") for kind in card.pipelines) or "(embedded)",
        str(card.steps),
        f"{card.guidance:g}",
        f"{card.start:g}–{card.end:g}",
        f"{card.switch:g}, {card.semantic:g}",
        ", ".join(SHORT.get(kind, kind) for kind in card.predicts),
        "yes" if card.empty_pass else "no",
    )
