"""The fairness loss: how far the group shares of a batch are from the target, with gradient, for any number of cells.

L_mean      = KL(p̂ ‖ y*) = Σ_k p̂_k·log(p̂_k / y*_k)    p̂ = 1/n Σ_i p_i: the batch mean of a classifier's p
L_confident = L_mean + w/n Σ_i H(p_i)                    H: the entropy of one image's probabilities
L_assigned  = −1/n Σ_i log p_i(a_i)                      a_i: the cell of image i, by exact quotas

L_mean also has its minimum where every image is half one group and half the other. The entropy term makes every image
choose one group. L_assigned says which one: a minimises Σ_i −log p_i(a_i) under the quotas (optimal transport; for two
groups that is the order of their probabilities, so the images nearest to a group are assigned to it).

Unknown: p_i has cells + 1 entries. The last one is the probability of no cell of the target, and of that on which two
readers do not agree (`robust_reading`). It counts as a cell with target 0. Where y* is 0, KL is infinite, so all such
cells together get `FLOOR` of the target instead; the shares that are asked for stay in proportion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from fair_diffusion.allocation import least_change

FLOOR = 0.01
"""The target of all cells of share 0 together. It bounds the loss, and with it the gradient."""
SURE = 0.97
"""The probability of its assigned cell at which an image is settled."""
TOLERANCE = 0.02
"""The total variation from the target at which the mean is settled."""
CONFIDENCE = 0.5
"""w of L_confident. If all images are sure of one group, this term keeps them there (docs/explanation/latents.md)."""
VARIANTS = ("mean", "confident", "assigned")
TINY = 1e-30
"""The least argument of the logarithm. It is so small that images of very small probabilities still have an order and a
gradient."""


class FairnessLoss(Protocol):
    """A loss of the probabilities of all images, (n, cells + 1): the mean of the losses of the images."""

    def __call__(self, p: Tensor) -> Tensor:
        """The loss of each image, (n,), with gradient. All are the same if the loss is one of their mean."""

    def settled(self, p: Tensor) -> Tensor:
        """Which images need not move any more, (n,): all of them once the target is met."""


@dataclass(frozen=True)
class Mean:
    """KL(p̂ ‖ y*) + w/n Σ_i H(p_i).

    Attributes:
        shares: the target's share of each cell.
        confidence: w.
    """

    shares: Sequence[float]
    confidence: float = 0.0

    def __call__(self, p: Tensor) -> Tensor:
        """The loss, in nats, (n,): one number for all images."""
        divergence = kl(p.mean(dim=0), floored(self.shares))
        loss = divergence + self.confidence * entropy(p).mean() if self.confidence else divergence
        return loss.expand(len(p))

    def settled(self, p: Tensor) -> Tensor:
        """All images or none: whether p̂ is within `TOLERANCE` and, if w > 0, the images are `SURE` on average."""
        met = (p.mean(dim=0) - p.new_tensor([*self.shares, 0.0])).abs().sum() / 2 <= TOLERANCE
        sure = not self.confidence or bool(p.max(dim=1).values.mean() >= SURE)
        return torch.full((len(p),), bool(met) and sure)


@dataclass(frozen=True)
class Assigned:
    """Cross-entropy to the assigned cell of each image.

    Attributes:
        cells: the cell of each image, (n,), as `assign` returns them.
    """

    cells: Tensor

    def __call__(self, p: Tensor) -> Tensor:
        """The loss of each image, (n,), in nats."""
        return -self._own(p).clamp_min(TINY).log()

    def settled(self, p: Tensor) -> Tensor:
        """The images that surely show their cell."""
        return self._own(p) >= SURE

    def _own(self, p: Tensor) -> Tensor:
        return p.gather(1, self.cells[:, None])[:, 0]


def fairness_loss(variant: str, p: Tensor, shares: Sequence[float], quotas: Sequence[int]) -> FairnessLoss:
    """The loss for images that now have probabilities p.

    Args:
        variant: one of `VARIANTS`.
        p: (n, cells + 1).
        shares: y*, the target's share of each cell.
        quotas: images per cell, which sum to n; only "assigned" uses them.

    Raises:
        ValueError: the variant is unknown, or p has not one column more than there are cells.
    """
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
    """y*, (cells + 1,): the shares times 1 − `FLOOR`. Unknown and the cells of share 0 divide `FLOOR` evenly.

    Raises:
        ValueError: a share is negative, or they do not sum to 1.
    """
    total = float(sum(shares))
    if min(shares, default=-1.0) < 0 or not abs(total - 1) < 1e-6:
        raise ValueError(f"shares {list(shares)} sum to {total:g}; give shares of 0 or more that sum to 1")
    target = torch.tensor([*map(float, shares), 0.0], dtype=torch.float64)
    nothing = target == 0
    return torch.where(nothing, FLOOR / nothing.sum(), target * (1 - FLOOR) / total)


def assign(p: Tensor, quotas: Sequence[int]) -> Tensor:
    """Assign images to cells so that their probabilities have the largest product.

    An image in which nothing can be read gets a cell that is left over.

    Args:
        p: (n, cells + 1).
        quotas: images per cell, which sum to n.

    Returns:
        The cell of each image, (n,): cell k exactly quotas[k] times.
    """
    cells = p[:, :-1].detach().double().nan_to_num(0.0).clamp(0, 1).cpu().numpy()
    return torch.tensor(least_change([None] * len(cells), cells, quotas, floor=TINY))


def cell_probabilities(
    read: Callable[[str], Tensor],
    groups: Mapping[str, Sequence[str]],
    cells: Sequence[Sequence[str]],
    names: Sequence[str],
) -> Tensor:
    """Probabilities of cells, which are combinations of groups, with gradient.

    Attributes count as independent, given the picture.

    Args:
        read: the probabilities (n, groups + unknown) of an attribute.
        groups: the groups of every attribute, in the order of its probabilities. Other groups have probability 0.
        cells: the cells, as one group per attribute of `names`.
        names: the attributes.

    Returns:
        (n, cells + 1); the last column is the probability of no cell.
    """
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
