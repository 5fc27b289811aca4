"""The nodes of a YAML file as texts, lists and mappings, with every mistake by its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fair_diffusion.files.text import printable
from fair_diffusion.policy.attributes import built_in, suggestion
from fair_diffusion.policy.concept_text import foreign_letter
from fair_diffusion.policy.errors import Problem
from fair_diffusion.policy.tokens import lexicon
from fair_diffusion.policy.words import phrase

_SWITCHES = {"tag:yaml.org,2002:bool": "true or false", "tag:yaml.org,2002:null": "nothing"}
"""What YAML reads in words such as "no", "on" and "null", by its tag."""


class Nodes:
    """Reads nodes, and collects what is wrong with them.

    Attributes:
        problems: every mistake so far.
        attributes: the definitions, whose words are other words for keys.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.attributes = built_in()

    def wrong(self, node: Node | None, value: str, message: str, mend: str) -> None:
        """Note a mistake, at the line of `node`."""
        line = node.start_mark.line + 1 if node is not None else 1
        self.problems.append(Problem(line, value, message, mend))

    def text(self, node: Node, key: str) -> str:
        """The text below `key`; empty, and a mistake, if there is none."""
        if said := switch(node):
            self.wrong(node, shown(node), f"YAML reads {said} here", f"put it in quotes: {shown(node)!r}")
            return ""
        text = str(node.value).strip() if isinstance(node, ScalarNode) else ""
        if re.search("[\ud800-\udfff]", text):  # no file, database or answer can hold it
            self.wrong(node, printable(text), f"'{key}' holds half a character", "write the character itself")
            return ""
        if text:
            return text
        self.wrong(node, shown(node), f"'{key}' is a text", "write one")
        return ""

    def phrases(self, node: Node | None, key: str) -> tuple[str, ...]:
        """The texts in the list below `key`, each with a word; empty without a list."""
        if node is None:
            return ()
        found = []
        for item in self.sequence(node, key):
            text = self.text(item, key)
            if text and not phrase(text):
                self.wrong(item, text, f"an entry of '{key}' has no word", "write words")
            elif text:
                found.append(text)
        return tuple(found)

    def sequence(self, node: Node, key: str) -> list[Node]:
        """The entries of the list below `key`; empty, and a mistake, if it is no list."""
        if isinstance(node, SequenceNode):
            return list(node.value)
        self.wrong(node, shown(node), f"'{key}' is a list", "write '- …' lines or '[…, …]'")
        return []

    def mapping(self, node: MappingNode, known: tuple[str, ...], what: str) -> dict[str, Node]:
        """The known keys of `node` with their values. Unknown and repeated keys are mistakes."""
        found: dict[str, Node] = {}
        for key_node, value in node.value:
            key = shown(key_node)
            if key not in known:
                meant = self._meant(key, known)
                odd = foreign_letter(key)
                message = f"unknown {what}" + (f", with {odd}" if odd else "")
                self.wrong(key_node, key, message, f"did you mean {meant!r}?" if meant else suggestion(key, known))
                if not meant or any(shown(other) == meant for other, _ in node.value):
                    continue
                key = meant  # what is below it is read too, so that all mistakes come at once
            if key in found:
                self.wrong(key_node, key, "the key is stated twice", "keep one")
            else:
                found[key] = value
        return found

    def _meant(self, key: str, known: Sequence[str]) -> str | None:
        """The known key that `key` was meant to be: another word for it, its beginning, or its nearest spelling."""
        others = {name: name for name in known}
        for words, (kind, value) in lexicon(self.attributes).items():
            name = value[1] if kind == "G" else value
            if kind in "GL" and name in known:
                others.setdefault(" ".join(words), name)
        plain = " ".join(phrase(key))
        if plain in others:
            return others[plain]
        if len(key) > 3 and (begun := [name for name in known if name.startswith(key.lower())]):
            return begun[0]
        near = difflib.get_close_matches(key.lower(), others, n=1, cutoff=0.7)
        return others[near[0]] if near else None


def switch(node: Node) -> str | None:
    """What YAML reads in a plain "no", "on" or "null"; None if the node is a text or a number."""
    return _SWITCHES.get(node.tag) if isinstance(node, ScalarNode) and node.style is None else None


def shown(node: Node | None) -> str:
    """What a node is called in messages: a text or a number as it is written."""
    if node is None:
        return ""
    if isinstance(node, ScalarNode):
        return str(node.value)
    return "a list" if isinstance(node, SequenceNode) else "a mapping"
