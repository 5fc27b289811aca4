"""Train the pocket UNet on the VAE's latents and MiniLM's token states.

v-prediction (Salimans & Ho 2022, arXiv 2202.00512) with min-SNR-γ weights (Hang et al. 2023, arXiv 2303.09556), AdamW,
an exponential average of the weights. Captions come from the biased mix (`captions.py`); text is encoded exactly as
StableDiffusionPipeline does it: padded to `model_max_length`, no attention mask.

    python -m recipes.pocket.unet --minutes 90                    → work/pocket/unet/ and scheduler/, resumable
    python -m recipes.pocket.unet --onward --steps 1800           the same, from the packed weights on

`filtering.py` and `retraining.py` train on other choices of the same pairs.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.models.pocket.folder import WEIGHTS, text_encoder, tokenizer
from fair_diffusion.steering.cost import Cost
from recipes.pocket.captions import TABLE, Caption, Mix
from recipes.pocket.checkpoint import device, digest, mixed, restore, save
from recipes.pocket.data import WORK, Drawing, load
from recipes.pocket.vae import augment

BATCH, RATE, EMA, SNR_GAMMA = 32, 6e-4, 0.998, 5.0
ONWARD = 2e-4  # the highest rate from trained weights on
PAIRS, VIEWS = 24_000, 8


def model(seed: int = 0) -> UNet2DConditionModel:
    """The untrained denoiser: 9 M weights, cross-attention at 8×8 only."""
    torch.manual_seed(seed)
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


@dataclass(frozen=True)
class Pairs:
    """The training data: views of drawings and texts, and pairs of them.

    latents: (views, drawings, 4, 16, 16), scaled. states: (texts, tokens, 384). drawn, text: (pairs,), the index of
    each pair's drawing and text."""

    latents: torch.Tensor
    states: torch.Tensor
    drawn: torch.Tensor
    text: torch.Tensor


def pair_up(drawings: list[Drawing], seed: int = 0) -> tuple[list[Caption], torch.Tensor]:
    """`PAIRS` captions of the mix, and the index of each one's drawing."""
    mix, rng = Mix(drawings), np.random.default_rng(seed)
    captions = [mix.caption(rng) for _ in range(PAIRS)]
    return captions, torch.tensor([mix.draw(caption, rng) for caption in captions])


def prepare(work: Path, seed: int) -> Pairs:
    """The pairs of the mix, encoded; kept for a resume."""
    vae_folder = work / "vae" if (work / "vae").exists() else WEIGHTS / "vae"
    made_from = digest(work / "drawings.json", vae_folder / "diffusion_pytorch_model.safetensors", TABLE, seed)
    kept = work / f"pairs-{made_from}.safetensors"
    if kept.exists():
        return Pairs(**load_file(kept))
    pictures, drawings = load(work)
    captions, drawn = pair_up(drawings, seed)
    texts = sorted({caption.text for caption in captions})
    number = {text: i for i, text in enumerate(texts)}
    text = torch.tensor([number[caption.text] for caption in captions])
    vae = AutoencoderKL.from_pretrained(vae_folder).float()
    latents = encode_pictures(vae, pictures.float() / 127.5 - 1, seed)
    states = encode_texts(texts)
    print(f"{len(texts)} texts, {len(pictures)} pictures × {VIEWS} views", flush=True)
    pairs = Pairs(latents, states, drawn, text)
    save_file(vars(pairs), kept)
    return pairs


def train(
    pairs: Pairs,
    unet: Any,
    state: Path,
    *,
    steps: int,
    minutes: float = float("inf"),
    rate: float = RATE,
    chosen: torch.Tensor | None = None,
    seed: int = 0,
) -> tuple[UNet2DConditionModel, Cost]:
    """Train `unet` until `steps` or out of `minutes`. Returns the averaged model and what it took; `state` is left to
    go on from.

    chosen: indices of the pairs to draw from, any number of times each; all of them once if not given."""
    where, noise = device(), scheduler()
    chosen = torch.arange(len(pairs.drawn)) if chosen is None else chosen
    alphas = noise.alphas_cumprod
    snr = alphas / (1 - alphas)
    weight = snr.clamp(max=SNR_GAMMA) / (snr + 1)
    unet.to(where).train()
    average = AveragedModel(unet, multi_avg_fn=get_ema_multi_avg_fn(EMA))
    optimizer = torch.optim.AdamW(unet.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.99), fused=True)
    first = restore(state, unet, average, optimizer)
    generator = torch.Generator().manual_seed(seed + first)
    start, smooth, trained = time.monotonic(), 0.0, first
    for step in range(first, steps):
        # The rate falls to zero at the end of the steps or of the time, whichever comes first.
        done = max(step / steps, (time.monotonic() - start) / 60 / minutes)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 200) * (1 - done) ** 0.7
        pair = chosen[torch.randint(len(chosen), (BATCH,), generator=generator)]
        view = torch.randint(VIEWS, (BATCH,), generator=generator)
        clean = pairs.latents[view, pairs.drawn[pair]]
        eps = torch.randn(clean.shape, generator=generator)
        t = torch.randint(len(alphas), (BATCH,), generator=generator)
        noisy, target = noise.add_noise(clean, eps, t), noise.get_velocity(clean, eps, t)
        noisy = noisy.to(where, memory_format=torch.channels_last)  # a quarter faster on a CPU
        with mixed(where):
            output = unet(noisy, t.to(where), pairs.states[pairs.text[pair]].to(where, torch.float32)).sample
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
            pace = (time.monotonic() - start) / (step - first + 1)
            print(f"step {step} loss {smooth:.4f} {pace:.2f} s/step", flush=True)
        if step % 500 == 499:
            save(state, trained, unet, average, optimizer)
    save(state, trained, unet, average, optimizer)
    # A resumed run knows its own pace alone.
    seconds = (time.monotonic() - start) / (trained - first) * trained if trained > first else None
    return average.module, Cost(steps=trained, evaluations=trained * BATCH, seconds=seconds)


def write_edit(unet: UNet2DConditionModel, cost: Cost, path: Path) -> None:
    """Write all weights as an edit of the shipped UNet (`models.edits`), in half precision like that one."""
    if cost.seconds is None and path.exists():
        return  # nothing was trained, and the file says what it took
    with whole_file(path) as part:
        save_file({name: w.half().contiguous() for name, w in unet.state_dict().items()}, part, cost.metadata())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=180, help="of this run; a resumed one has its own")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--onward", action="store_true", help="from the packed weights on, at a lower rate")
    given = parser.parse_args()
    begun = UNet2DConditionModel.from_pretrained(WEIGHTS / "unet").float() if given.onward else model()
    trained, _ = train(
        prepare(WORK, 0),
        begun,
        WORK / f"unet{'-onward' if given.onward else ''}-state.safetensors",
        steps=given.steps,
        minutes=given.minutes,
        rate=ONWARD if given.onward else RATE,
    )
    trained.save_pretrained(WORK / "unet")
    scheduler().save_pretrained(WORK / "scheduler")
