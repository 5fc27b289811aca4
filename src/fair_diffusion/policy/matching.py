"""Which rule a prompt triggers, and why; or why no rule fires.

The first question is what the prompt depicts: a concept by name, by a synonym, or by a narrower kind of it
(`concepts.mentions`), and by meaning only if no word is known (`meaning.nearest`). The second is restraint. If the
prompt states an identity, the targets for that attribute are dropped. A named person or an exemption stops the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from fair_diffusion.policy.attributes import ATTRIBUTES
from fair_diffusion.policy.concepts import EVERY_OCCUPATION, EVERYONE, WILDCARDS, Mention, canonical, known
from fair_diffusion.policy.meaning import nearest
from fair_diffusion.policy.mentions import mentions
from fair_diffusion.policy.named import named_person
from fair_diffusion.policy.rules import Policy, Rule, specific
from fair_diffusion.policy.stated import stated_words
from fair_diffusion.policy.target import Target
from fair_diffusion.policy.words import Word, phrase, spans, words

HOW = {"exact": 3, "synonym": 2, "kind": 1, "wildcard": 0}
"""The ways in which a rule's concept covers words of the prompt, and the rank of each."""

Rank = tuple[int, int, int]


class Losing(NamedTuple):
    """A rule that fits the prompt and does not act: the rule, the words for its worker, and why it loses."""

    rule: Rule
    concept: str
    why: str


class Stated(NamedTuple):
    """An identity that the prompt states: the attribute, the words as written, and whose it is ("doctor", "woman")."""

    attribute: str
    words: str
    whose: str


@dataclass(frozen=True)
class Match:
    """The rule that fires, with the targets that the prompt leaves open; or no rule, and the reason.

    Attributes:
        rule: None if no rule fires.
        targets: the rule's targets without those for attributes that the prompt states.
        concept: the prompt's words for the rule's concept, as written.
        how: "exact", "synonym", "kind" (a narrower word), "wildcard", "meaning" or "none".
        score: 1 for known words; for a match by meaning the cosine of the two meanings.
        reason: why this rule fires, or why none does.
        start: the character of the prompt at which `concept` begins.
        losing: the other rules that fit, for the same worker or for another one.
        unsure: what could be read in two ways, so that the rule stays silent about it; None if nothing could.
        stated: every identity that the prompt states, of the worker or of somebody else.
        nearest: the known occupation that is nearest in meaning to words of a prompt without a known word, and the
            cosine; None if it was not looked for.
        read_as: words of the prompt that were read as other words, such as ("docter", "doctor").
        said: the policy as its author wrote it.
    """

    rule: Rule | None
    targets: tuple[Target, ...]
    concept: str | None
    how: str
    score: float
    reason: str
    start: int | None = None
    losing: tuple[Losing, ...] = ()
    unsure: str | None = None
    stated: tuple[Stated, ...] = ()
    nearest: tuple[str, float] | None = None
    read_as: tuple[tuple[str, str], ...] = ()
    said: str = field(default="", compare=False, repr=False)


def match(policy: Policy, prompt: str) -> Match:
    """The rule of `policy` that fits `prompt` best, and the reason.

    Among several rules, words win over wildcards, the same word over a synonym, a synonym over a wider word, and more
    words over fewer. If all of that is equal, the earlier rule wins.
    """
    return replace(_fitting(policy, prompt), said=policy.text)


def _fitting(policy: Policy, prompt: str) -> Match:
    text = words(prompt)
    wanted = frozenset(phrase(c) for rule in policy.rules for c in rule.concepts)
    mentioned = mentions(text, wanted, people=True)
    fitting: list[tuple[Rank, Rule, Mention, str]] = [
        ((specific(concept), HOW[how], len(mention.words)), rule, mention, how)
        for mention in mentioned
        for rule in policy.rules
        for concept in rule.concepts
        if (how := _fits(concept, mention)) and not _excepted(rule, concept, mention)
    ]
    depicted = [found for found in fitting if not found[2].refused]
    if depicted:
        _, rule, mention, how = max(depicted, key=lambda found: found[0])
        return _restrained(policy, rule, mention, how, 1.0, prompt, text)
    if fitting:
        refused = fitting[-1][2]
        return _none(f"{' '.join(refused.words)!r}: {refused.refused}")
    if near := _by_meaning(policy, text, mentioned):
        rule, mention, score = near
        return _restrained(policy, rule, mention, "meaning", score, prompt, text)
    return _none("no rule is about what the prompt shows")


def _restrained(
    policy: Policy, rule: Rule, mention: Mention, how: str, score: float, prompt: str, text: Sequence[Word]
) -> Match:
    """The match, unless the prompt names a person, holds an exemption, or states all attributes of the targets."""
    if person := named_person(prompt, text):
        return _none(f"the prompt names a person: {person!r}")
    if exempt := _first_phrase(text, (*policy.exemptions, *rule.exemptions)):
        return _none(f"the exemption {exempt!r} applies")
    stated = {name: found for name in ATTRIBUTES if (found := stated_words(name, prompt, text, mention))}
    left = tuple(t for t in rule.targets if not stated.keys() & set(t.attributes))
    said = ", ".join(f"{name}: {found!r}" for name, found in stated.items())
    if not left:
        return _none(f"the prompt states {said}")
    start, stop = text[mention.first].start, text[mention.stop - 1].end
    shown = prompt[start:stop]
    reason = f"rule {rule.name!r} fires for {shown!r}" + (f"; the prompt states {said}" if said else "")
    return Match(rule, left, shown, how, score, reason, start)


def _by_meaning(
    policy: Policy, text: Sequence[Word], mentioned: Sequence[Mention]
) -> tuple[Rule, Mention, float] | None:
    """The rule with the concept that is nearest in meaning to some words of the prompt, those words, and the cosine.

    None if no concept is near enough.
    """
    taken = {i for mention in mentioned for i in range(mention.first, mention.stop)}
    rules = {canonical(c): rule for rule in reversed(policy.rules) for c in rule.concepts}
    found = nearest(text, [c for c in rules if c not in WILDCARDS], taken) if rules else None
    if found is None:
        return None
    concept, score, first, stop = found
    rule = rules.get(concept) or rules.get(EVERY_OCCUPATION) or rules.get(EVERYONE)
    if rule and concept not in rule.concepts and concept in map(canonical, rule.exceptions):
        return None
    return (rule, Mention(first, stop, tuple(w.normal for w in text[first:stop]), None), score) if rule else None


def _none(reason: str) -> Match:
    return Match(None, (), None, "none", 0.0, reason)


def _fits(concept: str, mention: Mention) -> str | None:
    """How a concept of a rule covers a mention (a key of `HOW`); None if it does not."""
    entry, words_of_rule = known().get(mention.words), phrase(concept)
    if words_of_rule == mention.words:
        return "exact"
    if concept == EVERYONE or (concept == EVERY_OCCUPATION and entry is not None):
        return "wildcard"
    target = known().get(words_of_rule)
    if entry and target and target.relation != "kind" and entry.occupation == target.occupation:
        return "kind" if entry.relation == "kind" else "synonym"
    return None


def _excepted(rule: Rule, concept: str, mention: Mention) -> bool:
    """Whether `concept` is a wildcard that, by the rule's exceptions, does not cover the mention."""
    return concept in WILDCARDS and any(_fits(exception, mention) for exception in rule.exceptions)


def _first_phrase(text: Sequence[Word], phrases: Sequence[str]) -> str | None:
    known_phrases = {phrase(p): p for p in phrases}
    for first, stop in spans(text, lambda p: p in known_phrases):
        return known_phrases[tuple(word.normal for word in text[first:stop])]
    return None
