"""Vectors for the middle of the pocket model's UNet, one per gender and skin tone.

python -m recipes.pocket.bottleneck [--images 1000]      → work/pocket/directions.safetensors
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fair_diffusion.backbones import adapt
from fair_diffusion.models.pocket import GUIDANCE
from fair_diffusion.models.pocket import load as load_pocket
from fair_diffusion.policy import built_in
from fair_diffusion.steering.bottleneck import Group
from fair_diffusion.steering.embedding import grouped_prompts
from fair_diffusion.steering.learn.bottleneck import learn
from recipes.pocket.captions import Mix, article
from recipes.pocket.data import WORK, load

STEPS = 15


def prompts(concepts: Sequence[str]) -> tuple[list[str], dict[Group, list[str]]]:
    """The neutral prompt of each concept, and for every gender and skin tone the same with its word."""
    grouped: dict[Group, list[str]] = {}
    for name in ("gender", "skin_tone"):
        attribute = built_in()[name]
        groups = attribute.group_names
        grouped |= {(name, g): t for g, t in zip(groups, grouped_prompts(attribute, groups, concepts), strict=True)}
    return [f"a photo of {article(concept)}" for concept in concepts], grouped


def tell(group: Group, step: int, loss: float) -> None:
    """Print every 25th step."""
    if step % 25 == 0:
        print(*group, step, round(loss, 4), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000, help="to draw for each group")
    neutral, grouped = prompts(list(Mix(load(WORK)[1]).concepts))
    directions = learn(
        adapt(load_pocket()),
        neutral,
        grouped,
        images=parser.parse_args().images,
        steps=STEPS,
        guidance=GUIDANCE,
        on_step=tell,
    )
    WORK.mkdir(parents=True, exist_ok=True)
    directions.save(WORK / "directions.safetensors")
    print(directions.cost)
