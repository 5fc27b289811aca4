"""Distributional alignment: fine-tune a LoRA until the images of a prompt show the groups in the desired shares.

    loss = mean over images with a sure target of −log p(target)  +  mean of w·(1 − cos(f(x), f(x°)))

Images of one prompt are drawn together and read, and each one gets a target. To find it, imagine that the groups of the
batch are drawn from the desired shares, and given to the images that are nearest to them (by rank for two groups, by
optimal transport for more). The target of an image is its most probable group; if that is less probable than
1 − `UNSURE`, the image has no sure target. x° is the plain image of the same noise, f are features. Images that fit
their target keep to x° (w = 1); images that must change group may leave it (w = 0.2).
(Shen et al. 2023, arXiv 2311.07604. LoRA of rank 50, rate 5e-5.)

The gradient goes through a short run of the sampler. As in the paper's adjusted gradient, the latents that the network
sees have no gradient, so that deep chains do not explode. Each evaluation has the weight of its own share in the image,
which is largest for early ones; in the paper all weights are equal. Evaluations are repeated in the backward pass: that
bounds memory.

Drawing with a LoRA costs as much as plain drawing. The file is one that diffusers' `load_lora_weights` reads.
`edits.edited` puts it into a pipeline and takes it out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors.torch import save
from scipy.optimize import linear_sum_assignment
from scipy.stats import binom
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from fair_diffusion.backbones import Guide
from fair_diffusion.backbones.adapter import Adapter
from fair_diffusion.files.format_number import file_metadata
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.models.edits import ADAPTER, FORMAT, same_training
from fair_diffusion.steering.cost import Cost

RANK, RATE = 50, 5e-5
UNSURE = 0.2
"""Images whose target has a probability below 1 minus this one have no sure target."""
MAY_CHANGE = 0.2
"""w of an image that must change its group."""
DRAWS = 200
"""How often the groups of a batch are drawn, if there are more than two groups."""
MAPS = {
    "unet": ("to_q", "to_k", "to_v", "to_out.0"),
    "transformer": ("to_q", "to_k", "to_v", "to_out.0"),
    "text_encoder": ("q_proj", "k_proj", "v_proj", "out_proj"),
}
"""The linear maps that get a LoRA, by part of the pipeline."""


@dataclass(frozen=True)
class Aligned:
    """A trained LoRA.

    Attributes:
        tensors: its tensors, by their names in diffusers.
        cost: the cost of training.
    """

    tensors: dict[str, Tensor]
    cost: Cost

    def save(self, path: Path) -> None:
        """Write tensors and cost to a safetensors file, whole or not at all."""
        with whole_file(path) as part:
            part.write_bytes(save(self.tensors, file_metadata(FORMAT) | self.cost.metadata()))


def targets(
    probabilities: ArrayLike, shares: Sequence[float], *, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The target of each image of a batch, and its uncertainty.

    Groups are drawn from the shares many times, and given to the images with the least total distance. The target of an
    image is the group that it gets most often; its uncertainty is how often it gets another one.

    Args:
        probabilities: (n, groups).
        shares: the desired share of each group.
        seed: seed of the draws; two groups need none.

    Returns:
        The targets, (n,), and their uncertainties in 0…1, (n,).
    """
    p, wanted = np.asarray(probabilities, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != len(wanted) or len(wanted) < 2:
        raise ValueError(f"probabilities of shape {p.shape} do not fit {len(wanted)} shares; give (images, groups)")
    if len(wanted) == 2:
        # The image of rank r gets the first group if more than r images do: exact, without drawing.
        rank = np.argsort(np.argsort(p[:, 1] - p[:, 0], kind="stable"), kind="stable")
        first = binom.sf(rank, len(p), wanted[0])
        often = np.stack([first, 1 - first], axis=1)
    else:
        often = np.zeros_like(p)
        for counts in np.random.default_rng(seed).multinomial(len(p), wanted, size=DRAWS):
            places = np.repeat(np.arange(len(wanted)), counts)
            rows, chosen = linear_sum_assignment(-p[:, places])  # ‖p − e_k‖² is −2·p_k and what does not depend on k
            often[rows, places[chosen]] += 1 / DRAWS
    return often.argmax(axis=1), 1 - often.max(axis=1)


def learn(
    backbone: Adapter,
    prompts: Sequence[str],
    *,
    shares: Sequence[float],
    probabilities: Callable[[Tensor], Tensor],
    features: Callable[[Tensor], Tensor],
    parts: Sequence[str] = ("unet",),
    iterations: int = 1000,
    images: int = 16,
    steps: int = 10,
    guidance: float = 7.5,
    rank: int = RANK,
    rate: float = RATE,
    seed: int = 0,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> Aligned:
    """Train a LoRA, prompt after prompt. The pipeline does not change.

    Args:
        backbone: a model whose pipeline can load LoRAs and has none loaded.
        prompts: "a photo of a doctor", …; each iteration takes the next one.
        shares: the desired share of each group; they sum to 1.
        probabilities: the probabilities of the groups in pixels (n, 3, height, width) in 0…1, with gradient: (n,
            groups), and more columns for unknown.
        features: f of such pixels, with gradient, (n, d).
        parts: the parts of the pipeline that get a LoRA, keys of `MAPS`.
        iterations: optimizer steps.
        images: images per step.
        steps: steps of the short run of the sampler.
        guidance: guidance scale of that run.
        rank: rank of the LoRA.
        rate: learning rate of AdamW.
        seed: images are drawn from seed, seed + 1, …
        on_step: called after each iteration with its number, from 1, and the loss.

    Raises:
        ValueError: the pipeline cannot load a LoRA or has one, or an argument is wrong.
    """
    _check(backbone, prompts, shares, parts, iterations, images)
    start, first = time.monotonic(), backbone.evaluations
    with same_training(backbone.pipeline), backbone.frozen():  # only the LoRA gets gradients
        try:
            parameters = _add_lora(backbone.pipeline, parts, rank, seed)
            optimizer = torch.optim.AdamW(parameters, lr=rate)
            for step in range(iterations):
                seeds = range(seed + step * images, seed + (step + 1) * images)
                prompt = prompts[step % len(prompts)]
                with torch.no_grad():
                    _switch(backbone.pipeline, parts, on=False)
                    plain = _draw(backbone, prompt, seeds, steps, guidance)
                    _switch(backbone.pipeline, parts, on=True)
                pixels = _draw(backbone, prompt, seeds, steps, guidance)
                loss = _loss(pixels, plain, shares, probabilities, features, seed + step)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                on_step(step + 1, float(loss.detach()))
            tensors = _lora_of(backbone.pipeline, parts)
        finally:
            backbone.pipeline.unload_lora_weights()
    cost = Cost(steps=iterations, evaluations=backbone.evaluations - first, seconds=time.monotonic() - start)
    return Aligned(tensors, cost)


def _draw(backbone: Adapter, prompt: str, seeds: Sequence[int], steps: int, guidance: float) -> Tensor:
    """Pixels in 0…1 of one image per seed, with gradient if gradients are enabled."""
    rows = [0] * len(seeds)
    empty = backbone.empty()
    if empty.embeddings.any():  # it is encoded text, not the zeros of some families: the text encoder learns from it
        empty = backbone.encode([""], gradient=True)
    guide = Guide(backbone.encode([prompt], gradient=True)[rows], empty[rows], guidance)
    own = backbone.fork()
    times = own.timesteps(steps)
    latents = own.initial_latents(seeds)
    for step, t in enumerate(times):
        here = own.fork()  # the sampler's present state, for the repeated evaluation in the backward pass

        def predict(seen: Tensor, here: Adapter = here, t: Tensor = t, step: int = step) -> Tensor:
            return guide.predict(here, seen, t, step)[0]

        seen = latents.detach()
        output = checkpoint(predict, seen, use_reentrant=False) if torch.is_grad_enabled() else predict(seen)
        latents = own.step(latents, output, t)
    return own.decode(latents)


def _loss(
    pixels: Tensor,
    plain: Tensor,
    shares: Sequence[float],
    probabilities: Callable[[Tensor], Tensor],
    features: Callable[[Tensor], Tensor],
    seed: int,
) -> Tensor:
    """Cross-entropy with the sure targets, plus the distance to the plain images of the same noise."""
    k, p = len(shares), probabilities(pixels)
    chosen, unsure = targets(p[:, :k].detach().cpu().numpy(), shares, seed=seed)
    target = torch.from_numpy(chosen).to(p.device)
    sure = torch.from_numpy(unsure <= UNSURE).to(p.device)
    surprise = -p[torch.arange(len(p)), target].clamp_min(1e-6).log()
    with torch.no_grad():
        fits = probabilities(plain)[:, :k].argmax(dim=1) == target
        before = features(plain)
    hold = torch.where(fits, 1.0, MAY_CHANGE)
    moved = 1 - torch.nn.functional.cosine_similarity(features(pixels), before, dim=1)
    return (surprise * sure).sum() / sure.sum().clamp_min(1) + (hold * moved).mean()


def _add_lora(pipeline: Any, parts: Sequence[str], rank: int, seed: int) -> list[Tensor]:
    """Put a LoRA into the parts, and return its parameters. Its second factor is 0, so images do not change yet."""
    from peft import LoraConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for part in parts:
            config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(MAPS[part]))
            getattr(pipeline, part).add_adapter(config, adapter_name=ADAPTER)
    return [p for part in parts for name, p in getattr(pipeline, part).named_parameters() if ".lora_" in name]


def _switch(pipeline: Any, parts: Sequence[str], *, on: bool) -> None:
    for part in parts:
        network = getattr(pipeline, part)
        # Networks of diffusers and of transformers name this differently.
        if hasattr(network, "enable_lora"):
            network.enable_lora() if on else network.disable_lora()
        else:
            network.enable_adapters() if on else network.disable_adapters()


def _lora_of(pipeline: Any, parts: Sequence[str]) -> dict[str, Tensor]:
    """The LoRA's tensors, by their names in diffusers."""
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft.utils import get_peft_model_state_dict

    return {
        f"{part}.{name}": tensor.detach().cpu().contiguous()
        for part in parts
        for name, tensor in convert_state_dict_to_diffusers(
            get_peft_model_state_dict(getattr(pipeline, part), adapter_name=ADAPTER)
        ).items()
    }


def _check(
    backbone: Adapter,
    prompts: Sequence[str],
    shares: Sequence[float],
    parts: Sequence[str],
    iterations: int,
    images: int,
) -> None:
    pipeline = backbone.pipeline
    if not prompts or iterations < 1 or images < 2:
        raise ValueError(
            f"{len(prompts)} prompts, iterations {iterations}, images {images}; give a prompt, 1 and 2 or more"
        )
    if len(shares) < 2 or min(shares) < 0 or not np.isclose(sum(shares), 1):
        raise ValueError(f"desired shares {list(shares)}; give one per group, summing to 1")
    if not hasattr(pipeline, "load_lora_weights"):
        raise ValueError(f"{type(pipeline).__name__} cannot load a LoRA; use another method")
    for part in parts:
        names = [name for name, _ in getattr(pipeline, part, torch.nn.Module()).named_modules()]
        if part not in MAPS or not any(name.endswith(MAPS[part][0]) for name in names):
            raise ValueError(f"{part!r} of {type(pipeline).__name__} takes no LoRA; use parts of {', '.join(MAPS)}")
    if pipeline.get_list_adapters():
        raise ValueError("the pipeline has LoRAs already; unload them first: pipeline.unload_lora_weights()")
