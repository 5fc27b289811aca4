"""Unified concept editing: change in closed form how cross-attention reads a concept.

minimise over W   Σ_e ‖W·c_e − v*_e‖² + Σ_p ‖W·c_p − W₀·c_p‖² + λ·‖W − W₀‖²_F
W = (λ·W₀ + Σ_e v*_e·c_eᵀ + Σ_p W₀·c_p·c_pᵀ)·(λ·I + Σ_e c_e·c_eᵀ + Σ_p c_p·c_pᵀ)⁻¹        λ = 0.5

for every key and value map W₀ of the cross-attention. c_e: tokens of the prompts to edit; c_p: tokens to preserve;
v*_e = W₀·(c_e + Σ_k α_k·a_k), where a_k is the direction of group k in the text. So all maps are multiplied by the same
matrix: W = W₀·Q, with Q = (λ·I + Σ_e (c_e + Σ_k α_k·a_k)·c_eᵀ + Σ_p c_p·c_pᵀ)·(λ·I + Σ c·cᵀ)⁻¹.

An integral loop finds α: draw a few images of each prompt with the present maps, read them, and
α_k ← α_k + (desired_k − observed_k), until all prompts are within the tolerance. The best α over all prompts is kept.
(Gandikota et al. 2023, arXiv 2308.14761.)

Drawing with the edit costs as much as plain drawing. The file of an edit holds the new maps by the network's own names:
`edits.edited` puts it into a pipeline, and `unet.load_state_dict(load_file(file), strict=False)` into one of plain
diffusers.
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
from safetensors.torch import save
from torch import Tensor, nn

from fair_diffusion.backbones import denoise
from fair_diffusion.backbones.adapter import Adapter
from fair_diffusion.files.format_number import file_metadata
from fair_diffusion.files.whole_file import whole_file
from fair_diffusion.models.edits import FORMAT, put, swapped
from fair_diffusion.steering.cost import Cost

KEEP = 0.5
"""λ: the weight of keeping a map as it was."""

Observe = Callable[[Sequence[str]], NDArray[np.float64]]
"""Draws images of each prompt with the model as it is now, and reads them: shares (prompts, groups)."""


@dataclass(frozen=True)
class Edited:
    """An edit.

    Attributes:
        weights: the new weights, by the network's own names.
        cost: the cost of learning them.
        observed: the shares observed with them, (prompts, groups).
    """

    weights: dict[str, Tensor]
    cost: Cost
    observed: NDArray[np.float64]

    def save(self, path: Path) -> None:
        """Write weights and cost to a safetensors file, whole or not at all."""
        with whole_file(path) as part:
            tensors = {name: tensor.contiguous() for name, tensor in self.weights.items()}
            part.write_bytes(save(tensors, file_metadata(FORMAT) | self.cost.metadata()))


def closed_form(edit: Tensor, wanted: Tensor, preserve: Tensor, keep: float = KEEP) -> Tensor:
    """Q: the maps W₀·Q read each token of `edit` as W₀ reads the same row of `wanted`.

    Args:
        edit: tokens to edit, (m, d).
        wanted: the tokens as which to read them, (m, d).
        preserve: tokens to read as before, (p, d).
        keep: λ > 0.

    Returns:
        (d, d) in float64.
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
    """Find the edit with which the images of prompts show the groups in the desired shares.

    The network does not change.

    Args:
        backbone: a model whose cross-attention reads text tokens.
        prompts: the prompts to edit: "a photo of a doctor".
        grouped: for each group the same prompts with its word.
        desired: the desired share of each group; they sum to 1.
        observe: draws and reads images. What is missing to 1 in a row is unknown, and has no influence on α.
        preserve: prompts of other concepts, which are to be read as before.
        iterations: the most iterations of the loop.
        tolerance: the loop ends when every prompt has at most this total variation; unknown counts against it.

    Raises:
        ValueError: the model's cross-attention does not read text tokens, or an argument is wrong.
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
            # unknown images say nothing about the groups
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
    """An `Observe` that draws images from the same seeds each time.

    Args:
        backbone: the model.
        perceive: the probabilities of the groups in pictures, (n, groups); what is missing to 1 is unknown.
        images: images per prompt.
        steps: denoising steps.
        guidance: guidance scale.
        seed: image i of each prompt is drawn from seed + i.
    """

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
    """Copies of the weights of the key and value maps that read text tokens, by name.

    Raises:
        ValueError: there are none, or something lies between the text encoder and the maps.
    """
    network, width = backbone.network, backbone.encode([""]).embeddings.shape[-1]
    between = any(getattr(network, name, None) is not None for name in ("caption_projection", "encoder_hid_proj"))
    maps = {
        f"{name}.weight": module.weight.detach().clone()
        for name, module in network.named_modules()
        if name.endswith(("attn2.to_k", "attn2.to_v")) and isinstance(module, nn.Linear) and module.in_features == width
    }
    if between or not maps:
        raise ValueError(
            f"no cross-attention of {type(network).__name__} reads the text's tokens as they are, so concepts cannot "
            "be edited in it; use a model of the families of Stable Diffusion 1, 2 or XL"
        )
    return maps


def _maps(
    maps: dict[str, Tensor],
    tokens: Tensor,
    owner: Tensor,
    directions: Tensor,
    alpha: NDArray[np.float64],
    other: Tensor,
) -> dict[str, Tensor]:
    """All maps times Q, each in its own precision."""
    wanted = tokens + torch.from_numpy(alpha).to(tokens)[owner] @ directions
    q = closed_form(tokens, wanted, other)
    return {name: (weight.double() @ q).to(weight.dtype) for name, weight in maps.items()}


def _tokens(backbone: Adapter, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The tokens of prompts in float64, (m, d), and the number of each one's prompt, (m,).

    Tokens that the empty prompt has too are left out: the first token of a causal encoder is the same in every text."""
    embeddings, empty = backbone.encode(prompts).embeddings.double(), backbone.encode([""]).embeddings.double()
    owner, place = ((embeddings - empty).abs().amax(dim=2) > 1e-5).nonzero(as_tuple=True)
    return embeddings[owner, place], owner


def _directions(backbone: Adapter, prompts: Sequence[str], grouped: Sequence[Sequence[str]]) -> Tensor:
    """The difference that each group's word makes to tokens, as the mean over tokens and prompts, (groups, d)."""
    plain = backbone.encode(prompts).embeddings.double()
    return torch.stack([(backbone.encode(texts).embeddings.double() - plain).mean(dim=(0, 1)) for texts in grouped])
