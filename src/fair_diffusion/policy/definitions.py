"""Definitions of attributes as people write them, with every mistake by its line: see docs/how-to/attributes.md.

A policy file has them below `attributes:`, and may `include:` shipped ones by name and files of its own. A definition
with the name of a known attribute refines it: what states the attribute in a prompt still does, so that no restraint is
lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node

from fair_diffusion.files import guarded
from fair_diffusion.policy.ambiguity import ambiguities
from fair_diffusion.policy.attributes import (
    BUILT_IN,
    KINDS,
    READY,
    STANDS,
    Attribute,
    Attributes,
    attribute_of,
    built_in,
    shipped,
    suggestion,
)
from fair_diffusion.policy.errors import PolicyError, Problem
from fair_diffusion.policy.group_nodes import RESERVED, SENTENCES, GroupReader
from fair_diffusion.policy.nodes import shown, switch

TEXTS = ("label", "note", "caution")
LISTS = ("called", "ignore", *SENTENCES, *KINDS)
FLAGS = ("sensitive", "ordered", "peoples", "stating_names")
KEYS = (*TEXTS, *LISTS, *FLAGS, "stands", "groups")
MOST = 20
"""Attributes of one policy."""
LARGEST = 1_000_000
"""Bytes of a file."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CONFIDENCE = "_confidence"
"""The end of the name of a column that tells how sure the readings of an attribute are."""


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
            raise PolicyError([replace(each, line=None) for each in reader.problems])  # they are of no file of ours
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


class DefinitionReader(GroupReader):
    """Reads definitions, and adds them to those that it has.

    Attributes:
        attributes: the definitions so far.
    """

    def __init__(self, base: Attributes) -> None:
        super().__init__()
        self.attributes = base
        self._included: dict[str, tuple[str, Attribute]] = {}  # by attribute, what included it, and as what

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
        """Add what `text` names: a shipped definition, or a file. Two of them may not define one attribute differently.

        Args:
            node: where it is named.
            text: the name, or the path of a file.
            folder: from where paths lead; None: only shipped definitions may be named.
        """
        before = dict(self.attributes)
        self._include(node, text, folder)
        for name, attribute in self.attributes.items():
            if attribute is not before.get(name):
                other, earlier = self._included.setdefault(name, (text, attribute))
                if earlier != attribute:
                    self.wrong(node, text, f"{name} is defined by {other!r} too, in another way", "name one of the two")

    def _include(self, node: Node | None, text: str, folder: Path | None) -> None:
        if text in READY or text in BUILT_IN:
            for attribute in shipped(text):
                self.add(node, attribute, frozenset({"label", "called", "stands", *FLAGS}))
            return
        if folder is None or not text.endswith((".yaml", ".yml")):
            where, mend = "", suggestion(text, READY)
            if folder is None:
                where = ", and other files are included by policy files only, which a service does not keep"
                mend += ", or write what the file defines below 'attributes'"
            self.wrong(node, text, f"this is no shipped definition{where}", mend)
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
        if not _NAME.fullmatch(name) or name in RESERVED or name.endswith(_CONFIDENCE) or switch(node):
            mend = "write up to 40 small letters, figures and '_', such as 'head_covering'"
            self.wrong(node, name, "this is no name of an attribute", mend)
            return False
        return not self.is_refused(node, name, group=False)

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
            self.is_refused(node, text, group=False)
        data["groups"] = self.groups(name, keys.get("groups"), node)
        if len(self.problems) > before:
            return None
        return data, attribute_of(name, data)

    def add(self, node: Node | None, attribute: Attribute, given: frozenset[str]) -> None:
        """Add a definition. One with the name of a known attribute refines it.

        Args:
            node: where it is named.
            attribute: the definition.
            given: the keys that it states itself.
        """
        if (base := self.attributes.get(attribute.name)) is not None:
            attribute = refined(attribute, base, given)
        for group, message, mend in ambiguities(attribute, self.attributes):
            self.wrong(node, group, message, mend)
        self.attributes = Attributes([*self.attributes.values(), attribute])


def refined(attribute: Attribute, base: Attribute, given: frozenset[str]) -> Attribute:
    """A definition in the place of another one: it keeps what states the attribute, and what it does not state anew.

    Args:
        attribute: the new definition.
        base: the former one.
        given: the keys that the new one states.
    """
    keys = {"label", "called", "stands", *FLAGS} - given - {"peoples"}  # what peoples state is never lost
    kept = {key: getattr(base, key) for key in keys}
    own = {word for word, *_ in attribute.stating}
    lost = dict.fromkeys((word, kind) for word, kind, _ in base.stating if word not in own)
    return replace(
        attribute,
        **kept,
        unnamed=(*attribute.unnamed, *lost),
        peoples=attribute.peoples or base.peoples,
        ignore=tuple(dict.fromkeys([*attribute.ignore, *base.ignore])),
        patterns=tuple(dict.fromkeys([*attribute.patterns, *base.patterns])),
    )
