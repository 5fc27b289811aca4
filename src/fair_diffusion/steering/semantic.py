"""Semantic guidance: push the prediction along the difference that a concept makes, where the difference is large.

ψ_c = d_c·s_c·(ε_c − ε_∅)                  d_c: +1 towards the concept, −1 away from it, 0 not used
μ_c = [ |ψ_c| ≥ λ_c-quantile of |ψ_c| ]    per image and channel, over height × width
γ   = Σ_c w_c·μ_c·ψ_c + s_m·ν
ν  ← β·ν + (1−β)·γ                         at every step, warm-up included
ε̂   = ε_∅ + g·(ε_p − ε_∅) + γ              once all concepts of the image are past their warm-up

While only some of an image's concepts are past their warm-up, these act alone, with weights that sum to 1 and without
ν. From its cool-down step on, a concept's ψ is 0, and its part of ν fades out. If ν does not learn during warm-up, ψ is
0 there too, and costs nothing.

Brack et al. 2023, arXiv 2301.12247. The defaults are those of Fair Diffusion: Friedrich et al. 2023, arXiv 2302.10893.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fair_diffusion.backbones import Conditioning, Extra, Guide
from fair_diffusion.steering import plain
from fair_diffusion.steering.brief import Aimed, Brief
from fair_diffusion.steering.window import window

HOLD = 0.5
"""The strength towards a held group, as a multiple of the usual strength: it only has to stay."""

PerConcept = float | Sequence[float]
"""One number for all concepts, or one number per concept."""


def guide(images: Sequence[Aimed]) -> Guide:
    """Push each steered image towards its groups that do not fit yet and those that it keeps, and away from others."""
    unsteered = plain.guide(images)
    signs = [
        {(name, other): -aim.strength for name, others in aim.change.items() for other in others}
        | {(name, aim.assigned[name]): aim.strength for name in aim.change}
        | dict.fromkeys(aim.held.items(), HOLD * aim.strength)
        for _, aim in images
    ]
    concepts = sorted({concept for sign in signs for concept in sign})
    if not concepts:
        return unsteered
    brief = images[0].brief
    phrases = brief.encode([brief.definitions[name].group(group).phrases[0] for name, group in concepts])
    directions = torch.tensor([[sign.get(concept, 0.0) for concept in concepts] for sign in signs])
    return replace(unsteered, steering=_settings(brief).steer(phrases, directions).start(range(len(images))))


def _settings(brief: Brief) -> SemanticGuidance:
    """The published settings, or those of the window between the look and the end of steering.

    The published warm-up is kept where the look is that late; runs of fewer steps would never leave it.
    """
    if not brief.request.natural_first:
        return SemanticGuidance(warmup=min(5, round(brief.card.start * brief.times)))
    start, end = window(brief.times, brief.card)
    return SemanticGuidance(strength=brief.card.semantic, threshold=0.8, warmup=start, cooldown=end)


@dataclass(frozen=True, kw_only=True)
class SemanticGuidance:
    """The settings of the method.

    Attributes:
        strength: s ≥ 0.
        threshold: λ in [0, 1].
        warmup: the number of steps before a concept acts.
        cooldown: the step from which a concept no longer acts; never if None.
        momentum_scale: s_m ≥ 0.
        momentum_beta: β in [0, 1].
        momentum_in_warmup: whether ν absorbs a concept from the first step on, as published. If not, ν absorbs it from
            the end of its warm-up on, and the concept is not evaluated before.
        weight: w ≥ 0.
    """

    strength: PerConcept = 4.0
    threshold: PerConcept = 0.95
    warmup: int | Sequence[int] = 5
    cooldown: int | Sequence[int] | None = None
    momentum_scale: float = 0.5
    momentum_beta: float = 0.6
    momentum_in_warmup: bool = True
    weight: PerConcept = 1.0

    def __post_init__(self) -> None:
        for name, top in (
            ("strength", torch.inf),
            ("threshold", 1.0),
            ("warmup", torch.inf),
            ("cooldown", torch.inf),
            ("weight", torch.inf),
            ("momentum_scale", torch.inf),
            ("momentum_beta", 1.0),
        ):
            value = getattr(self, name)
            if value is None:
                continue
            if not all(0 <= v <= top for v in (value if isinstance(value, Sequence) else [value])):
                bound = "at least 0" if top == torch.inf else f"between 0 and {top:g}"
                raise ValueError(f"{name} must be {bound}, not {value}")

    def steer(self, concepts: Conditioning, directions: Tensor) -> SemanticSteering:
        """Steer a request.

        Args:
            concepts: one row per concept.
            directions: d, (images, concepts): +1, −1 or 0. Another size multiplies the strength for that image.

        Raises:
            ValueError: the numbers of concepts do not fit.
        """
        if directions.ndim != 2 or directions.shape[1] != len(concepts):
            raise ValueError(
                f"directions of shape {tuple(directions.shape)} do not fit {len(concepts)} concepts; "
                "give (images, concepts)"
            )
        for name in ("strength", "threshold", "warmup", "cooldown", "weight"):
            value = getattr(self, name)
            if isinstance(value, Sequence) and len(value) != len(concepts):
                raise ValueError(f"{name} has {len(value)} values for {len(concepts)} concepts: {value}")
        return SemanticSteering(self, concepts, directions.to("cpu", torch.float32))


@dataclass(frozen=True)
class SemanticSteering:
    """Semantic guidance of one request.

    Attributes:
        settings: the settings.
        concepts: one row per concept.
        directions: d, (images, concepts).
    """

    settings: SemanticGuidance
    concepts: Conditioning
    directions: Tensor

    def start(self, images: Sequence[int]) -> SemanticRun:
        """Begin a batch of these images, at any step, with momentum 0."""
        if max(images) >= len(self.directions):
            raise ValueError(f"image {max(images)} has no direction: there are {len(self.directions)}")
        return SemanticRun(self.settings, self.concepts, self.directions[torch.as_tensor(images)])


class SemanticRun:
    """Semantic guidance of one batch. Images with a direction are "steered"; the others do not take part.

    Args:
        settings: the settings.
        concepts: one row per concept.
        directions: d of the images of the batch, (n, concepts).
    """

    def __init__(self, settings: SemanticGuidance, concepts: Conditioning, directions: Tensor) -> None:
        k = len(concepts)
        self._settings, self._concepts = settings, concepts
        self._steered = (directions != 0).any(dim=1).nonzero()[:, 0]
        self._directions = directions[self._steered]
        self._strength = _per_concept(settings.strength, k)
        self._threshold = _per_concept(settings.threshold, k)
        self._warmup = _per_concept(settings.warmup, k)
        self._cooldown = _per_concept(torch.inf if settings.cooldown is None else settings.cooldown, k)
        self._weight = _per_concept(settings.weight, k)
        self._momentum: Tensor | None = None

    def extra(self, step: int) -> Extra | None:
        """The rows to evaluate: each steered image with each of its live concepts, concept by concept."""
        concepts, places = self._evaluated(step).T.nonzero(as_tuple=True)
        if not len(places):
            return None
        return Extra(self._steered[places], self._concepts[concepts])

    def guide(self, step: int, *, plain: Tensor, uncond: Tensor, extra: Tensor) -> Tensor:
        """Add γ to the prediction of the steered images. The other images are returned unchanged."""
        live = self._evaluated(step)
        if self._momentum is None and not live.any():
            return plain
        push = self._pushes(live, uncond, extra)
        weights = self._weight * live
        if self._momentum is None:
            self._momentum = torch.zeros_like(push[:, 0])
        gamma = _weighted(weights, push) + self._settings.momentum_scale * self._momentum
        beta = self._settings.momentum_beta
        self._momentum = beta * self._momentum + (1 - beta) * gamma

        past = self._warmup <= step
        ready = (past | (self._directions == 0)).all(dim=1)
        if not ready.all():
            early = weights * past
            early = early / early.sum(dim=1, keepdim=True).clamp_min(torch.finfo(early.dtype).tiny)
            gamma = torch.where(ready.to(plain.device)[:, None, None, None], gamma, _weighted(early, push))
        guided = plain.clone()
        guided[self._steered] += gamma
        return guided

    def _evaluated(self, step: int) -> Tensor:
        """Whether ε_c is needed at this step, (steered, concepts)."""
        live = (self._directions != 0) & (step < self._cooldown)
        if self._settings.momentum_scale == 0 or not self._settings.momentum_in_warmup:
            live &= step >= self._warmup  # during warm-up, only the momentum uses ψ
        return live

    def _pushes(self, live: Tensor, uncond: Tensor, extra: Tensor) -> Tensor:
        """μ·ψ, (steered, concepts, channels, height, width), and 0 where `live` is false."""
        push = extra.new_zeros((*live.shape, *uncond.shape[1:]))
        for k, rows in enumerate(torch.split(extra, live.sum(dim=0).tolist())):
            places = live[:, k].nonzero()[:, 0]
            if not len(places):
                continue
            scale = (self._directions[places, k] * self._strength[k]).to(rows)
            psi = scale[:, None, None, None] * (rows - uncond[self._steered[places]])
            push[places, k] = _strongest(psi, float(self._threshold[k]))
        return push


def _per_concept(value: PerConcept, k: int) -> Tensor:
    values = torch.as_tensor(value, dtype=torch.float32)
    return values.expand(k) if values.ndim == 0 else values


def _strongest(psi: Tensor, threshold: float) -> Tensor:
    """μ·ψ: ψ (n, channels, height, width), with 0 where |ψ| is below its quantile, per image and channel."""
    size = psi.abs()
    bar = torch.quantile(size.flatten(start_dim=2).float(), threshold, dim=2).to(psi.dtype)
    return torch.where(size >= bar[:, :, None, None], psi, torch.zeros_like(psi))


def _weighted(weights: Tensor, push: Tensor) -> Tensor:
    """The weighted sum over concepts: (n, k) · (n, k, channels, height, width)."""
    return torch.einsum("nk,nkchw->nchw", weights.to(push), push)
