"""Aims: what steering is to do with one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fair_diffusion.policy import Assignment, Target


@dataclass(frozen=True)
class Aim:
    """The groups that one image is to show, and how strongly it is steered to them.

    Attributes:
        assigned: the groups by attribute; empty for a plain image, and for methods that assign no groups.
        change: the attributes that do not fit yet, each with the groups to leave; no groups if it is unknown what the
            image shows.
        strength: a multiple of the method's usual strength; 0 for a plain image.
        held: the groups that it shows by itself and keeps, by attribute; none of these attributes is in `assigned`.
    """

    assigned: Assignment = field(default_factory=dict)
    change: Mapping[str, Sequence[str]] = field(default_factory=dict)
    strength: float = 0.0
    held: Assignment = field(default_factory=dict)

    @property
    def named(self) -> Assignment:
        """The groups that its prompt names: those that it keeps, and those that it is to show."""
        return {**self.held, **self.assigned}


PLAIN = Aim()


def asked_groups(target: Target, name: str) -> list[str]:
    """The groups of one attribute that a target asks for. If it asks for one group only, the usual groups are added."""
    k, attribute = target.attributes.index(name), target.definition(name)
    asked = {cell[k] for cell, share in target.shares.items() if share}
    usual = {group for group, share in attribute.default_shares.items() if share} if len(asked) == 1 else set()
    return [group for group in attribute.group_names if group in asked | usual]
