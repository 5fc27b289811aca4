"""Text-embedding projection: take out of the text what tells the groups of an attribute apart.

z_a = mean over tokens of E("a photo of a {group a} {occupation}") − E(""), scaled to length 1
M   = mean over occupations and pairs of groups of (z_a − z_b)(z_a − z_b)ᵀ
P   = (λ·M + I)⁻¹,  λ = 500           c ← P·c for every token c of the prompt

P minimises λ·mean ‖P(z_a − z_b)‖² + ‖P − I‖²_F: along directions in which groups differ, with eigenvalue m of M, a
token shrinks to 1/(1 + λm) of itself, and across them it stays. (Chuang et al. 2023, arXiv 2302.00070. There z is
CLIP's pooled text; the mean without what padding and an empty prompt hold too stands for it in models that have none.)

No image is assigned a group. Models with several text encoders put their tokens beside each other or one after the
other: P is as wide as a token then is. Pooled text stays as it is, and so does the empty prompt. Nothing in the model
changes, and sampling costs what it did.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from fair_diffusion.backbones.backbone import Backbone, Conditioning
from fair_diffusion.steering.cost import Cost

STRENGTH = 500.0


def projection(differences: Tensor, strength: float = STRENGTH) -> Tensor:
    """P = (λ·M + I)⁻¹, (d, d) in float64, from the differences of pairs, (pairs, d)."""
    if differences.ndim != 2 or not len(differences):
        raise ValueError(f"differences of shape {tuple(differences.shape)}; give at least one pair: (pairs, d)")
    z = differences.double()
    moment = z.T @ z / len(z)
    p: Tensor = torch.linalg.inv(strength * moment + torch.eye(z.shape[1], dtype=z.dtype, device=z.device))
    return p


def learn(backbone: Backbone, prompts: Sequence[Sequence[Sequence[str]]]) -> tuple[Tensor, Cost]:
    """P for a model, and what it took.

    prompts[attribute][group][occupation]: the same occupations for every group, of two groups or more.
    """
    start = time.monotonic()
    empty, differences = _means(backbone.encode([""])), []
    for groups in prompts:
        if len(groups) < 2 or len({len(texts) for texts in groups}) != 1:
            raise ValueError(f"{[len(texts) for texts in groups]} prompts; give two groups or more, as many for each")
        z = [torch.nn.functional.normalize(_means(backbone.encode(texts)) - empty, dim=1) for texts in groups]
        differences += [a - b for a, b in itertools.combinations(z, 2)]
    return projection(torch.cat(differences)), Cost(seconds=time.monotonic() - start)


def projected(cond: Conditioning, p: Tensor) -> Conditioning:
    """Every token times P; what the network is told beside the tokens stays."""
    tokens = cond.embeddings
    return Conditioning((tokens.double() @ p.to(tokens.device).T).to(tokens.dtype), cond.added)


def _means(cond: Conditioning) -> Tensor:
    """The mean of each prompt's tokens, (n, d), of those that count where a mask says so."""
    tokens = cond.embeddings.double()
    mask = cond.added["mask"].to(tokens) if "mask" in cond.added else tokens.new_ones(tokens.shape[:2])
    return (tokens * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
