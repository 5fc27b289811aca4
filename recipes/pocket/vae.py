"""Train the pocket VAE: 64×64 RGB ↔ 4×16×16 latents.

L1 + L2 reconstruction with a very small KL term, AdamW with a falling rate, an exponential average of the weights.
Rombach et al. 2022 (arXiv 2112.10752) without the adversarial loss, which flat drawings do not need.

    python -m recipes.pocket.vae --minutes 60      → work/pocket/vae/ (a diffusers folder), resumable
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from recipes.pocket.checkpoint import device, mixed, restore, save
from recipes.pocket.data import WORK, load

BATCH, RATE, KL_WEIGHT, EMA = 16, 1.2e-3, 1e-6, 0.998


def model() -> AutoencoderKL:
    """The untrained autoencoder."""
    return AutoencoderKL(
        block_out_channels=(32, 64, 96),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=16,
        sample_size=64,
        mid_block_add_attention=False,
    )


def augment(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Flip half of the batch, and scale (0.94–1.02) and shift (±2 px) each picture on its white page.

    (n, 3, 64, 64) in −1…1 → same shape and range."""
    n = len(pictures)
    scale = 0.94 + 0.08 * torch.rand(n, generator=generator)
    flip = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    shift = (torch.rand(n, 2, generator=generator) - 0.5) * 2 * 4 / pictures.shape[-1]
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = flip / scale, 1 / scale, shift
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
    # Sample "distance from white", so that what comes in from outside the page is white too.
    return 1 - F.grid_sample(1 - pictures, grid, mode="bicubic", align_corners=False).clamp(0, 2)


def psnr(vae: Any, pictures: torch.Tensor) -> float:
    """Mean peak signal-to-noise ratio in dB of reconstructing (n, 3, 64, 64) in −1…1 from the latents' mode."""
    with torch.no_grad():
        back = torch.cat([vae.decode(vae.encode(x).latent_dist.mode()).sample for x in torch.split(pictures, 64)])
    error = ((back.clamp(-1, 1) - pictures) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * error.log10()).mean())


def train(work: Path, minutes: float, steps: int, seed: int = 0) -> None:
    """Train until `steps` or out of `minutes`, then write the averaged model."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    where = device()
    pictures, drawings = load(work)
    pictures = pictures.float() / 127.5 - 1
    held = torch.tensor([d.fold == 0 and d.occupation is not None for d in drawings])
    people = torch.tensor([d.occupation is not None for d in drawings])
    seen, test = pictures[~held & people], pictures[held]
    vae: Any = model().to(where)
    average = AveragedModel(vae, multi_avg_fn=get_ema_multi_avg_fn(EMA))
    optimizer = torch.optim.AdamW(vae.parameters(), lr=RATE, weight_decay=0.0, betas=(0.9, 0.99))
    first = restore(work / "vae-state.safetensors", vae, average, optimizer)
    generator.manual_seed(seed + first)
    start, trained = time.monotonic(), first
    for step in range(first, steps):
        # The rate falls to zero at the end of the steps or of the time, whichever comes first.
        done = max(step / steps, (time.monotonic() - start) / 60 / minutes)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 100) * (1 - done) ** 0.7
        x = augment(seen[torch.randint(len(seen), (BATCH,), generator=generator)], generator).to(where)
        with mixed(where):
            posterior = vae.encode(x).latent_dist
            back = vae.decode(posterior.sample()).sample.float()
        error = back - x
        loss = error.abs().mean() + 2 * error.square().mean() + KL_WEIGHT * posterior.kl().float().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(vae)
        trained = step + 1
        if step % 100 == 0 or step == 20:
            rate = (time.monotonic() - start) / (step - first + 1)
            note = f"psnr {psnr(average.module.eval(), test[:64].to(where)):.2f} dB" if step % 400 == 0 else ""
            print(f"step {step} loss {loss.item():.4f} {rate:.2f} s/step {note}", flush=True)
        if step % 500 == 499:
            save(work / "vae-state.safetensors", trained, vae, average, optimizer)
    save(work / "vae-state.safetensors", trained, vae, average, optimizer)
    final: Any = average.module.eval()
    final.to("cpu")
    with torch.no_grad():
        latents = torch.cat([final.encode(x).latent_dist.mode() for x in torch.split(seen, 64)])
    final.register_to_config(scaling_factor=float(1 / latents.std()))
    final.save_pretrained(work / "vae")
    print(f"held-out psnr {psnr(final, test):.2f} dB, latent std {latents.std():.3f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=90, help="of this run; a resumed one has its own")
    parser.add_argument("--steps", type=int, default=8000)
    arguments = parser.parse_args()
    train(WORK, arguments.minutes, arguments.steps)
