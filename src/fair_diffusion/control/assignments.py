"""Who shall show what: the assignment that meets all quotas with the least change of what images show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.allocation import least_change
from fair_diffusion.policy import ATTRIBUTES, Assignment, Target

Shares = Mapping[str, NDArray[np.float64]]
"""Probabilities (images, groups) by attribute, in the order of its groups; what lacks to 1 is unknown."""

SURE_AT_LOOK = 0.5
"""From this probability on the look takes an image to become a group by itself: at most one group can reach it."""
SURE_AT_END = 0.7
"""The same for finished pictures. Pictures that are less sure are made again, since readers often differ on them:
docs/control.md tells how this was chosen."""
TOO_HARD = 10.0
"""How much harder to change an image counts that was tried in every way: others are changed in its place."""


def assignments(
    targets: Sequence[Target],
    quotas: Sequence[Sequence[int]],
    shares: Shares,
    sure: float,
    effort: Sequence[float] | None = None,
) -> list[Assignment]:
    """What each image shall show, so that all quotas are met with the least change of what the images show.

    Args:
        targets: the targets.
        quotas: for each target one count per cell, in the order of its shares.
        shares: what the images show.
        sure: the probability from which on an image counts as showing a group.
        effort: how much harder it is to change each image, (images,); 1 for all if None.
    """
    found: list[Assignment] = [{} for _ in range(sum(quotas[0]))]
    for target, counts in zip(targets, quotas, strict=True):
        cells = list(target.shares)
        chosen = least_change(*cells_of(shares, target, sure), counts, effort=effort)
        for assignment, k in zip(found, chosen, strict=True):
            assignment.update(zip(target.attributes, cells[k], strict=True))
    return found


def label(name: str, shares: NDArray[np.float64], sure: float) -> str | None:
    """The group of attribute `name` that one image shows; None if no group is as probable as `sure`."""
    k = int(shares.argmax())
    return ATTRIBUTES[name].group_names[k] if shares[k] >= sure else None


def cells_of(shares: Shares, target: Target, sure: float) -> tuple[list[int | None], NDArray[np.float64]]:
    """The cell of `target` that each image shows (None: unknown), and the probabilities (images, cells).

    Attributes are taken as independent given the picture."""
    groups = [ATTRIBUTES[name].group_names for name in target.attributes]
    probabilities = np.stack(
        [
            np.prod(
                [shares[n][:, g.index(part)] for n, g, part in zip(target.attributes, groups, cell, strict=True)], 0
            )
            for cell in target.shares
        ],
        axis=1,
    )
    place: dict[tuple[str | None, ...], int] = {cell: k for k, cell in enumerate(target.shares)}
    shown = [tuple(label(name, shares[name][i], sure) for name in target.attributes) for i in range(len(probabilities))]
    return [place.get(cell) for cell in shown], probabilities


def differing(shows: Mapping[str, str | None], assigned: Assignment) -> dict[str, list[str]]:
    """The attributes that do not fit, each with the group that is shown instead (none if it is unknown)."""
    return {name: [] if group is None else [group] for name, group in shows.items() if group != assigned[name]}
