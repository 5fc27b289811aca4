"""The perceived attributes, their groups, and the words for them.

The lists are data, in `attributes.yaml`. Attributes are called perceived because a picture has no identity of its own.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from importlib import resources
from typing import Any

import yaml

from fair_diffusion.policy.words import Phrase, phrase


@dataclass(frozen=True)
class Group:
    """One value of an attribute.

    Attributes:
        name: its name in instructions, files and records.
        phrases: descriptions of it; the first one steers.
        words: a prompt with one of these words states this group itself.
        adjective: the word before a concept in a prompt.
        qualifiers: a prompt with one of these words beside a person states this group itself.
    """

    name: str
    phrases: tuple[str, ...]
    words: tuple[str, ...]
    adjective: str
    qualifiers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attribute:
    """A perceived property with named groups.

    Attributes:
        name, label: its name in files, and its name for people.
        groups: all groups, in the order of the data file.
        default_shares: sum to 1; an instruction that leaves a rest open gives it to the groups by these shares.
        words, qualifiers: further words by which a prompt states the attribute but no single group, as in `Group`.
        ignore: phrases that hold such a word without stating anything.
        patterns: texts by which a prompt states the attribute, such as "aged 70".
    """

    name: str
    groups: tuple[Group, ...]
    default_shares: dict[str, Fraction]
    label: str = ""
    words: tuple[str, ...] = ()
    qualifiers: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    patterns: tuple[re.Pattern[str], ...] = ()

    @property
    def group_names(self) -> tuple[str, ...]:
        """The names of the groups, in the order of the file."""
        return tuple(group.name for group in self.groups)

    def group(self, name: str) -> Group:
        """The group called `name`.

        Raises:
            ValueError: there is none; the message suggests a known group.
        """
        for group in self.groups:
            if group.name == name:
                return group
        raise ValueError(f"unknown group {name!r} of {self.label}; {suggestion(name, self.group_names)}")

    @cached_property
    def stated_by(self) -> frozenset[Phrase]:
        """Every phrase that states this attribute wherever it stands in a prompt."""
        return frozenset(phrase(w) for w in (*self.words, *(w for g in self.groups for w in g.words)))

    @cached_property
    def qualified_by(self) -> frozenset[Phrase]:
        """Every phrase that states this attribute if it stands beside a person."""
        return frozenset(phrase(w) for w in (*self.qualifiers, *(w for g in self.groups for w in g.qualifiers)))


def suggestion(value: str, known: tuple[str, ...]) -> str:
    """The mend in a message about an unknown name: the closest known name, or all known names."""
    close = difflib.get_close_matches(value.lower(), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"use one of: {', '.join(known)}"


def ordered_groups(attribute: str, groups: Iterable[str]) -> list[str]:
    """Each of `groups` once: in the order of the attribute where it is defined, the others behind as they came."""
    unique = list(dict.fromkeys(groups))
    known = ATTRIBUTES[attribute].group_names if attribute in ATTRIBUTES else ()
    return [group for group in known if group in unique] + [group for group in unique if group not in known]


def check_attributes(wanted: Iterable[str], known: Sequence[str]) -> None:
    """Check that every attribute in `wanted` was read.

    Raises:
        ValueError: one of them is not among the `known` ones.
    """
    for attribute in wanted:
        if attribute not in known:
            raise ValueError(f"nothing was read of {attribute!r}; choose from {', '.join(known)}")


def read_data(name: str) -> Any:
    """The content of the YAML data file `name` of this package."""
    text = resources.files("fair_diffusion.policy").joinpath(name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _attribute(name: str, data: dict[str, Any]) -> Attribute:
    groups = tuple(
        Group(
            name=key,
            phrases=tuple(value["phrases"]),
            words=tuple(value["words"]),
            adjective=value["adjective"],
            qualifiers=tuple(value.get("qualifiers", ())),
        )
        for key, value in data["groups"].items()
    )
    return Attribute(
        name=name,
        groups=groups,
        default_shares={key: Fraction(value["share"]) for key, value in data["groups"].items()},
        label=data["label"],
        words=tuple(data.get("words", ())),
        qualifiers=tuple(data.get("qualifiers", ())),
        ignore=tuple(data.get("ignore", ())),
        patterns=tuple(re.compile(pattern, re.IGNORECASE) for pattern in data.get("patterns", ())),
    )


ATTRIBUTES: dict[str, Attribute] = {name: _attribute(name, data) for name, data in read_data("attributes.yaml").items()}


def attribute(name: str) -> Attribute:
    """The attribute called `name`.

    Raises:
        ValueError: there is none; the message suggests a known attribute.
    """
    if name not in ATTRIBUTES:
        raise ValueError(f"unknown attribute {name!r}; {suggestion(name, tuple(ATTRIBUTES))}")
    return ATTRIBUTES[name]
