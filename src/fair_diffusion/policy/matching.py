"""Which rule a prompt triggers, and why; or why none does.

First what the prompt depicts: by name, by another word for it, as a narrower kind of it (`concepts.mentions`), and
only if nothing is known, by meaning (`meaning.nearest`). Then restraint: an identity that the prompt states takes the
targets on that attribute away; a named person, or an exemption, stops a rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fair_diffusion.policy.attributes import ATTRIBUTES
from fair_diffusion.policy.concepts import EVERY_OCCUPATION, EVERYONE, WILDCARDS, Mention, canonical, known, mentions
from fair_diffusion.policy.meaning import nearest
from fair_diffusion.policy.named import named_person
from fair_diffusion.policy.rules import Policy, Rule, specific
from fair_diffusion.policy.target import Target
from fair_diffusion.policy.words import Word, phrase, spans, words

Found = tuple[float, int, Rule, Mention, str]
"""How well a rule fits, how many words it covers, the rule, the mention, and how it was found."""


@dataclass(frozen=True)
class Match:
    """The rule that fires, with the targets that the prompt leaves open; or no rule, and the reason.

    `concept` is the prompt's words for what the rule is about, as written; `how` is "exact", "synonym", "wildcard",
    "meaning" or "none"; `score` is 1 for words that are known, and the cosine of the meanings otherwise.
    """

    rule: Rule | None
    targets: tuple[Target, ...]
    concept: str | None
    how: str
    score: float
    reason: str


def match(policy: Policy, prompt: str) -> Match:
    """The most specific rule of `policy` for `prompt`; a rule for words wins over a wildcard, then the earlier one."""
    text = words(prompt)
    wanted = frozenset(phrase(c) for rule in policy.rules for c in rule.concepts)
    refused = None
    best: Found | None = None
    mentioned = mentions(text, wanted, people=True)
    for mention in mentioned:
        for rule in policy.rules:
            for concept in rule.concepts:
                how = _fits(concept, mention)
                if how is None:
                    continue
                if mention.refused:
                    refused = f"{' '.join(mention.words)!r}: {mention.refused}"
                    continue
                rank = (specific(concept), len(mention.words))
                if best is None or rank > best[:2]:
                    best = (*rank, rule, mention, how)
    if best is None and refused is None:
        best = _by_meaning(policy, text, mentioned)
    if best is None:
        return _none(refused or "no rule is about what the prompt shows")
    score, _, rule, mention, how = best
    person = named_person(text)
    if person:
        return _none(f"the prompt names a person: {person!r}")
    exempt = _first_phrase(text, (*policy.exemptions, *rule.exemptions))
    if exempt:
        return _none(f"the exemption {exempt!r} applies")
    stated = {name: found for name in ATTRIBUTES if (found := _stated(text, name, mention))}
    left = tuple(t for t in rule.targets if not stated.keys() & set(t.attributes))
    said = ", ".join(f"{name}: {found!r}" for name, found in stated.items())
    if not left:
        return _none(f"the prompt states {said}")
    shown = prompt[text[mention.first].start : text[mention.stop - 1].end]
    reason = f"rule {rule.name!r} fires for {shown!r}" + (f"; the prompt states {said}" if said else "")
    return Match(rule, left, shown, how, score if how == "meaning" else 1.0, reason)


def _by_meaning(policy: Policy, text: Sequence[Word], mentioned: Sequence[Mention]) -> Found | None:
    """The rule whose concept is nearest in meaning to some words of the prompt, if near enough."""
    taken = {i for mention in mentioned if mention.refused for i in range(mention.first, mention.stop)}
    rules = {canonical(c): rule for rule in reversed(policy.rules) for c in rule.concepts}
    found = nearest(text, [c for c in rules if c not in WILDCARDS], taken) if rules else None
    if found is None:
        return None
    concept, score, first, stop = found
    rule = rules.get(concept) or rules.get(EVERY_OCCUPATION) or rules.get(EVERYONE)
    mention = Mention(first, stop, tuple(word.normal for word in text[first:stop]), None)
    return (score, stop - first, rule, mention, "meaning") if rule else None


def _none(reason: str) -> Match:
    return Match(None, (), None, "none", 0.0, reason)


def _fits(concept: str, mention: Mention) -> str | None:
    """How a concept of a rule covers a mention; None if it does not."""
    entry, words_of_rule = known().get(mention.words), phrase(concept)
    if words_of_rule == mention.words:
        return "exact"
    if concept == EVERYONE or (concept == EVERY_OCCUPATION and entry is not None):
        return "wildcard"
    target = known().get(words_of_rule)
    if entry and target and target.relation != "kind" and entry.occupation == target.occupation:
        return "synonym"
    return None


def _stated(text: Sequence[Word], name: str, mention: Mention) -> str | None:
    """The words by which the prompt states attribute `name`; qualifiers count only just before the mention."""
    attribute = ATTRIBUTES[name]
    ignored = {phrase(p) for p in attribute.ignore}
    entry = known().get(mention.words)
    if name == "gender" and entry and entry.relation == "gendered":
        return " ".join(mention.words)
    for first, stop in spans(text, lambda p: p in attribute.stated_by or p in ignored):
        found = tuple(word.normal for word in text[first:stop])
        if found not in ignored:
            return " ".join(found)
    near = text[max(0, mention.first - 3) : mention.first]
    for first, stop in spans(near, lambda p: p in attribute.qualified_by):
        return " ".join(word.normal for word in near[first:stop])
    return None


def _first_phrase(text: Sequence[Word], phrases: Sequence[str]) -> str | None:
    known_phrases = {phrase(p): p for p in phrases}
    for first, stop in spans(text, lambda p: p in known_phrases):
        return known_phrases[tuple(word.normal for word in text[first:stop])]
    return None
