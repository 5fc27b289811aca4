"""Natural-first over guidance scales and numbers of steps: does the target hold, and at what cost?

Half women; occupations whose natural shares lie far apart; nothing learnt at one setting is used at another. In the
table, over the occupations: mean and worst total variation from the target by the judge (a perfect coin gives the
floor), evaluations over those of plain generation, occupation right.

    python -m benchmarks.settings [--images 24]      → a table, and benchmarks/settings.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fair_diffusion import FairPipeline
from fair_diffusion.audit import noise_floor, total_variation
from recipes.pocket.captions import article

OCCUPATIONS = {"nurse": "health-worker", "firefighter": "firefighter", "teacher": "teacher", "farmer": "farmer"}
SETTINGS = [(1.5, 10), (1.5, 50), (2.0, 25), (4.0, 15), (7.5, 25), (10.0, 10), (10.0, 50)]


def line(pipe: FairPipeline, guidance: float, steps: int, images: int) -> str:
    """One setting, over the occupations."""
    deviations, ratios, right = [], [], []
    for k, (concept, drawing) in enumerate(OCCUPATIONS.items()):
        result = pipe(
            f"a photo of {article(concept)}",
            n=images,
            seed=9_000_000 + 1000 * k,
            instruct="every occupation: 50% woman, 50% man",
            guidance=guidance,
            steps=steps,
            batch_size=images,
        )
        genders = [record.judged["gender"] for record in result.records]
        women, men = genders.count("woman") / images, genders.count("man") / images
        deviations.append(total_variation([women, men, 1 - women - men], [0.5, 0.5, 0.0]))
        ratios.append(result.summary()["cost"]["ratio"])
        right.append(sum(record.judged["occupation"] == drawing for record in result.records) / images)
    return (
        f"| {guidance:g} | {steps} | {np.mean(deviations):.3f} | {max(deviations):.3f} "
        f"| {np.mean(ratios):.2f}× | {np.mean(right):.1%} |"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=24)
    images = parser.parse_args().images
    pipe = FairPipeline.from_pretrained("pocket")
    lines = [
        "# Natural-first over guidance scales and steps",
        "",
        f"{', '.join(OCCUPATIONS)} × {images}; half women; a perfect coin: {noise_floor([0.5, 0.5], images):.3f}.",
        "",
        "| guidance | steps | TV judge, mean | worst | evaluations | occupation right |",
        "|---|---|---|---|---|---|",
    ]
    for guidance, steps in SETTINGS:
        lines.append(line(pipe, guidance, steps, images))
        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")
