"""Policy files: YAML that is validated, with every mistake reported at once by its line.

`schema.py` has the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fair_diffusion.files import guarded
from fair_diffusion.policy.attributes import ATTRIBUTES, suggestion
from fair_diffusion.policy.concepts import EVERY_OCCUPATION, EVERYONE
from fair_diffusion.policy.errors import PolicyError, Problem
from fair_diffusion.policy.rules import Policy, Rule, conflicts
from fair_diffusion.policy.target import UNIFORM_WORDS, Cell, Target, complete, parse_share, uniform
from fair_diffusion.policy.words import phrase

LARGEST = 1_000_000
EVERY = {"occupation": EVERY_OCCUPATION, "person": EVERYONE}
POLICY_KEYS = ("version", "rules", "exemptions")
RULE_KEYS = ("name", "concepts", "every", "targets", "joint", "exemptions")
_SHARE_MEND = 'write percent ("50%"), a fraction ("1/3") or a word ("half")'


def read_policy(path: Path) -> Policy:
    """The policy in the file `path`.

    Raises:
        PolicyError: every mistake of the file, or the reason why it cannot be read.
    """
    try:
        return parse_policy(guarded.text(path, LARGEST))
    except (OSError, guarded.RefusedFile) as error:
        message = f"cannot read the policy: {guarded.why(error)}"
        mend = f"name a readable YAML file in UTF-8, of up to {LARGEST:,} bytes"
        raise PolicyError([Problem(None, str(path), message, mend)]) from None


def parse_policy(text: str) -> Policy:
    """The policy in the YAML `text`.

    Raises:
        PolicyError: every mistake of the text.
    """
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
    reader = _Reader()
    policy = reader.policy(root)
    if reader.problems:
        raise PolicyError(reader.problems)
    return replace(policy, text=text.strip())


class _Reader:
    """Walks the nodes of one file and collects all mistakes instead of stopping at the first."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def wrong(self, node: Node | None, value: str, message: str, mend: str) -> None:
        line = node.start_mark.line + 1 if node is not None else 1
        self.problems.append(Problem(line, value, message, mend))

    def policy(self, root: Node | None) -> Policy:
        if root is None or not isinstance(root, MappingNode):
            self.wrong(root, _shown(root), "a policy is a mapping", f"write the keys {', '.join(POLICY_KEYS)}")
            return Policy()
        keys = self.mapping(root, POLICY_KEYS, "key of a policy")
        version = keys.get("version")
        if version is None:
            self.wrong(root, "version", "the key is missing", "write 'version: 1'")
        elif _shown(version) != "1":
            self.wrong(version, _shown(version), "unknown version of the format", "write 'version: 1'")
        rules = []
        nodes = self.sequence(keys["rules"], "rules") if "rules" in keys else []
        if not nodes and (not isinstance(keys.get("rules"), Node) or isinstance(keys["rules"], SequenceNode)):
            self.wrong(keys.get("rules", root), "rules", "there are no rules", "write at least one rule")
        for node in nodes:
            if rule := self.rule(node):
                rules.append((rule, node.start_mark.line + 1))
        self.problems += conflicts(rules)
        return Policy(tuple(rule for rule, _ in rules), self.phrases(keys.get("exemptions"), "exemptions"))

    def rule(self, node: Node) -> Rule | None:
        if not isinstance(node, MappingNode):
            self.wrong(node, _shown(node), "a rule is a mapping", f"write the keys {', '.join(RULE_KEYS)}")
            return None
        keys = self.mapping(node, RULE_KEYS, "key of a rule")
        name = self.text(keys["name"], "name") if "name" in keys else ""
        if "name" not in keys:
            self.wrong(node, "name", "the rule has no name", "write 'name: …'")
        concepts = self.concepts(node, keys)
        targets = [target for target in self.targets(keys.get("targets")) if target]
        joint = self.joint(keys["joint"]) if "joint" in keys else None
        for shared in joint.attributes if joint else ():
            if any(shared in target.attributes for target in targets):
                message = "the attribute is in 'targets' and in 'joint'"
                self.wrong(keys["joint"], shared, message, "keep one of the two")
        if "targets" not in keys and "joint" not in keys:
            self.wrong(node, name, "the rule has no target", "write 'targets:' or 'joint:'")
        exemptions = self.phrases(keys.get("exemptions"), "exemptions")
        return Rule(
            name or f"line {node.start_mark.line + 1}",
            concepts,
            (*targets, *([joint] if joint else [])),
            exemptions,
        )

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
        found = self.phrases(keys["concepts"], "concepts")
        if not found and isinstance(keys["concepts"], SequenceNode):
            self.wrong(keys["concepts"], "concepts", "no concept is stated", "write 'concepts: [firefighter]'")
        return tuple(dict.fromkeys(" ".join(phrase(text)) for text in found))

    def targets(self, node: Node | None) -> Iterator[Target | None]:
        if node is None:
            return
        if not isinstance(node, MappingNode) or not node.value:
            self.wrong(
                node,
                _shown(node),
                "'targets' maps attributes to shares",
                "write 'gender: {woman: 50%, man: 50%}'",
            )
            return
        for name, value in self.mapping(node, tuple(ATTRIBUTES), "attribute").items():
            yield self.target(name, value)

    def target(self, name: str, node: Node) -> Target | None:
        if isinstance(node, ScalarNode) and node.value in UNIFORM_WORDS:
            return uniform(name)
        if not isinstance(node, MappingNode) or not node.value:
            self.wrong(
                node,
                _shown(node),
                f"{name} maps groups to shares",
                "write 'woman: 50%' and so on, or 'uniform'",
            )
            return None
        before = len(self.problems)
        groups = self.mapping(node, ATTRIBUTES[name].group_names, f"group of {name}")
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
                    _shown(entry),
                    "not a combination",
                    "write '{gender: woman, skin_tone: dark, share: 30%}'",
                )
                continue
            keys = self.mapping(entry, (*ATTRIBUTES, "share"), "attribute")
            named = tuple(name for name in ATTRIBUTES if name in keys)
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
            return complete(attributes, stated)
        except ValueError as error:
            message, _, mend = str(error).partition("; ")
            self.wrong(node, " × ".join(attributes), message, mend)
            return None

    def group(self, name: str, node: Node) -> str:
        value = self.text(node, name)
        known = ATTRIBUTES[name].group_names
        if value not in known:
            self.wrong(node, value, f"unknown group of {name}", suggestion(value, known))
        return value

    def share(self, node: Node) -> Fraction:
        try:
            if isinstance(node, ScalarNode):
                return parse_share(node.value)
            self.wrong(node, _shown(node), "this is not a share", _SHARE_MEND)
        except ValueError as error:
            self.wrong(node, _shown(node), str(error), _SHARE_MEND)
        return Fraction(0)

    def text(self, node: Node, key: str) -> str:
        if isinstance(node, ScalarNode) and node.value.strip():
            return str(node.value).strip()
        self.wrong(node, _shown(node), f"'{key}' is a text", "write one")
        return ""

    def phrases(self, node: Node | None, key: str) -> tuple[str, ...]:
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
        if isinstance(node, SequenceNode):
            return list(node.value)
        self.wrong(node, _shown(node), f"'{key}' is a list", "write '- …' lines or '[…, …]'")
        return []

    def mapping(self, node: MappingNode, known: tuple[str, ...], what: str) -> dict[str, Node]:
        """The known keys of `node` with their values. Unknown and repeated keys are mistakes."""
        found: dict[str, Node] = {}
        for key_node, value in node.value:
            key = _shown(key_node)
            if key not in known:
                self.wrong(key_node, key, f"unknown {what}", suggestion(key, known))
            elif key in found:
                self.wrong(key_node, key, "the key is stated twice", "keep one")
            else:
                found[key] = value
        return found


def _shown(node: Node | None) -> str:
    if node is None:
        return ""
    if isinstance(node, ScalarNode):
        return str(node.value)
    return "a list" if isinstance(node, SequenceNode) else "a mapping"
