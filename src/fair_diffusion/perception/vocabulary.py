"""A perceiver's groups in the vocabulary of our attributes, which instructions and audits use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.policy import ATTRIBUTES, Target


def known_groups(reader: Perceiver, name: str) -> list[str]:
    """The groups of attribute `name` that `reader` reads and our vocabulary has; empty if there are fewer than two."""
    groups = [group for group in ATTRIBUTES[name].group_names if group in reader.groups.get(name, ())]
    return groups if len(groups) > 1 else []


def check_reads(reader: Perceiver, targets: Sequence[Target], who: str) -> None:
    """Check that `reader` reads all attributes and groups of the targets.

    Args:
        reader: a perceiver.
        targets: a group counts if its share is above 0.
        who: the perceiver's name in messages.

    Raises:
        ValueError: it does not read an attribute or a group.
    """
    for target in targets:
        for k, name in enumerate(target.attributes):
            if not (known := known_groups(reader, name)):
                every = ", ".join(other for other in ATTRIBUTES if known_groups(reader, other))
                raise ValueError(f"{who} cannot read {name!r}; it reads {every}")
            wanted = {cell[k] for cell, share in target.shares.items() if share}
            if unread := sorted(wanted - set(known)):
                raise ValueError(f"{who} cannot read {unread[0]!r}; of {name} it reads {', '.join(known)}")


def known_labels(labels: Sequence[str | None], name: str) -> list[str | None]:
    """Labels of attribute `name` for counts: a label outside our groups counts as unknown."""
    groups = ATTRIBUTES[name].group_names
    return [label if label in groups else None for label in labels]


def shares(reader: Perceiver, probabilities: Mapping[str, Tensor]) -> dict[str, NDArray[np.float64]]:
    """Probabilities (n, groups) by attribute, in the order of the attribute's groups; 0 for groups that `reader` lacks.

    Args:
        reader: a perceiver.
        probabilities: (n, groups + unknown) by attribute, in the order of the reader's groups.
    """
    found = {}
    for name, groups in reader.groups.items():
        if name in ATTRIBUTES:
            table = probabilities[name].double().cpu().numpy()
            missing = np.zeros(len(table))
            wanted = ATTRIBUTES[name].group_names
            found[name] = np.stack(
                [table[:, list(groups).index(g)] if g in groups else missing for g in wanted], axis=1
            )
    return found
