"""Train the heads on the middle of the pocket model's UNet, for distribution guidance (`steering/distribution.py`).

Captions are those of the training mix, so that all groups occur. What a finished picture shows is what the perceiver
reads in it; the judge takes no part. Features and readings are kept in files of `CHUNK` images: an interrupted run goes
on where it stopped.

    python -m recipes.pocket.bottleneck_heads [--images 512]  → work/pocket/bottleneck-heads.safetensors, and accuracy
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fair_diffusion.backbones import Guide, StableDiffusion, advance, begin
from fair_diffusion.models.pocket import GUIDANCE
from fair_diffusion.models.pocket import load as load_pocket
from fair_diffusion.perception import pocket
from fair_diffusion.steering.bottleneck_heads import BottleneckHeads, train
from fair_diffusion.steering.cost import Cost
from fair_diffusion.steering.distribution import middle
from recipes.pocket.captions import Mix
from recipes.pocket.data import WORK, load

CHUNK = 32
HEADS = ("gender", "skin_tone")
STEPS = 25
LEARNING = 400
"""Steps of the optimizer."""
KEPT = 16
"""Steps of the run, from the first on, that get a head: those that guidance acts in."""
SEED = 150_000_000
HELD_OUT = 0.2


def features(backbone: StableDiffusion, prompts: Sequence[str], seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw one image per prompt: features at its first steps (images, steps, ...), their times, clean latents."""
    n, found = len(prompts), list[Tensor]()
    guide = Guide(backbone.encode(prompts), backbone.empty()[[0] * n], GUIDANCE)
    batch = begin(backbone, range(n), seeds=range(seed, seed + n), steps=STEPS)

    def keep(h: Tensor) -> Tensor:
        found.append(h[-n:].half())  # rows on the prompt come last
        return h

    with middle(backbone, keep):
        batch = advance(batch, guide, until=KEPT)
    times = batch.times[:KEPT].float()
    return torch.stack(found, dim=1), times, advance(batch, guide).latents


def draw(backbone: StableDiffusion, mix: Mix, images: int, folder: Path) -> None:
    """Draw files of `CHUNK` images that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(-(-images // CHUNK)):
        path = folder / f"{k:04d}.safetensors"
        if path.exists():
            continue
        rng = np.random.default_rng([k, 7])
        prompts = [mix.caption(rng).text for _ in range(CHUNK)]
        h, times, latents = features(backbone, prompts, SEED + 1000 * k)
        seen = pocket.load().every_probability(backbone.images(latents))
        part = path.with_suffix(".part")
        save_file({"features": h, "times": times} | {name: seen[name] for name in HEADS}, part)
        part.rename(path)
        print(f"{path.stem}: {CHUNK} images", flush=True)


@torch.no_grad()
def accuracy(heads: BottleneckHeads, h: Tensor, seen: dict[str, Tensor]) -> list[dict[str, float]]:
    """By time: how often each head foresees what the perceiver will see."""
    return [
        {"time": float(t)}
        | {
            name: (heads.probabilities(h[:, k].float(), float(t), name).argmax(1) == seen[name].argmax(1))
            .float()
            .mean()
            .item()
            for name in HEADS
        }
        for k, t in enumerate(heads.times)
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=512)
    arguments = parser.parse_args()
    folder, start = WORK / "bottleneck-features", time.monotonic()
    kept = folder.exists()
    draw(StableDiffusion(load_pocket()), Mix(load(WORK)[1]), arguments.images, folder)
    files = [load_file(path) for path in sorted(folder.glob("*.safetensors"))]
    h, seen = torch.cat([file["features"] for file in files]), {k: torch.cat([f[k] for f in files]) for k in HEADS}
    taught = round(len(h) * (1 - HELD_OUT))
    groups = {name: pocket.load().groups[name] for name in HEADS}
    labels = {name: table[:taught] for name, table in seen.items()}
    heads = train(h[:taught], files[0]["times"], labels, groups, steps=LEARNING)
    # Images that are kept from an earlier run took a time that nobody knows.
    took = Cost(steps=LEARNING, evaluations=2 * STEPS * len(h), seconds=None if kept else time.monotonic() - start)
    heads.save(WORK / "bottleneck-heads.safetensors", took)
    for row in accuracy(heads, h[taught:], {name: table[taught:] for name, table in seen.items()}):
        print({key: round(value, 3) for key, value in row.items()})
