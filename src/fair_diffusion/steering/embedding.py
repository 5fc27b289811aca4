"""Text-embedding projection: remove the directions in which the groups of an attribute differ from the text.

z_a = mean over tokens of E("a photo of a {group a} {occupation}") − E(""), scaled to length 1
M   = mean over occupations and pairs of groups of (z_a − z_b)(z_a − z_b)ᵀ
P   = (λ·M + I)⁻¹,  λ = 500           c ← P·c for every token c of the prompt

P minimises λ·mean ‖P(z_a − z_b)‖² + ‖P − I‖²_F. Along an eigenvector of M with eigenvalue m, a token shrinks to
1/(1 + λm) of its length; across them it does not change. (Chuang et al. 2023, arXiv 2302.00070. There z is CLIP's
pooled text. Not all models have pooled text, so here z is the mean over tokens, minus that of the empty prompt.)

No image is assigned a group. Models with several text encoders put tokens beside each other or one after the other; P
is as wide as a token of the result. Pooled text and the empty prompt stay as they are. The model does not change, and
sampling costs as much as before.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fair_diffusion.backbones import Backbone, Conditioning, Guide
from fair_diffusion.policy import Attribute
from fair_diffusion.policy.concepts import lists
from fair_diffusion.steering import plain
from fair_diffusion.steering.aim import asked_groups
from fair_diffusion.steering.brief import Aimed, Brief
from fair_diffusion.steering.cost import Cost
from fair_diffusion.steering.prompt import with_group

STRENGTH = 500.0
OCCUPATIONS = 30
"""How many occupations the projection is learnt from."""


def guide(images: Sequence[Aimed]) -> Guide:
    """Guide each image by its projected prompt."""
    unsteered = plain.guide(images)
    if not any(aim.strength for _, aim in images):
        return unsteered
    alike = Conditioning.cat([projected(brief.plain, _projection(brief)) for brief, _ in images])
    strength = torch.tensor([aim.strength for _, aim in images])
    return replace(unsteered, cond=unsteered.cond.towards(alike, strength))


def _projection(brief: Brief) -> Tensor:
    """The projection that makes the groups of a brief's targets alike. It is learnt at its first use."""
    asked = {name: asked_groups(target, name) for target in brief.targets for name in target.attributes}
    said = "; ".join(f"{name}: {', '.join(groups)}" for name, groups in asked.items())
    key = "; ".join((said, *(brief.definitions[name].digest for name in asked)))
    if key not in brief.projections:
        occupations = list(lists()["occupations"])[:OCCUPATIONS]
        prompts = [grouped_prompts(brief.definitions[name], groups, occupations) for name, groups in asked.items()]
        brief.projections[key] = learn(brief.backbone, prompts)
    p, cost = brief.projections[key]
    brief.learnt[said] = cost.seconds or 0.0
    return p


def grouped_prompts(attribute: Attribute, groups: Sequence[str], concepts: Sequence[str]) -> list[list[str]]:
    """For each group of an attribute, one prompt per concept, with the group's word before the concept."""
    before = "a photo of a "
    return [
        [with_group(before + concept, len(before), [attribute.group(group).adjective]) for concept in concepts]
        for group in groups
    ]


def projection(differences: Tensor, strength: float = STRENGTH) -> Tensor:
    """The projection P = (λ·M + I)⁻¹.

    Args:
        differences: the differences z_a − z_b, (pairs, d).
        strength: λ.

    Returns:
        (d, d) in float64.
    """
    if differences.ndim != 2 or not len(differences):
        raise ValueError(f"differences of shape {tuple(differences.shape)}; give at least one pair: (pairs, d)")
    z = differences.double()
    moment = z.T @ z / len(z)
    p: Tensor = torch.linalg.inv(strength * moment + torch.eye(z.shape[1], dtype=z.dtype, device=z.device))
    return p


def learn(backbone: Backbone, prompts: Sequence[Sequence[Sequence[str]]]) -> tuple[Tensor, Cost]:
    """Learn the projection of a model.

    Args:
        backbone: the model.
        prompts: by attribute, group and occupation: two groups or more, with the same occupations for every group.

    Returns:
        P, and the cost of learning it.

    Raises:
        ValueError: an attribute has fewer than two groups, or they have different numbers of prompts.
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
    """The conditioning with every token multiplied by P; the rest of the conditioning stays."""
    tokens = cond.embeddings
    return Conditioning((tokens.double() @ p.to(tokens.device).T).to(tokens.dtype), cond.added)


def _means(cond: Conditioning) -> Tensor:
    """The mean of each prompt's tokens, (n, d). If there is a mask, only the tokens that it selects count."""
    tokens = cond.embeddings.double()
    mask = cond.added["mask"].to(tokens) if "mask" in cond.added else tokens.new_ones(tokens.shape[:2])
    return (tokens * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
