"""Plain pictures of each concept's neutral prompt, kept on disk: a measurement goes on where it stopped.

The name of a file holds a digest of the weights and settings that made it. What the pictures show is read anew each
time, by whatever judge there is. Every concept has its own seeds, so that the concepts are independent samples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from fair_diffusion import FairPipeline
from fair_diffusion.pocket.folder import WEIGHTS
from recipes.pocket.captions import Mix, article
from recipes.pocket.checkpoint import digest
from recipes.pocket.data import WORK

STEPS, BATCH = 25, 32
NETWORKS = [WEIGHTS / part / "diffusion_pytorch_model.safetensors" for part in ("unet", "vae")]


def pictures(pipe: FairPipeline, mix: Mix, concept: str, n: int, work: Path = WORK) -> list[Image.Image]:
    """`n` unsteered images of `concept`."""
    seed, prompt = 100_000 * list(mix.concepts).index(concept), f"a photo of {article(concept)}"
    made_by = digest(*NETWORKS, prompt, seed, n, pipe.guidance, STEPS)
    path = work / "pictures" / f"{n}-{concept.replace(' ', '-')}-{made_by}.safetensors"
    if not path.exists():
        result = pipe(prompt, n=n, seed=seed, method="none", steps=STEPS, batch_size=BATCH)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        save_file({"images": stack(result.images)}, part)
        part.rename(path)
        print(f"{n} of {prompt!r} in {result.seconds:.0f} s", flush=True)
    return [Image.fromarray(picture) for picture in load_file(path)["images"].numpy()]


def stack(images: list[Image.Image]) -> torch.Tensor:
    """Pictures as (n, height, width, 3) uint8."""
    return torch.from_numpy(np.stack([np.asarray(image) for image in images]))
