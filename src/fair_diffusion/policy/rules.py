"""Rules and policies: for which prompts which targets hold, and where they never do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fair_diffusion.policy.concepts import EVERYONE, WILDCARDS, canonical
from fair_diffusion.policy.errors import Problem
from fair_diffusion.policy.target import Target


@dataclass(frozen=True)
class Rule:
    """For prompts about one of `concepts` these `targets` hold, unless a prompt holds one of the `exemptions`.

    `concepts` are words such as "firefighter", or one of the wildcards "every occupation" and "everyone".
    """

    name: str
    concepts: tuple[str, ...]
    targets: tuple[Target, ...]
    exemptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """A list of rules with exemptions that hold for all of them. `Policy()` is empty and fires for no prompt.

    `text` is the sentence or the YAML that somebody wrote it as, "" if it was built otherwise; policies of the same
    rules are equal, however they were written.
    """

    rules: tuple[Rule, ...] = ()
    exemptions: tuple[str, ...] = ()
    text: str = field(default="", compare=False, repr=False)

    # The two parsers build policies, so they are imported when called: at the top the imports would go in a circle.
    @classmethod
    def from_file(cls, path: str | Path) -> Policy:
        """The policy in the YAML file `path`; `PolicyError` with every mistake if it cannot be used."""
        from fair_diffusion.policy.file import read_policy

        return read_policy(Path(path))

    @classmethod
    def from_yaml(cls, text: str) -> Policy:
        """The policy in the YAML `text`; `PolicyError` with every mistake if it cannot be used."""
        from fair_diffusion.policy.file import parse_policy

        return parse_policy(text)

    @classmethod
    def from_sentence(cls, text: str) -> Policy:
        """The policy that a person's sentence says ("firefighter: half women"); `PolicyError` with every mistake."""
        from fair_diffusion.policy.instruction import parse_instruction

        return parse_instruction(text)


def conflicts(rules: Sequence[tuple[Rule, int | None]]) -> list[Problem]:
    """Duplicate names, and concepts that two rules claim; each rule comes with its line.

    Only one rule can fire for a prompt, so a concept in two rules is a mistake even where their attributes differ.
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
