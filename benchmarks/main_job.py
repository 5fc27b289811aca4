"""The main job on the pocket model: natural, prompt quota and semantic guidance side by side, target half women.

All 20 occupations (doctor and nurse share drawings, so 21 prompts), the same seeds for every method. Read by the judge:
total variation from the target with unknown counted against the method, fidelity (occupation right), kernel distance of
the judge's features to the training renders, of which half are women. Pixels changed: the mean absolute difference from
the unsteered twin of the same seed. Pictures are kept, so a run goes on where it stopped; seconds are taken anew.

    python -m benchmarks.main_job [--images 50]      → a table, and benchmarks/main_job.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fair_diffusion import FairPipeline
from fair_diffusion.audit import audit_rows, deviation, kid, noise_floor
from recipes.pocket.captions import Mix
from recipes.pocket.data import WORK, load
from recipes.pocket.pictures import INSTRUCTION, STEPS, Pictures, pictures, stack

METHODS = ("none", "prompt", "semantic")
NAMES = {"none": "natural", "prompt": "prompt quota", "semantic": "semantic guidance"}
TARGET = {"woman": 0.5, "man": 0.5, "androgynous": 0.0}


@torch.no_grad()
def measure(pipe: FairPipeline, drawn: Pictures, plain: Pictures, drawing: str) -> tuple[dict[str, float], Tensor]:
    """The figures of one prompt, beside its unsteered twins `plain`, and the judge's features (n, width)."""
    read, n = pipe.judge.read(drawn.images), len(drawn.images)
    genders = [reading.label for reading in read["gender"]]
    rows = audit_rows(genders, attribute="gender", groups=list(TARGET), target=list(TARGET.values()))
    figures = {
        "women": genders.count("woman") / n,
        "unknown": genders.count(None) / n,
        "tv": deviation(rows)["tv"],
        "as_assigned": sum(a == b for a, b in zip(drawn.assigned, genders, strict=True)) / n,
        "fidelity": sum(reading.label == drawing for reading in read["occupation"]) / n,
        "ratio": drawn.ratio,
        "changed": float((stack(drawn.images).float() - stack(plain.images)).abs().mean() / 255),
    }
    return figures, pipe.judge.features(pipe.judge.pixels(drawn.images))


@torch.no_grad()
def renders(pipe: FairPipeline) -> Tensor:
    """The judge's features of the drawings of women and men that the UNet was trained on."""
    drawings_shown, drawings = load(WORK)
    rows = [i for i, d in enumerate(drawings) if d.fold and d.occupation and d.tone and d.gender in ("woman", "man")]
    return torch.cat([pipe.judge.features(x) for x in torch.split(drawings_shown[rows].float() / 127.5 - 1, 128)])


def table(pipe: FairPipeline, mix: Mix, images: int) -> str:
    """The comparison as Markdown."""
    reference = renders(pipe).numpy()
    drawn = {(m, concept): pictures(pipe, mix, concept, m, images) for m in METHODS for concept in mix.concepts}
    lines = [
        f"{len(mix.concepts)} prompts × {images} images, 25 steps, guidance {pipe.guidance:g}, target half women. "
        f"A perfect coin deviates {noise_floor([0.5, 0.5], images):.3f} on average; quotas can reach 0.",
        "",
        "| method | mean deviation (TV) | 95 % interval | as assigned | unknown | occupation right | KID to renders "
        "| pixels changed | evaluations | s per image |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    women: dict[str, list[float]] = {}
    for method in METHODS:
        found = [
            measure(pipe, drawn[method, concept], drawn["none", concept], row["drawing"])
            for concept, row in mix.concepts.items()
        ]
        mean = {key: float(np.mean([figures[key] for figures, _ in found])) for key in found[0][0]}
        women[method] = [figures["women"] for figures, _ in found]
        low, high = bootstrap([figures["tv"] for figures, _ in found])
        distance = kid(torch.cat([features for _, features in found]).numpy(), reference)
        assigned = "" if method == "none" else f"{mean['as_assigned']:.1%}"
        lines.append(
            f"| {NAMES[method]} | {mean['tv']:.3f} | {low:.3f} to {high:.3f} | {assigned} | {mean['unknown']:.1%} "
            f"| {mean['fidelity']:.1%} | {distance.mean:.4f} ± {distance.std:.4f} | {mean['changed']:.1%} "
            f"| {mean['ratio']:.2f}× "
            f"| {seconds(pipe, method):.2f} |"
        )
    lines += ["", f"| share of women | {' | '.join(NAMES[m] for m in METHODS)} |", "|---|---|---|---|"]
    for k, concept in enumerate(mix.concepts):
        lines.append(f"| {concept} | {' | '.join(f'{women[m][k]:.0%}' for m in METHODS)} |")
    return "\n".join(lines) + "\n"


def seconds(pipe: FairPipeline, method: str, n: int = 32) -> float:
    """Wall-clock seconds per image of one prompt, drawn in one batch."""
    return pipe("a photo of a firefighter", n=n, instruct=INSTRUCTION, method=method, steps=STEPS).seconds / n


def bootstrap(values: list[float]) -> tuple[float, float]:
    """Percentile interval (95 %) of the mean over prompts, 10,000 resamples."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50)
    arguments = parser.parse_args()
    mix = Mix(load(WORK)[1])
    text = table(FairPipeline.from_pretrained("pocket"), mix, arguments.images)
    Path(__file__).with_suffix(".md").write_text(f"# The main job on the pocket model\n\n{text}")
    print(text)
