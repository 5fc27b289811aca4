"""Unified concept editing: change what cross-attention reads in a concept, in closed form, and keep it for good.

minimise over W   Σ_e ‖W·c_e − v*_e‖² + Σ_p ‖W·c_p − W₀·c_p‖² + λ·‖W − W₀‖²_F
W = (λ·W₀ + Σ_e v*_e·c_eᵀ + Σ_p W₀·c_p·c_pᵀ)·(λ·I + Σ_e c_e·c_eᵀ + Σ_p c_p·c_pᵀ)⁻¹        λ = 0.5

for every key and value map W₀ of the cross-attention. c_e: tokens of the prompts to edit; c_p: those to preserve;
v*_e = W₀·(c_e + Σ_k α_k·a_k), with a_k the direction of group k in the text. So every map is multiplied by one and the
same matrix, W = W₀·Q, with Q = (λ·I + Σ_e (c_e + Σ_k α_k·a_k)·c_eᵀ + Σ_p c_p·c_pᵀ)·(λ·I + Σ c·cᵀ)⁻¹.

How far to go is an integral loop: draw a few images of each prompt with the maps as they are, read them, and
α_k ← α_k + (desired_k − observed_k), until all are within tolerance; the α that did best over all prompts are kept.
(Gandikota et al. 2023, arXiv 2308.14761.)

Drawing with the edit costs what plain drawing does. The file of an edit holds the new maps under the network's own
names: `edits.edited` puts it into a pipeline, and `unet.load_state_dict(load_file(file), strict=False)` into one of
plain diffusers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from fair_diffusion.backbones import denoise
from fair_diffusion.backbones.adapter import Adapter
from fair_diffusion.files.format_number import file_metadata
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.models.edits import FORMAT, put, swapped
from fair_diffusion.steering.cost import Cost

KEEP = 0.5
"""λ: how much a map holds on to what it was."""

Observe = Callable[[Sequence[str]], NDArray[np.float64]]
"""Draws images of each prompt with the model as it is now and reads them: shares (prompts, groups)."""


@dataclass(frozen=True)
class Edited:
    """New weights by the network's own names, what learning them took, and what was observed with them."""

    weights: dict[str, Tensor]
    cost: Cost
    observed: NDArray[np.float64]

    def save(self, path: Path) -> None:
        """Write a safetensors file, with the cost beside the weights; whole or not at all."""
        with whole_file(path) as part:
            save_file(
                {name: tensor.contiguous() for name, tensor in self.weights.items()},
                part,
                file_metadata(FORMAT) | self.cost.metadata(),
            )


def closed_form(edit: Tensor, wanted: Tensor, preserve: Tensor, keep: float = KEEP) -> Tensor:
    """Q, (d, d) in float64: the maps W₀·Q read each token of `edit` as W₀ reads the one of `wanted`.

    edit, wanted: (m, d), row by row; preserve: (p, d), read as before. keep: λ > 0.
    """
    if edit.shape != wanted.shape or edit.ndim != 2 or preserve.shape[1:] != edit.shape[1:]:
        shapes = [tuple(part.shape) for part in (edit, wanted, preserve)]
        raise ValueError(f"tokens of shapes {shapes} do not fit; give edit and wanted (m, d), preserve (p, d)")
    c, v, p = edit.double(), wanted.double(), preserve.double()
    same = keep * torch.eye(c.shape[1], dtype=c.dtype, device=c.device) + p.T @ p
    q: Tensor = torch.linalg.solve(same + c.T @ c, same + c.T @ v).T
    return q


def learn(
    backbone: Adapter,
    prompts: Sequence[str],
    grouped: Sequence[Sequence[str]],
    *,
    desired: Sequence[float],
    observe: Observe,
    preserve: Sequence[str] = (),
    iterations: int = 10,
    tolerance: float = 0.05,
) -> Edited:
    """Edit `prompts` until their images show the groups in the desired shares; the network is left as it was.

    Args:
        backbone: a model whose cross-attention reads text tokens; `ValueError` for others.
        prompts: what to edit: "a photo of a doctor".
        grouped: for each group the same prompts with its word.
        desired: the share of each group, summing to 1.
        observe: draws and reads, see `Observe`. What lacks to 1 in a row is unknown and pulls nowhere.
        preserve: prompts of other concepts, to be read as before.
        iterations: of the loop, at most.
        tolerance: the loop ends once every prompt is this near in total variation, unknown counting against it.
    """
    want = np.asarray(desired, dtype=np.float64)
    if len(grouped) != len(want) or not np.isclose(want.sum(), 1) or (want < 0).any():
        raise ValueError(f"desired shares {list(desired)} for {len(grouped)} groups; give one each, summing to 1")
    if any(len(texts) != len(prompts) for texts in grouped) or not prompts:
        raise ValueError(f"{len(prompts)} prompts, with groups {[len(t) for t in grouped]}; give as many for each")
    if iterations < 1:
        raise ValueError(f"iterations is {iterations}; use 1 or more")
    start, first = time.monotonic(), backbone.evaluations
    maps = cross_attention(backbone)
    tokens, owner = _tokens(backbone, prompts)
    others = _tokens(backbone, preserve)[0] if preserve else tokens[:0]
    directions = _directions(backbone, prompts, grouped)
    alpha, weights, nearest = np.zeros((len(prompts), len(want))), maps, np.inf
    with swapped(backbone.network, maps):
        for step in range(1, iterations + 1):
            shares = observe(prompts)
            known = shares.sum(axis=1, keepdims=True)
            far = (np.abs(want - shares).sum(axis=1) + 1 - known[:, 0]) / 2
            if far.mean() < nearest:
                best, seen, nearest = weights, shares, float(far.mean())
            if step == iterations or far.max() <= tolerance:
                break
            # what is unknown says nothing about the groups
            alpha = alpha + np.where(known > 0, want - shares / np.maximum(known, 1e-12), 0)
            weights = _maps(maps, tokens, owner, directions, alpha, others)
            put(backbone.network, weights)
    took = Cost(steps=step, evaluations=backbone.evaluations - first, seconds=time.monotonic() - start)
    return Edited(best, took, seen)


def observer(
    backbone: Adapter,
    perceive: Callable[[Sequence[Image.Image]], NDArray[np.float64]],
    *,
    images: int = 10,
    steps: int = 25,
    guidance: float = 7.5,
    seed: int = 0,
) -> Observe:
    """An `Observe` that draws so many images of each prompt, of the same seeds each time.

    perceive: the probabilities of the groups in pictures, (n, groups); what lacks to 1 is unknown."""

    def observe(prompts: Sequence[str]) -> NDArray[np.float64]:
        rows = np.repeat(np.arange(len(prompts)), images)
        drawn = denoise(
            backbone,
            prompts_cond=backbone.encode(prompts),
            empty_cond=backbone.empty(),
            rows=rows.tolist(),
            seeds=[seed + i % images for i in range(len(rows))],
            steps=steps,
            guidance=guidance,
        )
        read = np.concatenate([perceive(backbone.images(batch.latents)) for batch in drawn])
        shares: NDArray[np.float64] = read.reshape(len(prompts), images, -1).mean(axis=1)
        return shares

    return observe


def cross_attention(backbone: Adapter) -> dict[str, Tensor]:
    """The weights of the key and value maps that read text tokens, by name; copies."""
    network, width = backbone.network, backbone.encode([""]).embeddings.shape[-1]
    between = any(getattr(network, name, None) is not None for name in ("caption_projection", "encoder_hid_proj"))
    found = {
        f"{name}.weight": module.weight.detach().clone()
        for name, module in network.named_modules()
        if name.endswith(("attn2.to_k", "attn2.to_v")) and isinstance(module, nn.Linear) and module.in_features == width
    }
    if between or not found:
        raise ValueError(
            f"no cross-attention of {type(network).__name__} reads the text's tokens as they are, so concepts cannot "
            "be edited in it; use a model of the families of Stable Diffusion 1, 2 or XL"
        )
    return found


def _maps(
    maps: dict[str, Tensor],
    tokens: Tensor,
    owner: Tensor,
    directions: Tensor,
    alpha: NDArray[np.float64],
    other: Tensor,
) -> dict[str, Tensor]:
    """Every map times Q, in its own precision."""
    wanted = tokens + torch.from_numpy(alpha).to(tokens)[owner] @ directions
    q = closed_form(tokens, wanted, other)
    return {name: (weight.double() @ q).to(weight.dtype) for name, weight in maps.items()}


def _tokens(backbone: Adapter, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Tokens (m, d) of the prompts in float64, and each one's prompt (m,).

    Tokens that are those of the empty prompt too are left out: a causal encoder's first is the same in every text."""
    embeddings, empty = backbone.encode(prompts).embeddings.double(), backbone.encode([""]).embeddings.double()
    owner, place = ((embeddings - empty).abs().amax(dim=2) > 1e-5).nonzero(as_tuple=True)
    return embeddings[owner, place], owner


def _directions(backbone: Adapter, prompts: Sequence[str], grouped: Sequence[Sequence[str]]) -> Tensor:
    """What a group's word adds to the tokens of a prompt, in the mean over tokens and prompts: (groups, d)."""
    plain = backbone.encode(prompts).embeddings.double()
    return torch.stack([(backbone.encode(texts).embeddings.double() - plain).mean(dim=(0, 1)) for texts in grouped])
