"""A perceiver's groups in the vocabulary of the defined attributes, which instructions and audits use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fair_diffusion.perception.perceiver import Perceiver
from fair_diffusion.policy import Attribute, Attributes, Target

_COULD = "; clip:MODEL, classifier:MODEL and trained:FOLDER can read other attributes (docs/how-to/attributes.md)"


def known_groups(reader: Perceiver, attribute: Attribute) -> list[str]:
    """The groups of a defined attribute that `reader` reads; empty if there are fewer than two."""
    groups = [group for group in attribute.group_names if group in reader.groups.get(attribute.name, ())]
    return groups if len(groups) > 1 else []


def check_reads(reader: Perceiver, targets: Sequence[Target], who: str, defined: Attributes) -> None:
    """Check that `reader` reads all attributes and groups of the targets.

    Args:
        reader: a perceiver.
        targets: a group counts if its share is above 0.
        who: the perceiver's name in messages.
        defined: all attributes that could be asked for.

    Raises:
        ValueError: it does not read an attribute or a group.
    """
    for target in targets:
        for name, attribute in zip(target.attributes, target.definitions, strict=True):
            if not (known := known_groups(reader, attribute)):
                every = ", ".join(other for other, each in defined.items() if known_groups(reader, each))
                raise ValueError(f"{who} cannot read {name!r}; it reads {every or 'none of the policy'}{_COULD}")
            if unread := sorted({*target.asked_groups[name]} - {*known}):
                raise ValueError(f"{who} cannot read {unread[0]!r}; of {name} it reads {', '.join(known)}{_COULD}")


def known_labels(labels: Sequence[str | None], groups: Sequence[str]) -> list[str | None]:
    """Labels of an attribute for counts: a label outside its groups counts as unknown."""
    return [label if label in groups else None for label in labels]


def shares(
    reader: Perceiver, probabilities: Mapping[str, Tensor], defined: Attributes
) -> dict[str, NDArray[np.float64]]:
    """Probabilities (n, groups) by attribute, in the order of the attribute's groups; 0 for groups that `reader` lacks.

    Args:
        reader: a perceiver.
        probabilities: (n, groups + unknown) by attribute, in the order of the reader's groups.
        defined: the attributes; others are left out.
    """
    found = {}
    for name, groups in reader.groups.items():
        if name in defined:
            table = probabilities[name].double().cpu().numpy()
            missing = np.zeros(len(table))
            wanted = defined[name].group_names
            found[name] = np.stack(
                [table[:, list(groups).index(g)] if g in groups else missing for g in wanted], axis=1
            )
    return found
