"""The groups of a definition as people write them, and the short texts in it, with every mistake by its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode

from fair_diffusion.files.text import printable
from fair_diffusion.policy.attributes import KINDS
from fair_diffusion.policy.concept_text import foreign_letter
from fair_diffusion.policy.nodes import Nodes, shown
from fair_diffusion.policy.promises import promised
from fair_diffusion.policy.share import parse_share
from fair_diffusion.policy.spelling import is_unknown

SENTENCES = ("sources", "guideline")
GROUP_LISTS = ("phrases", "called", "written", *KINDS)
GROUP_KEYS = ("share", "adjective", "words", "years", *GROUP_LISTS)
MOST_GROUPS, LONGEST, MOST_TEXTS = 60, 80, 300
"""Groups of one attribute, letters of a word, and entries of a list."""
_GROUP = re.compile(r"[^\W_](?:[\w .&'’()-]{0,38}[\w)])?")
RESERVED = frozenset(
    """occupation file file_name prompt concept source model seed steered phrasing share group attribute count rater
    target none unknown label n total sum all other""".split()
)
"""Names that columns of tables have, or that mean no group."""


class GroupReader(Nodes):
    """Reads groups and short texts."""

    def is_refused(self, node: Node | None, text: str, *, group: bool) -> bool:
        """Whether a name promises what no picture shows, or has letters of two alphabets; it is a mistake then."""
        if odd := foreign_letter(text):
            self.wrong(node, text, f"the name has {odd}", "write it in one alphabet")
        elif promise := promised(text, group=group):
            self.wrong(node, text, promise.why, promise.mend)
        return bool(odd or promise)

    def groups(self, name: str, node: Node | None, where: Node) -> dict[str, dict[str, Any]]:
        """The groups of a definition."""
        if not isinstance(node, MappingNode) or not 2 <= len(node.value) <= MOST_GROUPS:
            mend = f"write 2 to {MOST_GROUPS} groups, such as 'groups: {{glasses: {{}}, no glasses: {{}}}}'"
            self.wrong(node or where, name, "an attribute has groups", mend)
            return {}
        found: dict[str, dict[str, Any]] = {}
        for key, value in node.value:
            group = self.text(key, "groups")
            if group and (not _GROUP.fullmatch(group) or group.lower() in RESERVED or is_unknown(group)):
                self.wrong(key, group, "this is no name of a group", "write up to 40 letters, such as 'no glasses'")
            elif group in found:
                self.wrong(key, group, "the group is defined twice", "keep one")
            elif group and not self.is_refused(key, group, group=True):
                found[group] = self.group_data(group, value)
                for text in _said(found[group]):
                    self.is_refused(value, text, group=True)
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
        if len(text) > LONGEST and key not in ("note", "caution"):
            self.wrong(node, text[:LONGEST], f"'{key}' is no word", f"write up to {LONGEST} characters")
        self.visible(node, text, key)
        return text

    def visible(self, node: Node, text: str, key: str) -> None:
        """Check that a text has no character that nobody sees, such as one that turns the direction of writing."""
        if not text.replace("\n", " ").isprintable():
            self.wrong(node, printable(text)[:LONGEST], f"'{key}' has a character that is not seen", "leave it out")

    def words(self, node: Node, key: str) -> tuple[str, ...]:
        """A list of short texts, each with a word."""
        found = self.phrases(node, key)
        if len(found) > MOST_TEXTS or (key not in SENTENCES and any(len(text) > LONGEST for text in found)):
            self.wrong(node, key, "the list is too long", f"write up to {MOST_TEXTS} words of {LONGEST} characters")
        for text in found:
            self.visible(node, text, key)
        return found

    def flag(self, node: Node, key: str) -> bool:
        """True or false."""
        if shown(node) not in ("true", "false"):
            self.wrong(node, shown(node), f"'{key}' is true or false", "write one of the two")
        return shown(node) == "true"


def _said(data: Mapping[str, Any]) -> Iterator[str]:
    """The words for a group that steer or that instructions use."""
    yield from (*data.get("phrases", ()), *data.get("called", ()), *data.get("words", {}).values())
    yield data.get("adjective", "")
