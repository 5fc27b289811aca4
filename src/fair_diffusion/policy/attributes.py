"""The definitions of perceived attributes: their groups, and the words for them.

Definitions are data. The built-in ones are files in `shipped`, of the same form as a user's own (`definitions.py`).
Attributes are called perceived because a picture has no identity of its own.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

KINDS = ("nouns", "adjectives", "pronouns", "features", "qualifiers")
"""The kinds of words that state a group; docs/how-to/attributes.md says what each is."""
BUILT_IN = ("gender", "skin_tone", "age")
READY = (
    *("ethnicity_fairface", "ethnicity_five", "monk", "fitzpatrick", "age_bands"),
    *("glasses", "head_covering", "wheelchair"),
)
"""The shipped definitions that a policy may include by name."""
BEFORE, LAST, AFTER = "before", "last", "after"
STANDS = (BEFORE, LAST, AFTER)
"""Where the words for a group stand: before the concept, directly before it, or after it ("nurse with glasses")."""
_TOLD = ("note", "sources", "caution", "guideline")
"""The fields of an attribute that tell people about it and change nothing."""

Words = tuple[tuple[str, str], ...]
"""Words that state something, each with its kind (`KINDS`)."""


@dataclass(frozen=True)
class Group:
    """One value of an attribute.

    Attributes:
        name: its name in instructions, files and records.
        phrases: descriptions of it; the first one steers.
        adjective: the words beside a concept in a prompt.
        stating: the words by which a prompt states this group itself, each with its kind (`KINDS`).
        called: further words for it in instructions.
        written: further names of it in tables and labels.
        words: the words beside a concept in other languages, by language.
        years: the first and the last year of an age in this group; None for groups of anything else.
    """

    name: str
    phrases: tuple[str, ...]
    adjective: str
    stating: Words = ()
    called: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    years: tuple[int, int] | None = None


@dataclass(frozen=True)
class Attribute:
    """The definition of a perceived property with named groups.

    Attributes:
        name, label: its name in files, and its name for people.
        groups: all groups, in the order of the file.
        default_shares: sum to 1; an instruction that leaves a rest open gives it to the groups by these shares.
        unnamed: further words by which a prompt states the attribute but no single group, each with its kind.
        peoples: whether words for a people ("Kenyan") state the attribute, without a group.
        ignore: phrases that hold such a word without stating anything.
        patterns: texts by which a prompt states the attribute, such as "aged 70".
        called: names of the attribute in instructions.
        stands: where the words for a group stand in a prompt, one of `STANDS`.
        stating_names: whether words that state a group name it in an instruction too.
        ordered: whether the groups have an order, as ages have.
        sensitive: whether the attribute is one that people are discriminated by.
        note: what is perceived, and by whom.
        sources: where the groups come from.
        caution: what to know before use.
        guideline: what people who label pictures are told, one paragraph or point each.
    """

    name: str
    groups: tuple[Group, ...]
    default_shares: dict[str, Fraction]
    label: str = ""
    unnamed: Words = ()
    peoples: bool = False
    ignore: tuple[str, ...] = ()
    patterns: tuple[re.Pattern[str], ...] = ()
    called: tuple[str, ...] = ()
    stands: str = BEFORE
    stating_names: bool = True
    ordered: bool = False
    sensitive: bool = False
    note: str = ""
    sources: tuple[str, ...] = ()
    caution: str = ""
    guideline: tuple[str, ...] = ()

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

    @cached_property
    def digest(self) -> str:
        """A hash of everything that the definition changes, so not of the texts that only tell people about it."""
        content = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _TOLD}
        return hashlib.sha256(json.dumps(content, default=_plain, sort_keys=True).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """A part of a definition as JSON can hold it."""
    if isinstance(value, Group):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return value.pattern if isinstance(value, re.Pattern) else str(value)


class Attributes(Mapping[str, Attribute]):
    """Definitions by the names of their attributes, in order. It is hashable, so that what is made of it can be kept.

    Args:
        definitions: the attributes. Of two with one name the last one counts, at the place of the first.
    """

    def __init__(self, definitions: Iterable[Attribute]) -> None:
        self._by_name = {each.name: each for each in definitions}
        self._hash = hash(tuple((each.name, each.group_names) for each in self._by_name.values()))

    def __getitem__(self, name: str) -> Attribute:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Attributes) or self._hash != other._hash:
            return False
        return list(self) == list(other) and self._by_name == other._by_name

    def __repr__(self) -> str:
        return f"Attributes({', '.join(self)})"

    @classmethod
    def named(cls, *named: str | Path) -> Attributes:
        """The built-in attributes with those of shipped definitions, by name, and of YAML files.

        Raises:
            PolicyError: a name or a file is wrong.
        """
        from fair_diffusion.policy.definitions import attributes_from  # here, since it imports this module

        return attributes_from(named)

    def attribute(self, name: str) -> Attribute:
        """The attribute called `name`.

        Raises:
            ValueError: there is none; the message suggests a known attribute.
        """
        if name not in self:
            raise ValueError(f"unknown attribute {name!r}; {suggestion(name, tuple(self))}")
        return self[name]

    @property
    def own(self) -> dict[str, str]:
        """The hash of each definition that is not the built-in one, by attribute."""
        return {name: each.digest for name, each in self.items() if not is_built_in(each)}

    @property
    def group_names(self) -> tuple[str, ...]:
        """The names of the groups of all attributes."""
        return tuple(name for attribute in self.values() for name in attribute.group_names)


@cache
def built_in() -> Attributes:
    """The attributes that every policy has, unless it defines them itself. They are read once."""
    return Attributes(each for name in BUILT_IN for each in shipped(name))


def is_built_in(attribute: Attribute) -> bool:
    """Whether a definition is the built-in one of its name."""
    return built_in().get(attribute.name) == attribute


@cache
def shipped(name: str) -> tuple[Attribute, ...]:
    """The attributes in the shipped file of definitions `name`."""
    return tuple(attribute_of(key, data) for key, data in read_data(f"shipped/{name}.yaml").items())


def attribute_of(name: str, data: Mapping[str, Any]) -> Attribute:
    """The attribute `name` that the content of a file of definitions describes."""
    groups = data["groups"]
    usual = Fraction(1, len(groups))
    return Attribute(
        name=name,
        groups=tuple(_group(str(key), value or {}, data.get("stands", BEFORE)) for key, value in groups.items()),
        default_shares={str(key): Fraction((value or {}).get("share", usual)) for key, value in groups.items()},
        label=str(data.get("label", name.replace("_", " "))),
        unnamed=(*_stating(data), *_absent(groups)),
        peoples=bool(data.get("peoples", False)),
        ignore=_texts(data, "ignore"),
        patterns=tuple(re.compile(pattern, re.IGNORECASE) for pattern in data.get("patterns", ())),
        called=_texts(data, "called"),
        stands=data.get("stands", BEFORE),
        stating_names=bool(data.get("stating_names", True)),
        ordered=bool(data.get("ordered", False)),
        sensitive=bool(data.get("sensitive", False)),
        note=str(data.get("note", "")),
        sources=_texts(data, "sources"),
        caution=str(data.get("caution", "")),
        guideline=_texts(data, "guideline"),
    )


def _group(name: str, data: Mapping[str, Any], stands: str) -> Group:
    """A group. Without words that state it, its own words do: as what a person has, and before the person too."""
    years, adjective = data.get("years"), str(data.get("adjective", name))
    kinds = ("features",) if stands == AFTER else ("adjectives", "features")
    usual = [(word, kind) for word in _own_words(name, data) for kind in kinds]
    return Group(
        name=name,
        phrases=_texts(data, "phrases") or (f"{name} person",),
        adjective=adjective,
        stating=_stating(data) or tuple(usual),
        called=_texts(data, "called"),
        written=_texts(data, "written"),
        words={str(language): str(word) for language, word in data.get("words", {}).items()},
        years=(years[0], years[1]) if years else None,
    )


def _own_words(name: str, data: Mapping[str, Any]) -> list[str]:
    """The words of a group by which a prompt states it; none if the definition has others for that."""
    if set(KINDS) & data.keys():
        return []
    return list(dict.fromkeys([name, str(data.get("adjective", name)), *_texts(data, "called")]))


def _absent(groups: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The words that say that a person has not what a group is called: they state the attribute, and no group."""
    for name, data in groups.items():
        for word in _own_words(str(name), data or {}):
            yield from ((f"{without} {word}", "features") for without in ("without", "without a", "without an"))


def _texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(str(text) for text in data.get(key, ()))


def _stating(data: Mapping[str, Any]) -> Words:
    return tuple((str(word), kind) for kind in KINDS for word in data.get(kind, ()))


def suggestion(value: str, known: tuple[str, ...]) -> str:
    """The mend in a message about an unknown name: the closest known name, or all known names."""
    close = difflib.get_close_matches(value.lower(), known, n=1, cutoff=0.7)
    return f"did you mean {close[0]!r}?" if close else f"use one of: {', '.join(known)}"


def ordered_groups(attribute: str, groups: Iterable[str], attributes: Attributes | None = None) -> list[str]:
    """Each of `groups` once: in the order of the attribute where it is defined, the others behind as they came."""
    unique = list(dict.fromkeys(groups))
    known = (attributes or built_in()).get(attribute)
    names = known.group_names if known else ()
    return [group for group in names if group in unique] + [group for group in unique if group not in names]


def every_group(attribute: str, groups: Sequence[str], attributes: Attributes | None = None) -> Sequence[str]:
    """All groups of an attribute that is defined, if it has all of `groups`; else `groups`, in a known order."""
    known = (attributes or built_in()).get(attribute)
    fits = known is not None and set(groups) <= set(known.group_names)
    return known.group_names if known is not None and fits else ordered_groups(attribute, groups, attributes)


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
