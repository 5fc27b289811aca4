"""Images of the pocket model on their way: predicted clean latents mid-way, and what they became.

Captions are those of the training mix, so that all groups occur, each file with its own number of steps and guidance
scale; neutral prompts at the usual settings are held out. Kept in files: an interrupted run goes on where it stopped.
Remove them when the weights change.

    python -m recipes.pocket.trajectories [--images 2048]    → work/pocket/trajectories/*.safetensors
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from fair_diffusion.backbones import StableDiffusion, StepInfo, denoise
from fair_diffusion.models.pocket import GUIDANCE
from fair_diffusion.models.pocket import load as load_pocket
from recipes.pocket.captions import Caption, Mix, article
from recipes.pocket.data import WORK, load

CHUNK, HELD_OUT = 32, 64
"""Pictures of each training file, and of each concept's neutral prompt."""
LOOKS = (0.08, 0.12, 0.16, 0.2, 0.24, 0.28, 0.32, 0.4, 0.5)
"""Shares of the trajectory after which the predicted clean latents are kept."""
STEPS = (10, 12, 15, 15, 20, 25, 40)
GUIDANCES = (1.5, 10.0)
USUAL_STEPS = 25
HELD_OUT_SEED = 50_000_000


def captions(mix: Mix, k: int) -> tuple[list[Caption], np.random.Generator]:
    """The captions of training file k, and the generator that draws its settings next."""
    rng = np.random.default_rng([k, 5])
    return [mix.caption(rng) for _ in range(CHUNK)], rng


def trajectories(
    backbone: StableDiffusion, prompts: list[str], *, seed: int, steps: int, guidance: float
) -> dict[str, Tensor]:
    """Draw one image per prompt. looks: (images, looks, 4, 16, 16); times: (looks,); images: (images, 64, 64, 3)."""
    ends = [max(1, round(share * steps)) for share in LOOKS]
    looks: dict[int, Tensor] = {}
    times: dict[int, float] = {}

    def look(info: StepInfo) -> None:
        if info.step + 1 in ends:
            looks[info.step + 1], times[info.step + 1] = info.clean(), info.timestep

    (batch,) = denoise(
        backbone,
        prompts_cond=backbone.encode(prompts),
        empty_cond=backbone.encode([""]),
        seeds=range(seed, seed + len(prompts)),
        steps=steps,
        guidance=guidance,
        batch_size=len(prompts),
        on_step=look,
    )
    return {
        "looks": torch.stack([looks[end] for end in ends], dim=1).half(),
        "times": torch.tensor([times[end] for end in ends]),
        "images": stack(backbone.images(batch.latents)),
    }


def draw(backbone: StableDiffusion, mix: Mix, images: int, folder: Path) -> None:
    """Draw training trajectories of random captions, and held-out ones of neutral prompts at usual settings."""
    folder.mkdir(parents=True, exist_ok=True)

    def keep(name: str, prompts: list[str], **settings: Any) -> None:
        path = folder / f"{name}.safetensors"
        if not path.exists():
            save_file(trajectories(backbone, prompts, **settings), path.with_suffix(".part"))
            path.with_suffix(".part").rename(path)
            print(path.stem, settings, flush=True)

    for k in range(images // CHUNK):
        asked, rng = captions(mix, k)
        prompts = [caption.text for caption in asked]
        steps, guidance = (
            int(rng.choice(STEPS)),
            float(np.exp(rng.uniform(*np.log(GUIDANCES)))),
        )
        keep(f"train-{k:04d}", prompts, seed=2 * HELD_OUT_SEED + 1000 * k, steps=steps, guidance=guidance)
    for k, concept in enumerate(mix.concepts):
        prompts = [f"a photo of {article(concept)}"] * HELD_OUT
        keep(f"held-out-{k:02d}", prompts, seed=HELD_OUT_SEED + 1000 * k, steps=USUAL_STEPS, guidance=GUIDANCE)


def generated(mix: Mix, folder: Path, *, odd: bool) -> tuple[Tensor, list[Caption]]:
    """Finished pictures of every second training file, (n, 3, 64, 64) uint8, and what their captions asked for."""
    numbers = sorted(int(path.stem.split("-")[1]) for path in folder.glob("train-*.safetensors"))
    ours = [k for k in numbers if k % 2 == odd]
    pictures = [load_file(folder / f"train-{k:04d}.safetensors")["images"].permute(0, 3, 1, 2) for k in ours]
    return torch.cat(pictures), [caption for k in ours for caption in captions(mix, k)[0]]


def held_out(mix: Mix, folder: Path) -> dict[str, list[Image.Image]]:
    """Finished pictures of each concept's neutral prompt, `HELD_OUT` each, at the usual settings."""
    return {
        concept: [
            Image.fromarray(picture)
            for picture in load_file(folder / f"held-out-{k:02d}.safetensors")["images"].numpy()
        ]
        for k, concept in enumerate(mix.concepts)
    }


def stack(images: Sequence[Image.Image]) -> Tensor:
    """Pictures as (n, height, width, 3) uint8."""
    return torch.from_numpy(np.stack([np.asarray(image) for image in images]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2048)
    arguments = parser.parse_args()
    draw(StableDiffusion(load_pocket()), Mix(load(WORK)[1]), arguments.images, WORK / "trajectories")
