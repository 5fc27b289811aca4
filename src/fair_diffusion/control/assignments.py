"""Assign groups to images, so that all quotas are met with the least change of what the images show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.allocation import least_change
from fair_diffusion.allocation.expected import shifted
from fair_diffusion.policy import Assignment, Attributes, Target

Shares = Mapping[str, NDArray[np.float64]]
"""Probabilities (images, groups) by attribute, in the order of its groups. What is missing to 1 is unknown."""

SURE_AT_LOOK = 0.5
"""The least probability at which the look says that an image will show a group by itself. One group at most reaches
it."""
SURE_AT_END = 0.7
"""The least probability at which a finished picture counts as showing a group. Less sure pictures are made again,
because readers often differ on them; docs/explanation/settings.md tells how the number was chosen."""
LIKELY_AT_LOOK = 0.35
"""The least probability at which the look says which group of a held attribute an image keeps. Naming no group is
better than naming a guess."""
TOO_HARD = 10.0
"""The effort of an image for which every attempt has failed, against 1 for others: others are changed instead."""


def assignments(
    targets: Sequence[Target],
    quotas: Sequence[Sequence[int]],
    shares: Shares,
    sure: float,
    effort: Sequence[float] | None = None,
    expected: Shares | None = None,
) -> list[Assignment]:
    """The groups that each image is to show, so that all quotas are met with the least change of what the images show.

    Args:
        targets: the targets.
        quotas: for each target one count per cell, in the order of its shares.
        shares: what the images show.
        sure: the least probability at which an image counts as showing a group.
        effort: how hard it is to change each image, (images,); 1 for all if None.
        expected: what people would see, as far as a calibration tells; the quotas are shifted so that the proportions
            as people see them are those that were asked for. None: the quotas are met as they are.

    Returns:
        One group by attribute for each image.
    """
    assigned: list[Assignment] = [{} for _ in range(sum(quotas[0]))]
    for target, counts in zip(targets, quotas, strict=True):
        cells = list(target.shares)
        natural, probabilities = cells_of(shares, target, sure)
        assign = partial(least_change, natural, probabilities, effort=effort)
        if expected is None:
            chosen = assign(counts)
        else:
            _, chosen = shifted(counts, natural, cells_of(expected, target, sure)[1], assign)
        for assignment, k in zip(assigned, chosen, strict=True):
            assignment.update(zip(target.attributes, cells[k], strict=True))
    return assigned


def label(groups: Sequence[str], shares: NDArray[np.float64], sure: float) -> str | None:
    """The group of one attribute that an image shows.

    Args:
        groups: the names of its groups.
        shares: its probabilities in the image, (groups,).
        sure: the least probability at which the image counts as showing a group.

    Returns:
        The group; None if no group is that probable.
    """
    k = int(shares.argmax())
    return groups[k] if shares[k] >= sure else None


def natural_groups(names: Sequence[str], shares: Mapping[str, NDArray[np.float64]], defined: Attributes) -> Assignment:
    """The groups that an image would show by itself.

    Args:
        names: the attributes.
        shares: its probabilities (groups,) at the look, by attribute.
        defined: the definitions of the attributes.

    Returns:
        The most probable group by attribute, without attributes for which none is likely.
    """
    found = {name: label(defined[name].group_names, shares[name], LIKELY_AT_LOOK) for name in names}
    return {name: group for name, group in found.items() if group is not None}


def lost_groups(held: Assignment, shares: Mapping[str, NDArray[np.float64]], defined: Attributes) -> list[str]:
    """The held attributes of which an image surely shows another group.

    Args:
        held: the groups that it was to keep, by attribute.
        shares: its probabilities (groups,), by attribute.
        defined: the definitions of the attributes.
    """
    shown = {name: label(defined[name].group_names, shares[name], SURE_AT_LOOK) for name in held}
    return [name for name, group in held.items() if shown[name] not in (None, group)]


def cells_of(shares: Shares, target: Target, sure: float) -> tuple[list[int | None], NDArray[np.float64]]:
    """The cells of a target that images show. Attributes count as independent, given the picture.

    Args:
        shares: what the images show.
        target: the target.
        sure: the least probability at which an image counts as showing a group.

    Returns:
        The place of the cell that each image shows (None: unknown), and the probabilities of all cells, (images,
        cells).
    """
    groups = target.group_names
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
    named = list(zip(target.attributes, groups, strict=True))
    shown = [tuple(label(g, shares[name][i], sure) for name, g in named) for i in range(len(probabilities))]
    return [place.get(cell) for cell in shown], probabilities


def differing(shows: Mapping[str, str | None], assigned: Assignment) -> dict[str, list[str]]:
    """The attributes in which an image differs from its assignment.

    Args:
        shows: the group that the image shows, by attribute; None: unknown.
        assigned: the group that it is to show, by attribute.

    Returns:
        By attribute, the group that it shows instead, as a list of one; an empty list if that is unknown.
    """
    return {name: [] if group is None else [group] for name, group in shows.items() if group != assigned[name]}
