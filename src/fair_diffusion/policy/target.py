"""A target: the share of the images that should show each group, exactly.

Shares are fractions, so 1/3 is exactly 1/3 and every target sums to 1. If an instruction leaves a rest open, it goes to
the unstated groups in proportion to the default shares of the attribute, and the target's note says so.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from fair_diffusion.policy.attributes import Attribute, Attributes, built_in, is_built_in

Cell = tuple[str, ...]
"""One group of each attribute of a target, in the order of the attributes."""

Assignment = dict[str, str]
"""The group of each attribute that one image should show; empty if the image is assigned nothing."""

ROUNDING = Fraction(1, 1000)
UNIFORM_WORDS = frozenset({"uniform", "uniformly", "equal", "equally", "even", "evenly", "balanced"})


@dataclass(frozen=True)
class Target:
    """A distribution over the groups of one attribute, or over combinations of groups of several (a joint target).

    Attributes:
        attributes: one, or several for a joint target.
        shares: the share of every cell, zeros included; they sum to exactly 1.
        note: what was added to the instruction: how a rest was distributed, or that rounded percentages were scaled.
        definitions: the definition of each attribute; the built-in ones if none are given.
    """

    attributes: tuple[str, ...]
    shares: dict[Cell, Fraction]
    note: str | None = None
    definitions: tuple[Attribute, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not self.definitions:
            object.__setattr__(self, "definitions", tuple(built_in().attribute(name) for name in self.attributes))
        if tuple(each.name for each in self.definitions) != self.attributes:
            raise ValueError(f"a target for {self.attributes} needs their definitions, not {self.definitions}")
        if not self.attributes or len(set(self.attributes)) != len(self.attributes):
            raise ValueError(f"a target needs distinct attributes, not {self.attributes}")
        if set(self.shares) != set(_cells(self.definitions)):
            raise ValueError(f"a target needs exactly the cells of {self.attributes}, not {sorted(self.shares)}")
        if min(self.shares.values()) < 0 or sum(self.shares.values()) != 1:
            raise ValueError(f"shares must not be negative and must sum to 1, not {sum(self.shares.values())}")

    def __str__(self) -> str:
        label = " × ".join(each.label for each in self.definitions)
        shown = [f"{percent(share)} {' + '.join(cell)}" for cell, share in self.shares.items() if share]
        return f"{label}: {', '.join(shown)}"

    @property
    def group_names(self) -> tuple[tuple[str, ...], ...]:
        """The names of all groups of each attribute."""
        return tuple(each.group_names for each in self.definitions)

    @property
    def asked_groups(self) -> dict[str, list[str]]:
        """The groups that have a share, by attribute."""
        asked = [cell for cell, share in self.shares.items() if share]
        return {name: list(dict.fromkeys(cell[k] for cell in asked)) for k, name in enumerate(self.attributes)}

    @property
    def key(self) -> str:
        """What a ledger knows the target by: exact shares, as "1/3", and the hash of each definition of one's own."""
        shares = ", ".join(sorted(f"{' + '.join(cell)} {share}" for cell, share in self.shares.items()))
        own = (f"{each.name} as {each.digest}" for each in self.definitions if not is_built_in(each))
        return "; ".join([shares, *own])

    def definition(self, name: str) -> Attribute:
        """The definition of one of its attributes."""
        return self.definitions[self.attributes.index(name)]


def cells(attributes: tuple[str, ...], defined: Attributes | None = None) -> tuple[Cell, ...]:
    """Every combination of groups of `attributes`; 1-tuples for a single attribute."""
    return _cells(_definitions(attributes, defined))


def _cells(definitions: Sequence[Attribute]) -> tuple[Cell, ...]:
    return tuple(itertools.product(*(each.group_names for each in definitions)))


def _definitions(names: Sequence[str], defined: Attributes | None) -> tuple[Attribute, ...]:
    """The definitions of attributes by their names; `ValueError` if one is unknown."""
    return tuple((defined or built_in()).attribute(name) for name in names)


def percent(share: Fraction) -> str:
    """A share as people read it, in percent with at most one decimal: "33.3 %"."""
    return f"{float(share * 100):.1f}".removesuffix(".0") + " %"


def uniform(name: str, defined: Attributes | None = None) -> Target:
    """Equal shares for all groups of an attribute with a default share above zero.

    The note names the groups left out.
    """
    definitions = _definitions((name,), defined)
    defaults = definitions[0].default_shares
    held = [group for group, share in defaults.items() if share]
    left = [group for group in defaults if group not in held]
    shares: dict[Cell, Fraction] = {(group,): Fraction(group in held, len(held)) for group in defaults}
    note = f"{_names(left)} gets 0 % by default; name it to include it" if left else None
    return Target((name,), shares, note, definitions)


def complete(attributes: tuple[str, ...], stated: Mapping[Cell, Fraction], defined: Attributes | None = None) -> Target:
    """The target with the shares in `stated`. The rest goes to unstated cells in proportion to their default shares.

    Shares that miss 100 % by at most `ROUNDING` are scaled to it.

    Args:
        attributes: one, or several for a joint target.
        stated: shares by cell.
        defined: the definitions; the built-in ones if None.

    Raises:
        ValueError: the shares exceed 100 %, or no unstated cell can take the rest.
    """
    total = sum(stated.values(), Fraction(0))
    definitions = _definitions(attributes, defined)
    every = _cells(definitions)
    if total != 1 and len(stated) > 1 and abs(total - 1) <= ROUNDING:
        note = f"the shares sum to {float(total * 100):g} % by rounding and were scaled to 100 %"
        return Target(attributes, {cell: stated.get(cell, Fraction(0)) / total for cell in every}, note, definitions)
    if total > 1:
        raise ValueError(f"shares sum to {percent(total)}; make them sum to 100 %")
    if total == 1:
        return Target(attributes, {cell: stated.get(cell, Fraction(0)) for cell in every}, None, definitions)
    weights = {cell: _default(definitions, cell) for cell in every if cell not in stated}
    rest, weight = 1 - total, sum(weights.values(), Fraction(0))
    if not weight:
        takers = [" + ".join(cell) for cell in weights]
        mend = f", or give the missing {percent(rest)} to {_names(takers)}" if takers else ""
        raise ValueError(f"shares sum to {percent(total)}; make them sum to 100 %{mend}")
    shares = {cell: stated[cell] if cell in stated else rest * weights[cell] / weight for cell in every}
    given = [f"{percent(shares[cell])} {' + '.join(cell)}" for cell in weights if weights[cell]]
    if len(given) > 6:
        given = [f"{len(given)} unstated combinations"]
    note = f"the rest, {percent(rest)}, goes by default shares: {', '.join(given)}"
    return Target(attributes, shares, note, definitions)


def _default(definitions: Sequence[Attribute], cell: Cell) -> Fraction:
    return math.prod(
        (each.default_shares[group] for each, group in zip(definitions, cell, strict=True)),
        start=Fraction(1),
    )


def _names(items: list[str]) -> str:
    return " or ".join(items) if len(items) < 7 else f"{len(items)} unstated combinations"
