"""Attributes that a person defines: what the pocket model draws when it is asked for their shares.

Drawing style: who drew the figure, of four sets of drawings, which no caption of the model's training names. It is
asked for without words, by methods that only need a reader: half Noto, a quarter each of two others. A linear head on
the perceiver's features steers, and a network of other weights and architecture judges (`recipes.pocket.styles`).
Complexion: skin in three tones, in words of the definition, by the method switch; the judge is a head on the features
of the pocket judge. TV: total variation of all images of a row from its target by the judge, with unknown counted
against it; beside it the same by the perceiver, the mean over occupations, and the cost.

    python -m benchmarks.attributes [--images 64]      → benchmarks/attributes.md
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fair_diffusion import FairPipeline, Policy, Result
from fair_diffusion.models import pocket as model
from fair_diffusion.models.cards import card_named
from fair_diffusion.models.pocket.folder import WEIGHTS
from fair_diffusion.perception import early, judge, pocket
from fair_diffusion.perception.reader import with_heads
from fair_diffusion.policy import Attributes
from fair_diffusion.request import Request
from recipes.pocket.captions import article
from recipes.pocket.data import WORK
from recipes.pocket.styles import DEFINITIONS, style_judge

OCCUPATIONS = ("artist", "judge", "teacher", "farmer", "scientist", "mechanic")
"""Occupations that the training has in all four styles with a gender that shows; it has no firefighter by Noto."""
STEPS, SEED = 15, 5000
STYLES = "every occupation: 50% Noto, 25% Twemoji, 25% Fluent"
TONES = "every occupation: complexion uniform"
ROWS = (
    ("drawing_style", STYLES, "none", 0.25),
    ("drawing_style", STYLES, "rejection", 12.0),
    ("complexion", TONES, "none", 0.25),
    ("complexion", TONES, "switch", 0.25),
    ("drawing_style", STYLES, "latents", 0.25),
)
"""The attribute, the sentence, the method, and its repair budget."""


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    attribute: str
    method: str
    tv: float
    perceived: float
    mean: float
    shown: Mapping[str, float]
    cost: float


def row(attribute: str, sentence: str, method: str, budget: float, images: int) -> Row:
    """All images of one row: `images` of each occupation."""
    defined = Attributes.named(DEFINITIONS)
    pipe = _pipe(attribute)
    policy = Policy.from_sentence(sentence, defined)
    requests = [
        Request(
            prompt=f"a photo of {article(occupation)}",
            n=images,
            seed=SEED + 1000 * k,
            policy=policy,
            method=method,
            steps=STEPS,
            batch_size=16,
            lot=(SEED, k),
            hold="gender",  # skin tone says the same as complexion, and would be kept
            repair_budget=budget,
        )
        for k, occupation in enumerate(OCCUPATIONS)
    ]
    results = pipe.many(requests)
    wanted = {cell[0]: float(share) for cell, share in policy.rules[0].targets[0].shares.items()}
    records = [record for result in results for record in result.records]
    spent, plain = sum(r.evaluations for r in records), sum(r.plain_evaluations for r in records)
    return Row(
        attribute,
        method,
        tv([record.judged[attribute] for record in records], wanted),
        tv([record.perceived[attribute] for record in records], wanted),
        float(np.mean([_of(result, attribute, wanted) for result in results])),
        shares([record.judged[attribute] for record in records], wanted),
        spent / plain,
    )


def _of(result: Result, attribute: str, wanted: Mapping[str, float]) -> float:
    return tv([record.judged[attribute] for record in result.records], wanted)


def _pipe(attribute: str) -> FairPipeline:
    """The pocket model with readers of an attribute."""
    perceiver = with_heads(pocket.load(), WEIGHTS / "styles-perceiver.safetensors")
    heads = with_heads(judge.load(), WEIGHTS / "styles-judge.safetensors")
    return FairPipeline(
        model.load(),
        name="pocket",
        perceiver=perceiver,
        judge=style_judge(WORK / "style-judge") if attribute == "drawing_style" else heads,
        early=early.load(),
        card=card_named("pocket"),
    )


def shares(labels: Sequence[str | None], wanted: Mapping[str, float]) -> dict[str, float]:
    """The share of each group, and of unknown."""
    counts = Counter("unknown" if label is None else label for label in labels)
    return {group: counts[group] / len(labels) for group in (*wanted, "unknown")}


def tv(labels: Sequence[str | None], wanted: Mapping[str, float]) -> float:
    """The total variation of labels from the wanted shares; unknown counts as wrong."""
    found = shares(labels, wanted)
    return sum(abs(found[group] - wanted.get(group, 0.0)) for group in found) / 2


def write(rows: Sequence[Row], images: int, path: Path) -> None:
    """Write the table."""
    lines = [
        "# Attributes that a person defines",
        "",
        f"Made by `python -m benchmarks.attributes --images {images}`; its docstring says what is measured. {images} "
        f"images of each of {len(OCCUPATIONS)} occupations in a row.",
        "",
        "| attribute | method | TV by the judge | by the perceiver | mean over occupations | the judge sees | cost |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in rows:
        shown = ", ".join(f"{group} {100 * share:.0f} %" for group, share in each.shown.items() if share)
        lines.append(
            f"| {each.attribute} | {each.method} | {each.tv:.3f} | {each.perceived:.3f} | {each.mean:.3f} | {shown} | "
            f"{each.cost:.2f}× |"
        )
    if left := [f"{method} for {attribute}" for attribute, _, method, _ in ROWS[len(rows) :]]:
        lines += ["", f"Ended before: {', '.join(left)}."]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=64, help="of each occupation")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    found = []
    for attribute, sentence, method, budget in ROWS:
        found.append(row(attribute, sentence, method, budget, arguments.images))
        print(found[-1], flush=True)
        write(found, arguments.images, arguments.out)
