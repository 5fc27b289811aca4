"""What steering is to do with one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fair_diffusion.policy import ATTRIBUTES, Assignment, Target


@dataclass(frozen=True)
class Aim:
    """The groups that one image shall show, and how strongly it is steered to them.

    Attributes:
        assigned: group by attribute; empty for an image that goes on plain, and for methods that assign no group.
        change: the attributes that do not fit yet, each with the groups to leave (none if it is unknown what the image
            shows).
        strength: a multiple of the method's usual strength; 0 for an image that goes on plain.
    """

    assigned: Assignment = field(default_factory=dict)
    change: Mapping[str, Sequence[str]] = field(default_factory=dict)
    strength: float = 0.0


PLAIN = Aim()


def asked_groups(target: Target, name: str) -> list[str]:
    """The groups of one attribute that a target asks for; if that is a single one, the attribute's usual ones too."""
    k = target.attributes.index(name)
    asked = {cell[k] for cell, share in target.shares.items() if share}
    usual = {group for group, share in ATTRIBUTES[name].default_shares.items() if share} if len(asked) == 1 else set()
    return [group for group in ATTRIBUTES[name].group_names if group in asked | usual]
