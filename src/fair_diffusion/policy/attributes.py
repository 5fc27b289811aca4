"""The perceived attributes, their groups, and the words for them.

The lists are data, in `attributes.yaml`. Attributes are called perceived because a picture has no identity of its own.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from typing import Any

import yaml

KINDS = ("nouns", "adjectives", "pronouns", "features", "qualifiers")
"""The kinds of words that state a group; `attributes.yaml` says what each is."""


@dataclass(frozen=True)
class Group:
    """One value of an attribute.

    Attributes:
        name: its name in instructions, files and records.
        phrases: descriptions of it; the first one steers.
        adjective: the word before a concept in a prompt.
        stating: the words by which a prompt states this group itself, each with its kind (`KINDS`).
    """

    name: str
    phrases: tuple[str, ...]
    adjective: str
    stating: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Attribute:
    """A perceived property with named groups.

    Attributes:
        name, label: its name in files, and its name for people.
        groups: all groups, in the order of the data file.
        default_shares: sum to 1; an instruction that leaves a rest open gives it to the groups by these shares.
        unnamed: further words by which a prompt states the attribute but no single group, each with its kind.
        peoples: whether words for a people ("Kenyan") state the attribute, without a group.
        ignore: phrases that hold such a word without stating anything.
        patterns: texts by which a prompt states the attribute, such as "aged 70".
    """

    name: str
    groups: tuple[Group, ...]
    default_shares: dict[str, Fraction]
    label: str = ""
    unnamed: tuple[tuple[str, str], ...] = ()
    peoples: bool = False
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

    @property
    def stating(self) -> Iterator[tuple[str, str, str | None]]:
        """Every word that states the attribute, its kind, and its group."""
        yield from ((word, kind, None) for word, kind in self.unnamed)
        yield from ((word, kind, group.name) for group in self.groups for word, kind in group.stating)


def suggestion(value: str, known: tuple[str, ...]) -> str:
    """The mend in a message about an unknown name: the closest known name, or all known names."""
    close = difflib.get_close_matches(value.lower(), known, n=1, cutoff=0.7)
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
            adjective=value["adjective"],
            stating=_stating(value),
        )
        for key, value in data["groups"].items()
    )
    return Attribute(
        name=name,
        groups=groups,
        default_shares={key: Fraction(value["share"]) for key, value in data["groups"].items()},
        label=data["label"],
        unnamed=_stating(data),
        peoples=bool(data.get("peoples", False)),
        ignore=tuple(data.get("ignore", ())),
        patterns=tuple(re.compile(pattern, re.IGNORECASE) for pattern in data.get("patterns", ())),
    )


def _stating(data: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((str(word), kind) for kind in KINDS for word in data.get(kind, ()))


ATTRIBUTES: dict[str, Attribute] = {name: _attribute(name, data) for name, data in read_data("attributes.yaml").items()}


def attribute(name: str) -> Attribute:
    """The attribute called `name`.

    Raises:
        ValueError: there is none; the message suggests a known attribute.
    """
    if name not in ATTRIBUTES:
        raise ValueError(f"unknown attribute {name!r}; {suggestion(name, tuple(ATTRIBUTES))}")
    return ATTRIBUTES[name]
