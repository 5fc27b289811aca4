"""Definitions of attributes as people write them, with every mistake by its line: see docs/how-to/attributes.md.

A policy file has them below `attributes:`, and may `include:` shipped ones by name and files of its own. A definition
with the name of a known attribute refines it: what states the attribute in a prompt still does, so that no restraint is
lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from fair_diffusion.files import guarded
from fair_diffusion.policy.attributes import (
    BUILT_IN,
    KINDS,
    READY,
    STANDS,
    Attribute,
    Attributes,
    attribute_of,
    built_in,
    is_built_in,
    read_data,
    shipped,
    suggestion,
)
from fair_diffusion.policy.concepts import known
from fair_diffusion.policy.errors import PolicyError, Problem
from fair_diffusion.policy.nodes import Nodes, shown
from fair_diffusion.policy.share import SPELLED, parse_share
from fair_diffusion.policy.tokens import lexicon, said_groups
from fair_diffusion.policy.words import Phrase, phrase

TEXTS = ("label", "note", "caution")
SENTENCES = ("sources", "guideline")
LISTS = ("called", "ignore", *SENTENCES, *KINDS)
FLAGS = ("sensitive", "ordered", "peoples", "stating_names")
KEYS = (*TEXTS, *LISTS, *FLAGS, "stands", "groups")
GROUP_LISTS = ("phrases", "called", "written", *KINDS)
GROUP_KEYS = ("share", "adjective", "words", "years", *GROUP_LISTS)
MOST, MOST_GROUPS, LONGEST, MOST_TEXTS = 20, 60, 80, 300
"""Attributes of one policy, groups of one attribute, letters of a word, and entries of a list."""
LARGEST = 1_000_000
"""Bytes of a file."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_GROUP = re.compile(r"[^\W_](?:[\w .&'’()-]{0,38}[\w)])?")
_RESERVED = frozenset(
    "occupation file prompt concept source seed share group attribute count rater target none unknown label n".split()
)
"""Names that columns of tables have, or that mean no group."""


def attributes_from(named: Iterable[str | Path], base: Attributes | None = None) -> Attributes:
    """The built-in attributes with further ones.

    Args:
        named: names of shipped definitions (`READY`), and YAML files of definitions or policies.
        base: what they are added to; the built-in ones if None.

    Raises:
        PolicyError: every mistake of the first one that has some.
    """
    reader = DefinitionReader(base or built_in())
    for each in named:
        reader.include(None, str(each), Path())
        if reader.problems:
            raise PolicyError(reader.problems)
    return reader.attributes


def has_definitions(path: Path) -> bool:
    """Whether a file holds definitions, and no table of phrases or labels, which looks much like it."""
    try:
        data = yaml.safe_load(guarded.text(path, LARGEST))
    except (OSError, guarded.RefusedFile, yaml.YAMLError, RecursionError):
        return False
    if not isinstance(data, dict):
        return False
    return bool({"attributes", "include"} & data.keys()) or all(
        isinstance(each, dict) and isinstance(each.get("groups"), dict) for each in data.values()
    )


class DefinitionReader(Nodes):
    """Reads definitions, and adds them to those that it has.

    Attributes:
        attributes: the definitions so far.
    """

    def __init__(self, base: Attributes) -> None:
        super().__init__()
        self.attributes = base
        self._said = {name: said_groups(each) for name, each in base.items() if not is_built_in(each)}

    def includes(self, node: Node, folder: Path | None) -> None:
        """Add everything that a list names; as in `include`."""
        items = self.sequence(node, "include")
        if len(items) > MOST:
            self.wrong(node, str(len(items)), "too many files are included", f"include up to {MOST}")
            return
        for item in items:
            if text := self.text(item, "include"):
                self.include(item, text, folder)

    def include(self, node: Node | None, text: str, folder: Path | None) -> None:
        """Add what `text` names: a shipped definition, or a file.

        Args:
            node: where it is named.
            text: the name, or the path of a file.
            folder: from where paths lead; None: only shipped definitions may be named.
        """
        if text in READY or text in BUILT_IN:
            for attribute in shipped(text):
                self.add(node, attribute, frozenset({"label", "called", "stands", *FLAGS}))
            return
        if folder is None or not text.endswith((".yaml", ".yml")):
            where = "" if folder is not None else "; other files are included by policy files only"
            self.wrong(node, text, f"this is no shipped definition{where}", suggestion(text, READY))
            return
        path = folder / text
        try:
            root = yaml.compose(guarded.text(path, LARGEST), Loader=yaml.SafeLoader)
        except (OSError, guarded.RefusedFile, yaml.YAMLError, RecursionError) as error:
            why = guarded.why(error) if isinstance(error, OSError | guarded.RefusedFile) else "it is not YAML"
            self.wrong(node, text, f"cannot be read: {why}", "name a readable file of definitions")
            return
        inner = DefinitionReader(self.attributes)
        inner.file(root)
        self.attributes = inner.attributes
        line = node.start_mark.line + 1 if node is not None else None
        for each in inner.problems:
            where = f"{path.name}, line {each.line}: {each.message}"
            self.problems.append(Problem(line, each.value, where, each.mend))

    def file(self, root: Node | None) -> None:
        """Add what a file defines: all of it, or what a policy includes and has below `attributes`."""
        keys = {shown(key): value for key, value in root.value} if isinstance(root, MappingNode) else {}
        if not {"version", "include", "attributes"} & keys.keys():
            self.definitions(root)
            return
        if "include" in keys:
            self.includes(keys["include"], None)
        if "attributes" in keys:
            self.definitions(keys["attributes"])

    def definitions(self, node: Node | None) -> None:
        """Add the attributes that a mapping from names to definitions defines."""
        if not isinstance(node, MappingNode) or not node.value:
            mend = "write 'glasses: {groups: {glasses: {}, no glasses: {}}}'"
            self.wrong(node, shown(node), "'attributes' maps names to definitions", mend)
            return
        if len(node.value) > MOST:
            self.wrong(node, str(len(node.value)), "too many attributes", f"define up to {MOST}")
            return
        names = [shown(key) for key, _ in node.value]
        for (key, value), name in zip(node.value, names, strict=True):
            if names.count(name) > 1:
                self.wrong(key, name, "the attribute is defined twice", "keep one")
            elif self.is_name(key, name) and (read := self.definition(name, value)) is not None:
                data, attribute = read
                self.add(key, attribute, frozenset(data))

    def is_name(self, node: Node, name: str) -> bool:
        """Whether a name may be one of an attribute; else a mistake."""
        if not _NAME.fullmatch(name) or name in _RESERVED:
            mend = "write up to 40 small letters, figures and '_', such as 'head_covering'"
            self.wrong(node, name, "this is no name of an attribute", mend)
            return False
        return not self.is_refused(node, name, "attributes")

    def is_refused(self, node: Node | None, text: str, what: str) -> bool:
        """Whether a name promises what no picture shows; it is a mistake then."""
        words = phrase(text.replace("_", " "))
        spans = {words[i:k] for i in range(len(words)) for k in range(i + 1, len(words) + 1)}
        for entry in _refused()[what]:
            if not spans.isdisjoint(entry["words"]):
                self.wrong(node, text, entry["why"], entry["mend"])
                return True
        return False

    def definition(self, name: str, node: Node) -> tuple[dict[str, Any], Attribute] | None:
        """One definition, as it is written and as it is meant; None and mistakes if something is wrong."""
        before = len(self.problems)
        if not isinstance(node, MappingNode):
            self.wrong(node, shown(node), f"{name!r} is defined by a mapping", f"write the keys {', '.join(KEYS)}")
            return None
        keys = self.mapping(node, KEYS, "key of a definition")
        data: dict[str, Any] = {key: self.word(keys[key], key) for key in TEXTS if key in keys}
        data |= {key: self.words(keys[key], key) for key in LISTS if key in keys}
        data |= {key: self.flag(keys[key], key) for key in FLAGS if key in keys}
        if "stands" in keys:
            data["stands"] = self.word(keys["stands"], "stands")
            if data["stands"] not in STANDS:
                self.wrong(keys["stands"], data["stands"], "words for a group stand elsewhere", suggestion("", STANDS))
        for text in (data.get("label", ""), *data.get("called", ())):
            self.is_refused(node, text, "attributes")
        data["groups"] = self.groups(name, keys.get("groups"), node)
        if len(self.problems) > before:
            return None
        return data, attribute_of(name, data)

    def groups(self, name: str, node: Node | None, where: Node) -> dict[str, dict[str, Any]]:
        """The groups of a definition."""
        if not isinstance(node, MappingNode) or not 2 <= len(node.value) <= MOST_GROUPS:
            mend = f"write 2 to {MOST_GROUPS} groups, such as 'groups: {{glasses: {{}}, no glasses: {{}}}}'"
            self.wrong(node or where, name, "an attribute has groups", mend)
            return {}
        found: dict[str, dict[str, Any]] = {}
        for key, value in node.value:
            group = self.text(key, "groups")
            if group and (not _GROUP.fullmatch(group) or group.lower() in _RESERVED):
                self.wrong(key, group, "this is no name of a group", "write up to 40 letters, such as 'no glasses'")
            elif group in found:
                self.wrong(key, group, "the group is defined twice", "keep one")
            elif group and not self.is_refused(key, group, "groups"):
                found[group] = self.group_data(group, value)
        self.shares(name, found, node)
        return found

    def group_data(self, name: str, node: Node) -> dict[str, Any]:
        """What is written of one group."""
        if isinstance(node, ScalarNode) and not node.value.strip():
            return {}
        if not isinstance(node, MappingNode):
            self.wrong(node, shown(node), f"{name!r} is a mapping", f"write the keys {', '.join(GROUP_KEYS)}, or {{}}")
            return {}
        keys = self.mapping(node, GROUP_KEYS, "key of a group")
        data: dict[str, Any] = {key: self.words(keys[key], key) for key in GROUP_LISTS if key in keys}
        if "phrases" in data and not data["phrases"]:
            self.wrong(keys["phrases"], name, "'phrases' is empty", "write one, or leave the key out")
        if "adjective" in keys:
            data["adjective"] = self.word(keys["adjective"], "adjective")
        if "share" in keys:
            try:
                data["share"] = parse_share(self.word(keys["share"], "share"))
            except ValueError as error:
                message, _, mend = str(error).partition("; ")
                self.wrong(keys["share"], shown(keys["share"]), message, mend)
        if "words" in keys:
            data["words"] = self.languages(keys["words"])
        if "years" in keys:
            years = [shown(each) for each in self.sequence(keys["years"], "years")]
            if len(years) != 2 or not all(re.fullmatch(r"\d{1,3}", year) for year in years):
                self.wrong(keys["years"], ", ".join(years), "'years' has a first and a last year", "write '[20, 29]'")
            else:
                data["years"] = [int(year) for year in years]
        return data

    def languages(self, node: Node) -> dict[str, str]:
        """The words beside a concept by language."""
        found = {}
        for key, value in node.value if isinstance(node, MappingNode) else ():
            language = self.text(key, "words")
            if not re.fullmatch(r"[a-z]{2,3}", language):
                self.wrong(key, language, "this is no code of a language", "write two or three letters, such as 'de'")
            found[language] = self.word(value, "words")
        if not found:
            self.wrong(node, shown(node), "'words' maps languages to words", "write '{de: mit Brille}'")
        return found

    def shares(self, name: str, groups: Mapping[str, Mapping[str, Any]], node: Node) -> None:
        """Check that default shares are given for all groups and sum to 1, or for none."""
        given = [each["share"] for each in groups.values() if "share" in each]
        if given and len(given) < len(groups):
            self.wrong(node, name, "some groups have a default share and others have none", "write all, or none")
        elif given and sum(given, Fraction(0)) != 1:
            total = f"{float(sum(given, Fraction(0)) * 100):g} %"
            self.wrong(node, name, f"the default shares sum to {total}", "make them sum to 100 %")

    def word(self, node: Node, key: str) -> str:
        """A text that is short enough."""
        text = self.text(node, key)
        if (len(text) > LONGEST and key not in ("note", "caution")) or not text.replace("\n", " ").isprintable():
            self.wrong(node, text[:LONGEST], f"'{key}' is no word", f"write up to {LONGEST} characters")
        return text

    def words(self, node: Node, key: str) -> tuple[str, ...]:
        """A list of short texts, each with a word."""
        found = self.phrases(node, key)
        if len(found) > MOST_TEXTS or (key not in SENTENCES and any(len(text) > LONGEST for text in found)):
            self.wrong(node, key, "the list is too long", f"write up to {MOST_TEXTS} words of {LONGEST} characters")
        return found

    def flag(self, node: Node, key: str) -> bool:
        """True or false."""
        if shown(node) not in ("true", "false"):
            self.wrong(node, shown(node), f"'{key}' is true or false", "write one of the two")
        return shown(node) == "true"

    def add(self, node: Node | None, attribute: Attribute, given: frozenset[str]) -> None:
        """Add a definition. One with the name of a known attribute refines it.

        Args:
            node: where it is named.
            attribute: the definition.
            given: the keys that it states itself.
        """
        if (base := self.attributes.get(attribute.name)) is not None:
            attribute = refined(attribute, base, given)
        self.check_words(node, attribute)
        self.attributes = Attributes([*self.attributes.values(), attribute])

    def check_words(self, node: Node | None, attribute: Attribute) -> None:
        """Check that a sentence can mean one thing only by the words for the groups, and note those words."""
        self._said[attribute.name] = said = said_groups(attribute)
        usual = lexicon(built_in())
        for each in attribute.groups:
            texts = {each.name, each.adjective, *each.phrases, *each.called}
            if number := next((text for text in texts if text.lower() in SPELLED), None):
                self.wrong(node, each.name, f"{number!r} is a number", "choose other words for it")
        for words, (_, group) in said.items():
            text, mend = " ".join(words), "choose other words for it, such as 'dark hair' for 'dark'"
            kind, value = usual.get(words, ("", None))
            taken = [value] if kind == "G" and value[0] not in self._said else []
            taken += [own[words] for name, own in self._said.items() if name != attribute.name and words in own]
            if not words:
                self.wrong(node, group, "a word for this group has no letters", "write words")
            elif taken:
                other, named = taken[0]
                self.wrong(node, group, f"{text!r} names {named!r} of {self.attributes[other].label} already", mend)
            elif kind and kind not in "LG":
                self.wrong(node, group, f"{text!r} is a word of instructions", mend)
            elif words in known():
                self.wrong(node, group, f"{text!r} names an occupation", mend)


def refined(attribute: Attribute, base: Attribute, given: frozenset[str]) -> Attribute:
    """A definition in the place of another one: it keeps what states the attribute, and what it does not state anew.

    Args:
        attribute: the new definition.
        base: the former one.
        given: the keys that the new one states.
    """
    kept = {key: getattr(base, key) for key in ("label", "called", "stands", *FLAGS) if key not in given}
    own = {word for word, *_ in attribute.stating}
    lost = dict.fromkeys((word, kind) for word, kind, _ in base.stating if word not in own)
    return replace(
        attribute,
        **kept,
        unnamed=(*attribute.unnamed, *lost),
        peoples=attribute.peoples or base.peoples,
        ignore=(*attribute.ignore, *base.ignore),
        patterns=(*attribute.patterns, *base.patterns),
    )


@cache
def _refused() -> dict[str, list[dict[str, Any]]]:
    """The names that promise what no picture shows, with reason and mend; words in comparable form."""

    def comparable(words: Sequence[str]) -> frozenset[Phrase]:
        return frozenset(phrase(word) for word in words)

    data = read_data("refused_names.yaml")
    return {
        what: [{**entry, "words": comparable(entry["words"])} for entry in entries] for what, entries in data.items()
    }
