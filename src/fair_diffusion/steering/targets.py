"""The fairness loss of a request with several targets: one loss for each, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fair_diffusion.policy import Assignment, Target
from fair_diffusion.steering.fairness_loss import Assigned, FairnessLoss, cell_probabilities, fairness_loss, floored, kl


@dataclass(frozen=True)
class Targets:
    """All targets of a request: their cells lie side by side, (n, Σ (cells + 1)), and their losses add up."""

    targets: Sequence[Target]

    def read(self, attribute: Callable[[str], Tensor], groups: Mapping[str, Sequence[str]]) -> Tensor:
        """Probabilities of the cells of all targets, from those of each attribute."""
        return torch.cat(
            [cell_probabilities(attribute, groups, list(target.shares), target.attributes) for target in self.targets],
            dim=1,
        )

    def split(self, p: Tensor) -> tuple[Tensor, ...]:
        """The cells of each target."""
        return torch.split(p, [len(target.shares) + 1 for target in self.targets], dim=1)

    def loss(self, variant: str, p: Tensor, quotas: Sequence[Sequence[int]]) -> AllOf:
        """The loss of a variant for images that now have probabilities p; only "assigned" asks for quotas."""
        each = zip(self.targets, self.split(p), quotas or [()] * len(self.targets), strict=True)
        return AllOf(self, [fairness_loss(variant, part, _shares(t), counts) for t, part, counts in each])

    def divergence(self, p: Tensor) -> Tensor:
        """Σ KL(p̂ ‖ y*)."""
        each = zip(self.targets, self.split(p), strict=True)
        return torch.stack([kl(part.mean(dim=0), floored(_shares(target))) for target, part in each]).sum()


@dataclass(frozen=True)
class AllOf:
    """The sum of the losses of several targets; an image is settled when it is for each."""

    targets: Targets
    losses: Sequence[FairnessLoss]

    def __call__(self, p: Tensor) -> Tensor:
        """What falls to each image, (n,)."""
        parts = zip(self.losses, self.targets.split(p), strict=True)
        return torch.stack([loss(part) for loss, part in parts]).sum(dim=0)

    def settled(self, p: Tensor) -> Tensor:
        """Which images need not move any more."""
        parts = zip(self.losses, self.targets.split(p), strict=True)
        return torch.stack([loss.settled(part) for loss, part in parts]).all(dim=0)

    def assignments(self, n: int) -> list[Assignment]:
        """Who is to show what; nothing said of an image where the losses assign none."""
        found: list[Assignment] = [{} for _ in range(n)]
        for target, loss in zip(self.targets.targets, self.losses, strict=True):
            cells = list(target.shares)
            for assignment, k in zip(found, loss.cells.tolist() if isinstance(loss, Assigned) else [], strict=False):
                assignment.update(zip(target.attributes, cells[k], strict=True))
        return found


def _shares(target: Target) -> list[float]:
    return [float(share) for share in target.shares.values()]
