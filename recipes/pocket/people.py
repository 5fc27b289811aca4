"""Train the "people" of benchmarks: a third reader of the pocket model's drawings, in the place of persons who label.

It never steers and never scores a result. Perceiver and judge share nothing with it but the drawings: it has another
architecture (RegNet, Radosavovic et al. 2020, arXiv 2003.13678), other folds, another seed, and an augmentation of its
own (gamma, soft focus by pooling, stripes painted over). It is not shipped.

    python -m recipes.pocket.people [--steps 3000]      → work/pocket/people.safetensors, resumable
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import RegNetConfig, RegNetModel

from fair_diffusion.perception.reader import Reader, fill, heads_of
from recipes.pocket.checkpoint import restore, save
from recipes.pocket.data import WORK, load
from recipes.pocket.readers import HEADS, IGNORE, accuracy, labels, ruin
from recipes.pocket.vae import augment

FOLDS = (1, 2, 4, 6, 7, 8, 9)
SEED, BATCH, STEPS, RATE, EVERY = 3, 48, 3000, 2e-3, 250
WIDTHS = [32, 64, 128, 192]


class Trunk(nn.Module):
    """Pooled features (n, 192) of transformers' RegNet."""

    def __init__(self) -> None:
        super().__init__()
        config = RegNetConfig(
            embedding_size=32, hidden_sizes=WIDTHS, depths=[1, 2, 2, 1], groups_width=16, layer_type="y"
        )
        self.regnet: Any = RegNetModel(config)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, 192) of pictures (n, 3, side, side)."""
        pooled: Tensor = self.regnet(x).pooler_output
        return pooled.flatten(1)


def build(heads: Mapping[str, Sequence[str]]) -> Reader:
    """The untrained reader."""
    return Reader(Trunk(), WIDTHS[-1], heads)


def people(work: Path = WORK) -> Reader:
    """The trained reader."""
    path = work / "people.safetensors"
    return fill(build(heads_of(path)), path)


def disturb(x: Tensor, generator: torch.Generator) -> Tensor:
    """Flipped, scaled and shifted; soft focus by pooling; gamma 0.8–1.25; a stripe painted over; noise.

    (n, 3, side, side) in −1…1 → same shape and range."""
    n, side = len(x), x.shape[-1]
    x = augment(x, generator)
    soft = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    x = torch.lerp(x, soft, torch.rand(n, 1, 1, 1, generator=generator))
    gamma = torch.exp((torch.rand(n, 1, 1, 1, generator=generator) - 0.5) * 0.45)
    x = ((x.clamp(-1, 1) + 1) / 2).pow(gamma) * 2 - 1
    for k in torch.nonzero(torch.rand(n, generator=generator) < 0.4).flatten().tolist():
        top = int(torch.randint(0, side - 6, (), generator=generator))
        x[k, :, top : top + 6] = torch.rand(3, 1, 1, generator=generator) * 2 - 1
    x = x + 0.05 * torch.rand(n, 1, 1, 1, generator=generator) * torch.randn(x.shape, generator=generator)
    return x.clamp(-1, 1)


def train(work: Path, steps: int) -> Reader:
    """Train up to `steps`, going on from the last checkpoint, and write the weights."""
    torch.manual_seed(SEED)
    pictures, drawings = load(work)
    pictures, classes = pictures.float() / 127.5 - 1, labels(drawings)
    seen = torch.tensor([i for i, drawing in enumerate(drawings) if drawing.fold in FOLDS])
    reader = build(HEADS)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=RATE, weight_decay=0.02)
    checkpoint = work / "people-checkpoint.safetensors"
    first = restore(checkpoint, reader, nn.Module(), optimizer)
    for step in range(first, steps):
        generator = torch.Generator().manual_seed(SEED * 1_000_003 + step)  # a resumed run draws the same batches
        warm, left = min(1.0, (step + 1) / 200), (steps - step) / steps
        for part in optimizer.param_groups:
            part["lr"] = RATE * warm * left
        rows = seen[torch.randint(len(seen), (BATCH,), generator=generator)]
        x = disturb(pictures[rows], generator)
        x[:2] = ruin(x[:2], generator)
        logits = reader(x)
        loss = torch.zeros(())
        for head, groups in HEADS.items():
            target = classes[head][rows].clone()
            target[:2] = len(groups)
            loss = loss + F.cross_entropy(logits[head], target, ignore_index=IGNORE, label_smoothing=0.02)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % EVERY == 0:
            save(checkpoint, step + 1, reader, nn.Module(), optimizer)
            print(f"people step {step + 1} loss {loss.item():.3f}", flush=True)
    reader.eval()
    reader.save(work / "people.safetensors")
    return reader


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    for head, row in accuracy(train(WORK, parser.parse_args().steps), WORK).items():
        print(head, {group: f"{share:.3f} of {count}" for group, (share, count) in row.items()})
