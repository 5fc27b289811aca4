"""Policy files: YAML that is validated, with every mistake reported at once by its line.

`schema.py` has the JSON Schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fair_diffusion.files import guarded
from fair_diffusion.policy.attributes import built_in, suggestion
from fair_diffusion.policy.concept_text import is_known, read_concept
from fair_diffusion.policy.concepts import EVERY_OCCUPATION, EVERYONE
from fair_diffusion.policy.definitions import LARGEST as LARGEST
from fair_diffusion.policy.definitions import DefinitionReader
from fair_diffusion.policy.errors import PolicyError, Problem
from fair_diffusion.policy.holding import NOTHING
from fair_diffusion.policy.nodes import shown, switch
from fair_diffusion.policy.rules import Policy, Rule, conflicts
from fair_diffusion.policy.share import MEND, parse_share
from fair_diffusion.policy.target import UNIFORM_WORDS, Cell, Target, complete, uniform

EVERY = {"occupation": EVERY_OCCUPATION, "person": EVERYONE}
POLICY_KEYS = ("version", "rules", "exemptions", "words", "hold", "include", "attributes")
RULE_KEYS = ("name", "concepts", "every", "except", "targets", "joint", "exemptions")
LONGEST_WORD = 60
DEEPEST = 100
"""Brackets that may be open at once: more take long to read, and a policy needs a few."""


def read_policy(path: Path) -> Policy:
    """The policy in the file `path`.

    Raises:
        PolicyError: every mistake of the file, or the reason why it cannot be read.
    """
    try:
        return parse_policy(guarded.text(path, LARGEST), path.parent)
    except (OSError, guarded.RefusedFile) as error:
        message = f"cannot read the policy: {guarded.why(error)}"
        mend = f"name a readable YAML file in UTF-8, of up to {LARGEST:,} bytes"
        raise PolicyError([Problem(None, str(path), message, mend)]) from None


def parse_policy(text: str, folder: Path | None = None) -> Policy:
    """The policy in the YAML `text`.

    Args:
        text: the policy.
        folder: from where it includes files; None: it includes shipped definitions only.

    Raises:
        PolicyError: every mistake of the text.
    """
    if _depth(text) > DEEPEST:
        message = f"more than {DEEPEST} brackets are open at once"
        raise PolicyError([Problem(None, text[:40], message, "close each bracket")])
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        value = text.splitlines()[mark.line].strip() if mark and mark.line < len(text.splitlines()) else ""
        message = f"this is not YAML: {error.problem or error.context}"
        raise PolicyError([Problem(line, value, message, "check indentation, colons and quotes")]) from None
    except (yaml.YAMLError, RecursionError) as error:
        problem = Problem(None, text[:40], f"this is not YAML: {type(error).__name__}", "write a policy as documented")
        raise PolicyError([problem]) from None
    reader = _Reader(folder)
    policy = reader.policy(root)
    if reader.problems:
        raise PolicyError(reader.problems)
    return replace(policy, text=text.strip())


def _depth(text: str) -> int:
    """The largest number of brackets that are open at once."""
    steps = {"[": 1, "{": 1, "]": -1, "}": -1}
    open_ = accumulate(steps.get(letter, 0) for letter in text)
    return max(open_, default=0)


class _Reader(DefinitionReader):
    """Walks the nodes of one file and collects all mistakes instead of stopping at the first."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(built_in())
        self.folder = folder
        self.warnings: list[str] = []

    def policy(self, root: Node | None) -> Policy:
        if root is None or not isinstance(root, MappingNode):
            self.wrong(root, shown(root), "a policy is a mapping", f"write the keys {', '.join(POLICY_KEYS)}")
            return Policy()
        keys = self.mapping(root, POLICY_KEYS, "key of a policy")
        version = keys.get("version")
        if version is None:
            self.wrong(root, "version", "the key is missing", "write 'version: 1'")
        elif shown(version) != "1":
            self.wrong(version, shown(version), "unknown version of the format", "write 'version: 1'")
        if "include" in keys:
            self.includes(keys["include"], self.folder)
        if "attributes" in keys:
            self.definitions(keys["attributes"])
        rules = []
        nodes = self.sequence(keys["rules"], "rules") if "rules" in keys else []
        if not nodes and (not isinstance(keys.get("rules"), Node) or isinstance(keys["rules"], SequenceNode)):
            self.wrong(keys.get("rules", root), "rules", "there are no rules", "write at least one rule")
        for node in nodes:
            if rule := self.rule(node):
                rules.append((rule, node.start_mark.line + 1))
        self.problems += conflicts(rules)
        return Policy(
            tuple(rule for rule, _ in rules),
            self.phrases(keys.get("exemptions"), "exemptions"),
            words=self.words_of_groups(keys["words"]) if "words" in keys else {},
            hold=self.hold(keys["hold"]) if "hold" in keys else None,
            warnings=tuple(self.warnings),
            attributes=self.attributes,
        )

    def hold(self, node: Node) -> tuple[str, ...]:
        """The attributes that steered images keep."""
        if isinstance(node, ScalarNode) and node.value == NOTHING:
            return ()
        found = dict.fromkeys(self.text(item, "hold") for item in self.sequence(node, "hold"))
        for name in found:
            if name and name not in self.attributes:
                self.wrong(node, name, "unknown attribute", suggestion(name, tuple(self.attributes)))
        return tuple(found)

    def rule(self, node: Node) -> Rule | None:
        if not isinstance(node, MappingNode):
            self.wrong(node, shown(node), "a rule is a mapping", f"write the keys {', '.join(RULE_KEYS)}")
            return None
        keys = self.mapping(node, RULE_KEYS, "key of a rule")
        concepts, exceptions = self.concepts(node, keys), self.exceptions(keys)
        label = ", ".join(concepts) + (f" except {', '.join(exceptions)}" if exceptions else "")
        name = self.text(keys["name"], "name") if "name" in keys else label or f"line {node.start_mark.line + 1}"
        targets = [target for target in self.targets(keys.get("targets")) if target]
        joint = self.joint(keys["joint"]) if "joint" in keys else None
        self.once(keys)
        if "targets" not in keys and "joint" not in keys:
            self.wrong(node, name, "the rule has no target", "write 'targets:' or 'joint:'")
        exemptions = self.phrases(keys.get("exemptions"), "exemptions")
        return Rule(name, concepts, (*targets, *([joint] if joint else [])), exemptions, exceptions)

    def once(self, keys: dict[str, Node]) -> None:
        """Check that no attribute is in 'targets' and in 'joint'."""
        targets, joint = keys.get("targets"), keys.get("joint")
        if isinstance(targets, MappingNode) and isinstance(joint, SequenceNode):
            combined = {shown(key) for entry in joint.value if isinstance(entry, MappingNode) for key, _ in entry.value}
            for key, _ in targets.value:
                if shown(key) in combined & self.attributes.keys():
                    message = "the attribute is in 'targets' and in 'joint'"
                    self.wrong(key, shown(key), message, "keep one of the two")

    def concepts(self, rule: Node, keys: dict[str, Node]) -> tuple[str, ...]:
        if ("concepts" in keys) == ("every" in keys):
            both = "both 'concepts' and 'every' are" if "concepts" in keys else "no concept is"
            self.wrong(rule, "concepts", f"{both} stated", "write 'concepts: [firefighter]' or 'every: occupation'")
            return ()
        if "every" in keys:
            value = self.text(keys["every"], "every")
            if value not in EVERY:
                self.wrong(keys["every"], value, "'every' is a kind of concept", suggestion(value, tuple(EVERY)))
            return (EVERY[value],) if value in EVERY else ()
        found = self.named(keys["concepts"], "concepts")
        if not found and isinstance(keys["concepts"], SequenceNode) and not keys["concepts"].value:
            self.wrong(keys["concepts"], "concepts", "no concept is stated", "write 'concepts: [firefighter]'")
        return found

    def exceptions(self, keys: dict[str, Node]) -> tuple[str, ...]:
        if "except" not in keys:
            return ()
        if "every" not in keys:
            self.wrong(keys["except"], "except", "only 'every' has exceptions", "write 'every: occupation', or drop it")
        return self.named(keys["except"], "except", known=True)

    def named(self, node: Node, key: str, *, known: bool = False) -> tuple[str, ...]:
        """The concepts in a list.

        Args:
            node: the list.
            key: its key.
            known: whether an unknown concept is a mistake.
        """
        found = []
        for item in self.sequence(node, key):
            text = self.text(item, key)
            try:
                concept, warning = read_concept(text, self.attributes) if text else ("", None)
                if known and concept and not is_known(concept):
                    raise ValueError("this is no known occupation; name one")
            except ValueError as error:
                message, _, mend = str(error).partition("; ")
                self.wrong(item, text, message, mend)
                continue
            found += [concept] if concept else []
            self.warnings += [f"line {item.start_mark.line + 1}: {warning}"] if warning else []
        return tuple(dict.fromkeys(found))

    def words_of_groups(self, node: Node) -> dict[str, dict[str, str]]:
        """The words for groups by language."""
        if not isinstance(node, MappingNode):
            mend = "write 'de: {woman: weibliche, man: männlicher}'"
            self.wrong(node, shown(node), "'words' maps languages to the words for groups", mend)
            return {}
        found: dict[str, dict[str, str]] = {}
        for key, value in node.value:
            language = self.text(key, "words")
            if language and not re.fullmatch(r"[a-z]{2,3}", language):
                self.wrong(key, language, "this is no code of a language", "write two or three letters, such as 'de'")
            elif language in found:
                self.wrong(key, language, "the key is stated twice", "keep one")
            elif not isinstance(value, MappingNode):
                self.wrong(value, shown(value), f"{language!r} maps groups to words", "write '{woman: weibliche}'")
            else:
                groups = self.mapping(value, self.attributes.group_names, "group")
                found[language] = {group: self.word_of_group(word) for group, word in groups.items()}
        return found

    def word_of_group(self, node: Node) -> str:
        text = self.text(node, "words")
        if len(text) > LONGEST_WORD or not text.isprintable():
            self.wrong(node, text, "this is no word", f"write up to {LONGEST_WORD} characters")
        return text

    def targets(self, node: Node | None) -> Iterator[Target | None]:
        if node is None:
            return
        if not isinstance(node, MappingNode) or not node.value:
            self.wrong(
                node,
                shown(node),
                "'targets' maps attributes to shares",
                "write 'gender: {woman: 50%, man: 50%}'",
            )
            return
        for name, value in self.mapping(node, tuple(self.attributes), "attribute").items():
            yield self.target(name, value)

    def target(self, name: str, node: Node) -> Target | None:
        if isinstance(node, ScalarNode) and node.value in UNIFORM_WORDS:
            return uniform(name, self.attributes)
        if not isinstance(node, MappingNode) or not node.value:
            self.wrong(
                node,
                shown(node),
                f"{name} maps groups to shares",
                "write 'woman: 50%' and so on, or 'uniform'",
            )
            return None
        before = len(self.problems)
        groups = self.mapping(node, self.attributes[name].group_names, f"group of {name}")
        stated: dict[Cell, Fraction] = {(group,): self.share(value) for group, value in groups.items()}
        return self.completed((name,), stated, node) if len(self.problems) == before else None

    def joint(self, node: Node) -> Target | None:
        before = len(self.problems)
        stated: dict[Cell, Fraction] = {}
        attributes: tuple[str, ...] = ()
        for entry in self.sequence(node, "joint"):
            if not isinstance(entry, MappingNode):
                self.wrong(
                    entry,
                    shown(entry),
                    "not a combination",
                    "write '{gender: woman, skin_tone: dark, share: 30%}'",
                )
                continue
            keys = self.mapping(entry, (*self.attributes, "share"), "attribute")
            named = tuple(name for name in self.attributes if name in keys)
            cell = tuple(self.group(name, keys[name]) for name in named)
            attributes = attributes or named
            if len(named) < 2 or named != attributes:
                message = "a joint target combines the same two or more attributes in every entry"
                wanted = ", ".join(attributes) if len(attributes) > 1 else "two, such as gender and skin_tone,"
                self.wrong(entry, ", ".join(named), message, f"name {wanted} in each")
            elif cell in stated:
                self.wrong(entry, " + ".join(cell), "the combination is stated twice", "keep one")
            if "share" in keys:
                stated[cell] = self.share(keys["share"])
            else:
                self.wrong(entry, " + ".join(cell), "the combination has no share", "write 'share: 30%'")
        if len(self.problems) > before:
            return None
        if not stated:
            self.wrong(node, "joint", "there are no combinations", "write at least one, or drop 'joint'")
            return None
        return self.completed(attributes, stated, node)

    def completed(self, attributes: tuple[str, ...], stated: dict[Cell, Fraction], node: Node) -> Target | None:
        try:
            return complete(attributes, stated, self.attributes)
        except ValueError as error:
            message, _, mend = str(error).partition("; ")
            self.wrong(node, " × ".join(attributes), message, mend)
            return None

    def group(self, name: str, node: Node) -> str:
        value = self.text(node, name)
        known = self.attributes[name].group_names
        if value not in known:
            self.wrong(node, value, f"unknown group of {name}", suggestion(value, known))
        return value

    def share(self, node: Node) -> Fraction:
        try:
            if isinstance(node, ScalarNode):
                if said := switch(node):
                    raise ValueError(f"YAML reads {said} here; {MEND}")
                return parse_share(node.value)
            self.wrong(node, shown(node), "this is not a share", MEND)
        except ValueError as error:
            message, _, mend = str(error).partition("; ")
            self.wrong(node, shown(node), message, mend)
        return Fraction(0)
