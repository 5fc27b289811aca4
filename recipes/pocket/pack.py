"""Put the trained parts into the package as fp16 safetensors.

python -m recipes.pocket.pack      → src/fair_diffusion/models/pocket/weights/
"""

from __future__ import annotations

import shutil
from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel

from fair_diffusion.models.pocket.folder import WEIGHTS
from recipes.pocket.data import WORK

LIMIT = 40e6


def pack(work: Path, weights: Path) -> None:
    """Copy what is there: VAE, UNet, scheduler, readers, credits. `ValueError` if all of it passes 40 MB."""
    weights.mkdir(parents=True, exist_ok=True)
    for name, kind in (("vae", AutoencoderKL), ("unet", UNet2DConditionModel)):
        if (work / name).exists():
            kind.from_pretrained(work / name).half().save_pretrained(weights / name)
    if (work / "scheduler").exists():
        shutil.copytree(work / "scheduler", weights / "scheduler", dirs_exist_ok=True)
    for name in ("perceiver.safetensors", "judge.safetensors", "early.safetensors", "credits.csv"):
        if (work / name).exists():
            shutil.copy(work / name, weights / name)
    size = sum(file.stat().st_size for file in weights.rglob("*") if file.is_file())
    print(f"{size / 1e6:.1f} MB in {weights.name}")
    if size > LIMIT:
        raise ValueError(f"the weights take {size / 1e6:.1f} MB; the package allows {LIMIT / 1e6:.0f} MB")


if __name__ == "__main__":
    pack(WORK, WEIGHTS)
