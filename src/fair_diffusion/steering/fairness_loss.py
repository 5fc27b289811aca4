"""The fairness loss: how far the group shares of a batch are from the target, with gradient; for any number of cells.

L_mean      = KL(p̂ ‖ y*) = Σ_k p̂_k·log(p̂_k / y*_k)    p̂ = 1/n Σ_i p_i: the batch mean of a classifier's p
L_confident = L_mean + w/n Σ_i H(p_i)                    H: the entropy of one image's probabilities
L_assigned  = −1/n Σ_i log p_i(a_i)                      a: who shows what, by exact quotas

L_mean is at its minimum too where every image is half one group and half the other. The entropy term asks every image
to take a side; L_assigned says which: a minimises Σ_i −log p_i(a_i) under the quotas (optimal transport; for two groups
that is the order of their probabilities, so the images nearest to a group go there).

Unknown: p_i is (cells + 1) long, its last entry is what no cell of the target takes, and what two readers do not agree
about (`witnesses`). It is a cell of its own, of target 0. Where y* is 0, KL is infinite: such
cells, unknown among them, share `FLOOR` of the target instead, and the shares that were asked for stay in proportion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from fair_diffusion.allocation import least_change

FLOOR = 0.01
"""What y* gives to all cells of share 0 together: bounds the loss, and with it the gradient."""
SURE = 0.97
"""From this probability of its assigned cell on an image is left alone."""
TOLERANCE = 0.02
"""Total variation from the target under which the mean counts as met."""
CONFIDENCE = 0.5
"""w of L_confident. Images that are all sure of one group are kept there by this term: see `docs/latents.md`."""
VARIANTS = ("mean", "confident", "assigned")
TINY = 1e-30
"""What the logarithm takes for 0: so little that images with the slightest hope of a group are ranked, and have a
gradient."""


class FairnessLoss(Protocol):
    """A loss of the probabilities of all images, (n, cells + 1): the mean of what falls to each."""

    def __call__(self, p: Tensor) -> Tensor:
        """What falls to each image, (n,), with gradient: the same to all if the loss is one of their mean."""

    def settled(self, p: Tensor) -> Tensor:
        """Which images need not move any more, (n,): all of them once the target is met."""


@dataclass(frozen=True)
class Mean:
    """KL(p̂ ‖ y*) plus `confidence` times the mean entropy. shares: those of the target's cells."""

    shares: Sequence[float]
    confidence: float = 0.0

    def __call__(self, p: Tensor) -> Tensor:
        """The loss, in nats, (n,): one number for all images."""
        divergence = kl(p.mean(dim=0), floored(self.shares))
        loss = divergence + self.confidence * entropy(p).mean() if self.confidence else divergence
        return loss.expand(len(p))

    def settled(self, p: Tensor) -> Tensor:
        """All or none: whether p̂ is within `TOLERANCE`, and where sides are to be taken, the images are sure."""
        met = (p.mean(dim=0) - p.new_tensor([*self.shares, 0.0])).abs().sum() / 2 <= TOLERANCE
        sure = not self.confidence or bool(p.max(dim=1).values.mean() >= SURE)
        return torch.full((len(p),), bool(met) and sure)


@dataclass(frozen=True)
class Assigned:
    """Cross-entropy to the cell of each image, (n,), as `assign` gives them."""

    cells: Tensor

    def __call__(self, p: Tensor) -> Tensor:
        """The loss of each image, (n,), in nats."""
        return -self._own(p).clamp_min(TINY).log()

    def settled(self, p: Tensor) -> Tensor:
        """Those that surely show their cell."""
        return self._own(p) >= SURE

    def _own(self, p: Tensor) -> Tensor:
        return p.gather(1, self.cells[:, None])[:, 0]


def fairness_loss(variant: str, p: Tensor, shares: Sequence[float], quotas: Sequence[int]) -> FairnessLoss:
    """The loss of a variant for images that now have probabilities p, (n, cells + 1).

    shares: y* of the cells. quotas: images per cell, summing to n; only "assigned" looks at them."""
    if variant not in VARIANTS:
        raise ValueError(f"unknown fairness loss {variant!r}; use one of {', '.join(VARIANTS)}")
    if p.shape[1] != len(shares) + 1:
        raise ValueError(f"{p.shape[1]} probabilities for {len(shares)} cells; give one more than cells, the unknown")
    if variant == "assigned":
        return Assigned(assign(p, quotas))
    return Mean(list(shares), CONFIDENCE if variant == "confident" else 0.0)


def kl(p: Tensor, target: Tensor) -> Tensor:
    """KL(p ‖ target) in nats; infinite where the target is 0 and p is not. Both (cells,), summing to 1."""
    # 0·log 0 is 0; at 0 its gradient, minus infinity, is cut off
    return (p * (p.clamp_min(TINY).log() - target.log())).where(p > 0, 0.0).sum()


def entropy(p: Tensor) -> Tensor:
    """Entropy of each row of p, (n, cells), in nats."""
    return -(p * p.clamp_min(TINY).log()).sum(dim=1)


def floored(shares: Sequence[float]) -> Tensor:
    """y*, (cells + 1,): the shares, scaled to leave `FLOOR`, which unknown and the cells of share 0 divide evenly."""
    total = float(sum(shares))
    if min(shares, default=-1.0) < 0 or not abs(total - 1) < 1e-6:
        raise ValueError(f"shares {list(shares)} sum to {total:g}; give shares of 0 or more that sum to 1")
    target = torch.tensor([*map(float, shares), 0.0], dtype=torch.float64)
    nothing = target == 0
    return torch.where(nothing, FLOOR / nothing.sum(), target * (1 - FLOOR) / total)


def assign(p: Tensor, quotas: Sequence[int]) -> Tensor:
    """The cell of each image, (n,): cell k exactly quotas[k] times, where the images are most probable together.

    An image of which nothing can be read goes to where others are missing."""
    cells = p[:, :-1].detach().double().nan_to_num(0.0).clamp(0, 1).cpu().numpy()
    return torch.tensor(least_change([None] * len(cells), cells, quotas, floor=TINY))


def cell_probabilities(
    read: Callable[[str], Tensor],
    groups: Mapping[str, Sequence[str]],
    cells: Sequence[Sequence[str]],
    names: Sequence[str],
) -> Tensor:
    """Probabilities (n, cells + 1) of combinations of groups, "none of them" last; with gradient.

    read: probabilities (n, groups + unknown) of an attribute, in the order of groups[attribute]; a group that is not
    among these has probability 0. names: the attributes that a cell has its groups of. Attributes are taken as
    independent given the picture."""
    tables = {name: read(name) for name in names}
    known = torch.stack(
        [
            torch.stack(
                [_column(tables[name], groups[name], group) for name, group in zip(names, cell, strict=True)]
            ).prod(dim=0)
            for cell in cells
        ],
        dim=1,
    )
    return torch.cat([known, (1 - known.sum(dim=1, keepdim=True)).clamp_min(0)], dim=1)


def _column(table: Tensor, groups: Sequence[str], group: str) -> Tensor:
    return table[:, groups.index(group)] if group in groups else torch.zeros_like(table[:, 0])
