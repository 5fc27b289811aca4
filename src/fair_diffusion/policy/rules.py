"""Rules and policies: which targets hold for which prompts, and the exemptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fair_diffusion.policy.attributes import Attributes, built_in
from fair_diffusion.policy.concepts import EVERYONE, WILDCARDS, canonical
from fair_diffusion.policy.errors import Problem
from fair_diffusion.policy.target import Target


@dataclass(frozen=True)
class Rule:
    """The targets for prompts about some concepts.

    Attributes:
        name: unique within its policy.
        concepts: words such as "firefighter", or one of the wildcards "every occupation" and "everyone".
        targets: what the images of such a prompt should show.
        exemptions: a prompt with one of these phrases is left alone.
        exceptions: concepts that a wildcard of this rule does not cover: "every occupation except nurse".
    """

    name: str
    concepts: tuple[str, ...]
    targets: tuple[Target, ...]
    exemptions: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """A list of rules. `Policy()` is empty and fires for no prompt. Policies with equal rules are equal.

    Attributes:
        rules: the earlier rule wins where two fit equally well.
        exemptions: phrases that exempt a prompt from all rules.
        text: the sentence or YAML that the policy was read from; empty if it was built otherwise.
        words: the words for groups in other languages, by language and group; steering puts them into prompts of it.
        hold: the attributes that steered images keep if nobody asks for them; None: all that can be read.
        warnings: how the text was read where that may surprise its author: a typo, or a concept that is not known.
        attributes: the definitions of all attributes: the built-in ones and the policy's own.
    """

    rules: tuple[Rule, ...] = ()
    exemptions: tuple[str, ...] = ()
    text: str = field(default="", compare=False, repr=False)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    hold: tuple[str, ...] | None = None
    warnings: tuple[str, ...] = field(default=(), compare=False)
    attributes: Attributes = field(default_factory=built_in, repr=False)

    # The two parsers import this module, so they are imported when called.
    @classmethod
    def from_file(cls, path: str | Path) -> Policy:
        """The policy in the YAML file `path`.

        Raises:
            PolicyError: every mistake of the file, or the reason why it cannot be read.
        """
        from fair_diffusion.policy.file import read_policy

        return read_policy(Path(path))

    @classmethod
    def from_yaml(cls, text: str) -> Policy:
        """The policy in the YAML `text`, which includes shipped definitions only.

        Raises:
            PolicyError: every mistake of the text.
        """
        from fair_diffusion.policy.file import parse_policy

        return parse_policy(text)

    @classmethod
    def from_sentence(cls, text: str, attributes: Attributes | None = None) -> Policy:
        """The policy that a sentence states, such as "firefighter: half women".

        Args:
            text: the sentence.
            attributes: the definitions that it may use; the built-in ones if None.

        Raises:
            PolicyError: every mistake, if any part of the sentence cannot be understood.
        """
        from fair_diffusion.policy.instruction import parse_instruction

        return parse_instruction(text, attributes)


def conflicts(rules: Sequence[tuple[Rule, int | None]]) -> list[Problem]:
    """Duplicate names, and concepts that two rules claim.

    Only one rule can fire for a prompt, so a concept in two rules is a mistake even if their attributes differ.

    Args:
        rules: each rule with its line; None in a sentence.
    """
    problems: list[Problem] = []
    names: dict[str, int | None] = {}
    owners: dict[str, tuple[Rule, int | None]] = {}
    for rule, line in rules:
        if rule.name in names:
            mend = f"rename one: the first is {_at(names[rule.name])}"
            problems.append(Problem(line, rule.name, "two rules have this name", mend))
        names.setdefault(rule.name, line)
        for concept in dict.fromkeys(canonical(c) for c in rule.concepts):
            if concept in owners:
                problems.append(_clash(concept, rule, line, *owners[concept]))
            else:
                owners[concept] = (rule, line)
    return problems


def _clash(concept: str, rule: Rule, line: int | None, other: Rule, other_line: int | None) -> Problem:
    where = f"rule {other.name!r} ({_at(other_line)})"
    mine = {name: target.shares for target in rule.targets for name in target.attributes}
    theirs = {name: target.shares for target in other.targets for name in target.attributes}
    differing = [name for name in mine if name in theirs and mine[name] != theirs[name]]
    if differing:
        message = f"contradicts {where}: both give a target for {', '.join(differing)}"
        return Problem(line, concept, message, "keep one of the two targets")
    return Problem(line, concept, f"is in {where} too, and only one rule can fire", "put the targets into one rule")


def _at(line: int | None) -> str:
    return f"line {line}" if line is not None else "earlier"


def specific(concept: str) -> int:
    """How specific a concept is: 2 for words, 1 for "every occupation", 0 for "everyone"."""
    if concept not in WILDCARDS:
        return 2
    return 0 if concept == EVERYONE else 1
