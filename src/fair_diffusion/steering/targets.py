"""The fairness loss of a request with several targets: the sum of one loss per target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fair_diffusion.policy import Assignment, Target
from fair_diffusion.steering.fairness_loss import Assigned, FairnessLoss, cell_probabilities, fairness_loss, floored, kl


@dataclass(frozen=True)
class Targets:
    """All targets of a request.

    Probabilities of their cells are one tensor, (n, Σ (cells + 1)): target after target, each with its unknown last.

    Attributes:
        targets: the targets.
    """

    targets: Sequence[Target]

    def read(self, attribute: Callable[[str], Tensor], groups: Mapping[str, Sequence[str]]) -> Tensor:
        """Probabilities of the cells of all targets, from the probabilities of each attribute.

        Args:
            attribute: the probabilities (n, groups + unknown) of an attribute.
            groups: the groups of every attribute, in the order of its probabilities.
        """
        return torch.cat(
            [cell_probabilities(attribute, groups, list(target.shares), target.attributes) for target in self.targets],
            dim=1,
        )

    def split(self, p: Tensor) -> tuple[Tensor, ...]:
        """The probabilities of each target, (n, cells + 1)."""
        return torch.split(p, [len(target.shares) + 1 for target in self.targets], dim=1)

    def loss(self, variant: str, p: Tensor, quotas: Sequence[Sequence[int]]) -> AllOf:
        """The loss for images that now have probabilities p.

        Args:
            variant: one of `fairness_loss.VARIANTS`.
            p: the probabilities of all targets.
            quotas: for each target one count per cell; only "assigned" uses them.
        """
        each = zip(self.targets, self.split(p), quotas or [()] * len(self.targets), strict=True)
        return AllOf(self, [fairness_loss(variant, part, _shares(t), counts) for t, part, counts in each])

    def divergence(self, p: Tensor) -> Tensor:
        """Σ KL(p̂ ‖ y*) over all targets, in nats."""
        each = zip(self.targets, self.split(p), strict=True)
        return torch.stack([kl(part.mean(dim=0), floored(_shares(target))) for target, part in each]).sum()


@dataclass(frozen=True)
class AllOf:
    """The sum of the losses of several targets.

    Attributes:
        targets: the targets.
        losses: one loss per target.
    """

    targets: Targets
    losses: Sequence[FairnessLoss]

    def __call__(self, p: Tensor) -> Tensor:
        """The loss of each image, (n,)."""
        parts = zip(self.losses, self.targets.split(p), strict=True)
        return torch.stack([loss(part) for loss, part in parts]).sum(dim=0)

    def settled(self, p: Tensor) -> Tensor:
        """Which images need not move any more, (n,): those that are settled for every target."""
        parts = zip(self.losses, self.targets.split(p), strict=True)
        return torch.stack([loss.settled(part) for loss, part in parts]).all(dim=0)

    def assignments(self, n: int) -> list[Assignment]:
        """The groups that n images are assigned; empty if the losses assign none."""
        assigned: list[Assignment] = [{} for _ in range(n)]
        for target, loss in zip(self.targets.targets, self.losses, strict=True):
            cells = list(target.shares)
            for assignment, k in zip(assigned, loss.cells.tolist() if isinstance(loss, Assigned) else [], strict=False):
                assignment.update(zip(target.attributes, cells[k], strict=True))
        return assigned


def _shares(target: Target) -> list[float]:
    return [float(share) for share in target.shares.values()]
