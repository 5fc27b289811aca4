"""Natural-first over guidance scales and numbers of steps: does the target hold, and at what cost? And over strengths.

Half women; occupations whose natural shares lie far apart; nothing learnt at one setting is used at another. In the
table, over the occupations: mean and worst total variation from the target by the judge (a perfect coin gives the
floor), evaluations over those of plain generation, occupation right. The second table steers every image by switching
the prompt at the look, with several strengths, to the group that the occupation shows least: how many comply.

    python -m benchmarks.settings [--images 24]      → a table, and benchmarks/settings.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from fair_diffusion import FairPipeline
from fair_diffusion.backbones import Guide, advance, begin
from fair_diffusion.policy import built_in
from fair_diffusion.statistics.intervals import wilson
from fair_diffusion.statistics.metrics import noise_floor, total_variation
from fair_diffusion.steering.prompt import with_group
from fair_diffusion.steering.switch import switched
from fair_diffusion.steering.window import look_step
from recipes.pocket.captions import article

OCCUPATIONS = {  # drawing, and the gender that it shows least
    "nurse": ("health-worker", "man"),
    "firefighter": ("firefighter", "woman"),
    "teacher": ("teacher", "man"),
    "farmer": ("farmer", "woman"),
}
STRENGTHS = (1.0, 1.5, 2.4)
SETTINGS = [(1.5, 10), (1.5, 50), (2.0, 25), (4.0, 15), (7.5, 25), (10.0, 10), (10.0, 50)]


def line(pipe: FairPipeline, guidance: float, steps: int, images: int) -> str:
    """One setting, over the occupations."""
    deviations, ratios, right = [], [], []
    for k, (concept, (drawing, _)) in enumerate(OCCUPATIONS.items()):
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
        women, men = genders.count("woman"), genders.count("man")
        shown = [women / images, men / images, (images - women - men) / images]
        deviations.append(total_variation(shown, [0.5, 0.5, 0.0]))
        ratios.append(result.summary()["cost"]["ratio"])
        right.append(sum(record.judged["occupation"] == drawing for record in result.records) / images)
    return (
        f"| {guidance:g} | {steps} | {np.mean(deviations):.3f} | {max(deviations):.3f} "
        f"| {np.mean(ratios):.2f}× | {np.mean(right):.1%} |"
    )


def compliance(pipe: FairPipeline, strength: float, images: int, steps: int = 15) -> str:
    """One strength, over the occupations: how many images then show the group that they were switched to."""
    backbone, complied = pipe.backbone, []
    empty = backbone.empty()[[0] * images]
    for k, (concept, (_, group)) in enumerate(OCCUPATIONS.items()):
        adjective = built_in()["gender"].group(group).adjective
        start = len("a photo of a ")
        prompts = (f"a photo of a {concept}", with_group(f"a photo of a {concept}", start, [adjective]))
        plain, grouped = (backbone.encode([prompt])[[0] * images] for prompt in prompts)
        batch = begin(
            backbone, range(images), seeds=range(9_000_000 + 1000 * k, 9_000_000 + 1000 * k + images), steps=steps
        )
        batch = advance(batch, Guide(plain, empty, pipe.card.guidance), until=look_step(steps))
        cond = switched(plain, grouped, torch.full((images,), strength))
        batch = advance(batch, Guide(cond, empty, pipe.card.guidance))
        complied += [reading.label == group for reading in pipe.judge.read(backbone.images(batch.latents))["gender"]]
    low, high = wilson(sum(complied), len(complied))
    return f"| {strength:g} | {np.mean(complied):.0%} ({low:.0%} to {high:.0%} of {len(complied)}) |"


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
    lines += ["", "| strength s | comply, by the judge |", "|---|---|"]
    for strength in STRENGTHS:
        lines.append(compliance(pipe, strength, images))
        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")
