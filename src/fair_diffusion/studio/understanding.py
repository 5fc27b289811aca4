"""What is understood of a prompt and a sentence, before anything is drawn: plain data for the page of instructing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from fair_diffusion.allocation.plan import plan
from fair_diffusion.policy import Attributes, Match, Policy, PolicyError, Rule, Target, match
from fair_diffusion.policy.errors import Problem
from fair_diffusion.policy.holding import held
from fair_diffusion.policy.match_told import taught, without_rules
from fair_diffusion.policy.target import Cell

NOTHING_ASKED = "Nothing is asked for yet, so the model draws as it does by itself."


@dataclass(frozen=True, kw_only=True)
class Part:
    """One group, or one combination of groups, of a target.

    Attributes:
        name: "woman + dark".
        share: of the target.
        quota: images of the drawing that are to show it.
    """

    name: str
    share: Fraction
    quota: int


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One target: the label of its attributes, its parts, and what was added to the sentence."""

    label: str
    attributes: tuple[str, ...]
    parts: Sequence[Part]
    note: str | None


@dataclass(frozen=True, kw_only=True)
class Understood:
    """What is understood.

    Attributes:
        fires: whether a rule fires.
        reason: why, or why not.
        asked: the targets.
        held: the attributes that steered images keep.
        told: how words were read, and what was left aside.
        warnings: what may surprise the author of the sentence.
        problems: mistakes of the sentence; nothing else is known then.
        concept: the words of the prompt that the rule fires for.
        whose: whose rule it is: "sentence", "policy" or "nobody".
        version: of the policy, if it is the policy's.
        suggestion: a sentence that would fire, where none is given.
        sliders: whether the shares can be moved, which writes the sentence anew.
    """

    fires: bool = False
    reason: str = ""
    asked: Sequence[Asked] = ()
    held: Sequence[str] = ()
    told: Sequence[str] = ()
    warnings: Sequence[str] = ()
    problems: Sequence[Problem] = ()
    concept: str | None = None
    whose: str = "nobody"
    version: int | None = None
    suggestion: str | None = None
    sliders: bool = False
    matched: Match | None = field(default=None, repr=False)


@lru_cache(maxsize=64)
def read_sentence(sentence: str, attributes: Attributes | None = None) -> Policy:
    """`Policy.from_sentence`, kept: while a prompt is typed, its sentence comes again with each key."""
    return Policy.from_sentence(sentence, attributes)


def understood(prompt: str, sentence: str, n: int, policy: Policy, version: int | None) -> Understood:
    """What a prompt and a sentence ask for.

    Args:
        prompt: the prompt.
        sentence: the instruction; if it is empty, the policy holds.
        n: images.
        policy: the one that is in force, empty if none is. The sentence may use its definitions.
        version: its number.
    """
    warnings: tuple[str, ...] = ()
    if sentence.strip():
        try:
            policy = read_sentence(sentence, policy.attributes)
        except PolicyError as error:
            return Understood(problems=error.problems, whose="sentence")
        warnings, version = policy.warnings, None
    if not prompt.strip():
        return Understood(reason="Say what to draw.", warnings=warnings)
    found = match(policy, prompt) if policy.rules else without_rules(prompt)
    shares = [_asked(target, counts) for target, counts in zip(found.targets, plan(found.targets, n, 0), strict=True)]
    return Understood(
        fires=found.rule is not None,
        reason=found.reason if policy.rules else NOTHING_ASKED,
        asked=shares,
        held=[found.attributes[name].label for name in held(found)],
        told=list(taught(found, prompt)),
        warnings=warnings,
        concept=found.concept,
        whose="sentence" if sentence.strip() else "policy" if policy.rules else "nobody",
        version=version,
        suggestion=_suggestion(prompt) if not sentence.strip() and found.rule is None else None,
        sliders=found.rule is not None and written(found, sentence, {}) is not None,
        matched=found,
    )


def _asked(target: Target, counts: Sequence[int]) -> Asked:
    parts = [
        Part(name=" + ".join(cell), share=share, quota=count)
        for (cell, share), count in zip(target.shares.items(), counts, strict=True)
    ]
    label = " × ".join(each.label for each in target.definitions)
    return Asked(label=label, attributes=target.attributes, parts=parts, note=target.note)


def _suggestion(prompt: str) -> str | None:
    """A sentence for whomever the prompt is about; None if nobody is known in it."""
    found = match(read_sentence("every occupation: gender equal"), prompt)
    return f"{found.concept}: half women, half men" if found.rule and found.concept else None


def written(found: Match, sentence: str, shares: Mapping[tuple[int, Cell], int]) -> str | None:
    """The sentence that asks for these shares, or None if no sentence can say what the rule asks for.

    The rule that fires is written with its new shares, the others as they are. Whatever is written was read again, and
    means the same.

    Args:
        found: the match, of a sentence or a policy.
        sentence: that is there; empty: the rule is a policy's, and the sentence is about the prompt's concept alone.
        shares: whole percents by number of the target and cell; where none are given, those of the target.
    """
    if found.rule is None:
        return None
    own = read_sentence(sentence, found.attributes) if sentence.strip() else None
    concepts = _about(found.rule) if own else found.concept or ""
    firing = [_shares(target, k, shares) for k, target in enumerate(found.targets)]
    dropped = [_shares(target, -1, {}) for target in found.rule.targets if own and target not in found.targets]
    rules = own.rules if own else (found.rule,)
    clauses = []
    for rule in rules:
        mine = rule.name == found.rule.name
        parts = [*firing, *dropped] if mine else [_shares(target, -1, {}) for target in rule.targets]
        clauses.append(f"{concepts if mine else _about(rule)}: {'; '.join(parts)}")
    text = "; ".join(clauses)
    try:
        read = read_sentence(text, found.attributes)
    except PolicyError:
        return None
    return text if shares or _same(read, rules, own is None) else None


def _same(read: Policy, rules: Sequence[Rule], alone: bool) -> bool:
    """Whether a sentence asks for what these rules ask for."""
    if len(read.rules) != len(rules):
        return False
    pairs = zip(read.rules, rules, strict=True)
    return all(
        {t.attributes: t.shares for t in a.targets} == {t.attributes: t.shares for t in b.targets}
        and (alone or (set(a.concepts), set(a.exceptions)) == (set(b.concepts), set(b.exceptions)))
        for a, b in pairs
    )


def _about(rule: Rule) -> str:
    """The concepts of a rule, as a sentence names them."""
    named = ", ".join(rule.concepts)
    return f"{named} except {', '.join(rule.exceptions)}" if rule.exceptions else named


def _shares(target: Target, k: int, shares: Mapping[tuple[int, Cell], int]) -> str:
    """The shares of a target as a sentence states them: those that are given, else its own."""
    given = {cell: Fraction(shares.get((k, cell), share * 100)) for cell, share in target.shares.items()}
    return ", ".join(f"{_written(share)} {' '.join(cell)}" for cell, share in given.items() if share)


def _written(percents: Fraction) -> str:
    """A share, exactly: "50%", "12.5%", "1/3"."""
    if (percents * 100).denominator == 1:
        return f"{float(percents):g}%"
    return str(percents / 100)
