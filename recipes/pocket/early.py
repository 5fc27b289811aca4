"""Train the early reader of the pocket model: from a predicted clean latent mid-way to what the image will show.

It learns from trajectories (`recipes.pocket.trajectories`); what a finished picture shows is what the perceiver
reads in it. The judge takes no part: it is only asked, on held-out prompts, how often it agrees.

    python -m recipes.pocket.early      → work/pocket/early.safetensors, and its accuracy by step
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from fair_diffusion.perception import judge, pocket
from fair_diffusion.perception.early import TIMES, EarlyReader
from recipes.pocket.data import WORK
from recipes.pocket.trajectories import LOOKS

HEADS = ("gender", "skin_tone")
PERCEIVER = "perceiver.safetensors"
BATCH, RATE = 128, 2e-3


def gather(folder: Path, prefix: str) -> tuple[Tensor, Tensor, dict[str, Tensor], list[Image.Image]]:
    """Latents (images, looks, 4, 16, 16), their times (images, looks), what the perceiver sees in the end, pictures."""
    files = [load_file(path) for path in sorted(folder.glob(f"{prefix}-*.safetensors"))]
    looks = torch.cat([file["looks"].float() for file in files])
    times = torch.cat([file["times"].expand(len(file["looks"]), -1) for file in files])
    pictures = [Image.fromarray(picture) for file in files for picture in file["images"].numpy()]
    pixels = torch.cat(
        [pocket.load(WORK / PERCEIVER).pixels(pictures[i : i + 256]) for i in range(0, len(pictures), 256)]
    )
    seen: dict[str, list[Tensor]] = {name: [] for name in HEADS}
    with torch.no_grad():
        for part in torch.split(pixels, 256):
            logits = pocket.load(WORK / PERCEIVER)(part)
            for name, found in seen.items():
                found.append(logits[name].softmax(dim=1))
    return looks, times, {name: torch.cat(found) for name, found in seen.items()}, pictures


def train(folder: Path, steps: int = 3000) -> EarlyReader:
    """Learn to foresee what the perceiver will see, then fit a temperature for each head and time on other images."""
    torch.manual_seed(3)
    looks, times, seen, _ = gather(folder, "train")
    kept = len(looks) * 9 // 10
    reader = EarlyReader({name: pocket.load(WORK / PERCEIVER).groups[name] for name in HEADS})
    optimizer = torch.optim.AdamW(reader.parameters(), lr=RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        rows, look = torch.randint(kept, (BATCH,)), torch.randint(looks.shape[1], (BATCH,))
        clean = looks[rows, look]
        clean = torch.where(torch.rand(BATCH, 1, 1, 1) < 0.5, clean, clean.flip(3))
        clean = clean.roll((int(torch.randint(-1, 2, ())), int(torch.randint(-1, 2, ()))), (2, 3))
        clean = clean + 0.1 * clean.std() * torch.rand(BATCH, 1, 1, 1) * torch.randn(clean.shape)
        logits = reader.logits(clean, times[rows, look])
        loss = torch.stack([F.cross_entropy(logits[name], seen[name][rows]) for name in HEADS]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 500 == 0:
            print(f"early step {step} loss {loss.item():.3f}", flush=True)
    reader.eval()
    calibrate(reader, looks[kept:].flatten(0, 1), times[kept:].flatten(), {k: v[kept:] for k, v in seen.items()})
    return reader


@torch.no_grad()
def calibrate(reader: EarlyReader, clean: Tensor, t: Tensor, seen: dict[str, Tensor]) -> None:
    """Set each temperature to the likeliest one for what is seen in the end, weighing looks near its time most."""
    logits = reader.logits(clean, t)
    tried = torch.exp(torch.linspace(-1.0, 1.5, 51))
    for k, name in enumerate(HEADS):
        target = seen[name].repeat_interleave(len(clean) // len(seen[name]), dim=0)
        loss = torch.stack([F.cross_entropy(logits[name] / T, target, reduction="none") for T in tried])
        for j, time in enumerate(TIMES):
            weight = torch.exp(-0.5 * ((t - time) / 40) ** 2) + 1e-6
            reader.temperatures[k, j] = tried[(loss * weight).sum(dim=1).argmin()]


@torch.no_grad()
def curve(reader: EarlyReader, folder: Path) -> list[dict[str, float]]:
    """On held-out neutral prompts, by look: how often it foresees what perceiver and judge see; calibration error."""
    looks, times, seen, pictures = gather(folder, "held-out")
    judged = judge.load().read(pictures)
    rows = []
    for k, share in enumerate(LOOKS):
        row = {"share": share, "time": float(times[0, k])}
        found = reader.early(looks[:, k], float(times[0, k]))
        for name, probabilities in found.items():
            sure, label = probabilities.max(dim=1)
            right = label == seen[name].argmax(dim=1)
            names = (*reader.groups[name], None)
            row[f"{name}"] = right.float().mean().item()
            row[f"{name} judge"] = sum(
                names[int(a)] == b.label for a, b in zip(label, judged[name], strict=True)
            ) / len(label)
            row[f"{name} error"] = expected_calibration_error(sure, right)
        rows.append(row)
    return rows


def expected_calibration_error(sure: Tensor, right: Tensor, bins: int = 10) -> float:
    """Mean gap between confidence and share right, over bins of confidence weighted by images (Guo et al. 2017)."""
    place = (sure * bins).long().clamp(max=bins - 1)
    gaps = [
        (sure[place == b].mean() - right[place == b].float().mean()).abs() * (place == b).float().mean()
        for b in range(bins)
        if (place == b).any()
    ]
    return float(torch.stack(gaps).sum())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    folder = WORK / "trajectories"
    reader = train(folder)
    reader.save(WORK / "early.safetensors")
    for row in curve(reader, folder):
        print({key: round(value, 3) for key, value in row.items()})
