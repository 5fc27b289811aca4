"""Pictures of each concept's neutral prompt, kept on disk: a measurement goes on where it stopped, and shares them.

The name of a file holds a digest of the weights and settings that made it. What steered is stored with them; what they
show is read anew each time, by whatever judge there is. Every concept has its own seeds, so that the concepts are
independent samples; methods share them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fair_diffusion import FairPipeline
from fair_diffusion.backbones import StepInfo
from fair_diffusion.pocket.folder import WEIGHTS
from fair_diffusion.steering import SemanticGuidance
from recipes.pocket.captions import Mix, article
from recipes.pocket.checkpoint import digest
from recipes.pocket.data import WORK

STEPS, BATCH = 25, 32
NETWORKS = [WEIGHTS / part / "diffusion_pytorch_model.safetensors" for part in ("unet", "vae")]
LOOKS = (5, 8, 12)
"""After how many steps the predicted clean images are kept too."""
INSTRUCTION = "every occupation: 50% woman, 50% man"


@dataclass(frozen=True)
class Pictures:
    """Images 0…n−1 of one prompt: finished, mid-way by step, the assigned gender of each, evaluations over plain."""

    images: list[Image.Image]
    looks: dict[int, list[Image.Image]]
    assigned: list[str | None]
    ratio: float


def pictures(pipe: FairPipeline, mix: Mix, concept: str, method: str, n: int, work: Path = WORK) -> Pictures:
    """`n` images of `concept` by `method`, instructed to be half women unless the method is "none"."""
    seed, prompt = 100_000 * list(mix.concepts).index(concept), f"a photo of {article(concept)}"
    settings = SemanticGuidance() if method == "semantic" else None
    made_by = digest(*NETWORKS, prompt, seed, n, method, pipe.guidance, STEPS, LOOKS, INSTRUCTION, settings)
    path = work / "pictures" / f"{method}-{n}-{concept.replace(' ', '-')}-{made_by}.safetensors"
    if not path.exists():
        _draw(pipe, prompt, method, n, seed, path)
    found = {name: [Image.fromarray(p) for p in stack.numpy()] for name, stack in load_file(path).items()}
    with safe_open(path, "pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["facts"])
    return Pictures(found["images"], {step: found[str(step)] for step in LOOKS}, **facts)


def _draw(pipe: FairPipeline, prompt: str, method: str, n: int, seed: int, path: Path) -> None:
    looks: dict[str, list[Image.Image]] = {str(step): [] for step in LOOKS}

    def look(info: StepInfo) -> None:
        if info.step + 1 in LOOKS:
            looks[str(info.step + 1)] += pipe.backbone.images(info.clean())

    asked: dict[str, Any] = {"n": n, "seed": seed, "method": method, "control": "all", "steps": STEPS}
    result = pipe(prompt, instruct=INSTRUCTION, batch_size=BATCH, on_step=look, **asked)
    cost = result.summary()["cost"]
    facts = {
        "assigned": [record.assigned.get("gender") for record in result.records],
        "ratio": cost["ratio"],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    stacks = {name: stack(images) for name, images in {"images": result.images, **looks}.items()}
    save_file(stacks, part, {"facts": json.dumps(facts)})
    part.rename(path)
    print(f"{method}: {n} of {prompt!r} in {cost['seconds']:.0f} s", flush=True)


def stack(images: list[Image.Image]) -> torch.Tensor:
    """Pictures as (n, height, width, 3) uint8."""
    return torch.from_numpy(np.stack([np.asarray(image) for image in images]))
