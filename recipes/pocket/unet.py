"""Train the pocket UNet on the VAE's latents and MiniLM's token states.

v-prediction (Salimans & Ho 2022, arXiv 2202.00512) with min-SNR-γ weights (Hang et al. 2023, arXiv 2303.09556), AdamW,
an exponential average of the weights. Captions come from the biased mix (`captions.py`); text is encoded exactly as
StableDiffusionPipeline does it: padded to `model_max_length`, no attention mask.

    python -m recipes.pocket.unet --minutes 90      → work/pocket/unet/ and scheduler/, resumable
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fair_diffusion.pocket.folder import WEIGHTS, text_encoder, tokenizer
from recipes.pocket.captions import TABLE, Mix
from recipes.pocket.checkpoint import device, digest, restore, save
from recipes.pocket.data import WORK, load
from recipes.pocket.vae import augment

BATCH, RATE, EMA, SNR_GAMMA = 32, 6e-4, 0.998, 5.0
PAIRS, VIEWS = 24_000, 8


def model() -> UNet2DConditionModel:
    """The untrained denoiser: 9 M weights, cross-attention at 8×8 only."""
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(96, 192),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=384,
        attention_head_dim=6,
        norm_num_groups=32,
    )


def scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule, for a v-predicting model."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )


@torch.no_grad()
def encode_texts(texts: list[str]) -> torch.Tensor:
    """Token states (n, model_max_length, 384) in half precision."""
    words, encoder = tokenizer(), text_encoder()
    states = []
    for start in range(0, len(texts), 64):
        ids = words(
            texts[start : start + 64],
            padding="max_length",
            max_length=words.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        states.append(encoder(ids)[0].half())
    return torch.cat(states)


@torch.no_grad()
def encode_pictures(vae: AutoencoderKL, pictures: torch.Tensor, seed: int) -> torch.Tensor:
    """Scaled latents of `VIEWS` augmented views of each picture: (views, n, 4, 16, 16)."""
    generator = torch.Generator().manual_seed(seed)
    views = []
    for view in range(VIEWS):
        x = augment(pictures, generator) if view else pictures
        views.append(torch.cat([vae.encode(part).latent_dist.mode() for part in torch.split(x, 64)]))
    latents: torch.Tensor = torch.stack(views) * vae.config.scaling_factor
    return latents


def prepare(work: Path, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latents, text states, and for each pair of the mix the index of its drawing and text; kept for a resume."""
    vae_folder = work / "vae" if (work / "vae").exists() else WEIGHTS / "vae"
    made_from = digest(work / "drawings.json", vae_folder / "diffusion_pytorch_model.safetensors", TABLE, seed)
    kept = work / f"pairs-{made_from}.safetensors"
    if kept.exists():
        found = load_file(kept)
        return found["latents"], found["states"], found["drawn"], found["text"]
    pictures, drawings = load(work)
    mix, rng = Mix(drawings), np.random.default_rng(seed)
    captions = [mix.caption(rng) for _ in range(PAIRS)]
    drawn = torch.tensor([mix.draw(caption, rng) for caption in captions])
    texts = sorted({caption.text for caption in captions})
    number = {text: i for i, text in enumerate(texts)}
    text = torch.tensor([number[caption.text] for caption in captions])
    vae = AutoencoderKL.from_pretrained(vae_folder).float()
    latents = encode_pictures(vae, pictures.float() / 127.5 - 1, seed)
    states = encode_texts(texts)
    print(f"{len(texts)} texts, {len(pictures)} pictures × {VIEWS} views", flush=True)
    save_file({"latents": latents, "states": states, "drawn": drawn, "text": text}, kept)
    return latents, states, drawn, text


def write(average: Any, folder: Path) -> None:
    """Write the averaged UNet as a diffusers folder."""
    average.module.save_pretrained(folder)


def train(work: Path, minutes: float, steps: int, seed: int = 0) -> None:
    """Train until `steps` or out of `minutes`, then write the averaged model."""
    torch.manual_seed(seed)
    where = device()
    latents, states, drawn, text = prepare(work, seed)
    noise = scheduler()
    alphas = noise.alphas_cumprod
    snr = alphas / (1 - alphas)
    weight = snr.clamp(max=SNR_GAMMA) / (snr + 1)
    unet: Any = model().to(where)
    average = AveragedModel(unet, multi_avg_fn=get_ema_multi_avg_fn(EMA))
    optimizer = torch.optim.AdamW(unet.parameters(), lr=RATE, weight_decay=0.01, betas=(0.9, 0.99), fused=True)
    first = restore(work / "unet-state.safetensors", unet, average, optimizer)
    generator = torch.Generator().manual_seed(seed + first)
    start, smooth, trained = time.monotonic(), 0.0, first
    for step in range(first, steps):
        # The rate falls to zero at the end of the steps or of the time, whichever comes first.
        done = max(step / steps, (time.monotonic() - start) / 60 / minutes)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 200) * (1 - done) ** 0.7
        pair = torch.randint(PAIRS, (BATCH,), generator=generator)
        view = torch.randint(VIEWS, (BATCH,), generator=generator)
        clean = latents[view, drawn[pair]]
        eps = torch.randn(clean.shape, generator=generator)
        t = torch.randint(len(alphas), (BATCH,), generator=generator)
        noisy, target = noise.add_noise(clean, eps, t), noise.get_velocity(clean, eps, t)
        with torch.autocast(where.type, dtype=torch.bfloat16):
            output = unet(noisy.to(where), t.to(where), states[text[pair]].to(where, torch.float32)).sample
        error = (output.float() - target.to(where)).square().mean(dim=(1, 2, 3))
        loss = (weight[t].to(where) * error).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(unet)
        trained = step + 1
        smooth = loss.item() if step == first else 0.98 * smooth + 0.02 * loss.item()
        if step % 100 == 0 or step == 20:
            rate = (time.monotonic() - start) / (step - first + 1)
            print(f"step {step} loss {smooth:.4f} {rate:.2f} s/step", flush=True)
        if step % 500 == 499:
            save(work / "unet-state.safetensors", trained, unet, average, optimizer)
            write(average, work / "unet")
    save(work / "unet-state.safetensors", trained, unet, average, optimizer)
    write(average, work / "unet")
    noise.save_pretrained(work / "scheduler")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=180, help="of this run; a resumed one has its own")
    parser.add_argument("--steps", type=int, default=12_000)
    arguments = parser.parse_args()
    train(WORK, arguments.minutes, arguments.steps)
