"""Which rule a prompt triggers, and why; or why no rule fires.

The first question is what the prompt depicts: a concept by name, by a synonym, or by a narrower kind of it
(`concepts.mentions`), and by meaning only if no word is known (`meaning.nearest`). The second is restraint. If the
prompt states an identity, the targets for that attribute are dropped. A named person or an exemption stops the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from fair_diffusion.policy.attributes import Attributes, built_in
from fair_diffusion.policy.concepts import EVERY_OCCUPATION, EVERYONE, WILDCARDS, Mention, canonical, known
from fair_diffusion.policy.history import exempted, past
from fair_diffusion.policy.mentions import mentions
from fair_diffusion.policy.noun_phrase import Person, Same
from fair_diffusion.policy.reading import Reading
from fair_diffusion.policy.rules import Policy, Rule, specific
from fair_diffusion.policy.target import Target
from fair_diffusion.policy.words import Word, phrase, words

HOW = {"exact": 3, "synonym": 2, "kind": 1, "wildcard": 0}
"""The ways in which a rule's concept covers words of the prompt, and the rank of each."""

MOST_WORDS = 8_000
"""Words that are read, from the beginning of a prompt: more than any model reads, so that no prompt takes long."""

Nearest = tuple[str, float]
"""A concept and its cosine with words of the prompt."""


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
        words: the policy's words for groups, by language and group.
        hold: the attributes that the policy holds; None if it does not say.
        attributes: the definitions of all attributes.
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
    nearest: Nearest | None = None
    read_as: tuple[tuple[str, str], ...] = ()
    said: str = field(default="", compare=False, repr=False)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict, compare=False, repr=False)
    hold: tuple[str, ...] | None = field(default=None, compare=False, repr=False)
    attributes: Attributes = field(default_factory=built_in, compare=False, repr=False)


def match(policy: Policy, prompt: str, *, last: bool = False) -> Match:
    """The rule of `policy` that fits `prompt` best, and the reason.

    For one worker words win over wildcards, the same word over a synonym, and a synonym over a wider word; then the
    earlier rule wins. Of several workers the one with the more specific rule is steered, then the first one: a model
    draws one figure mostly, and that one stands first in a prompt.

    Args:
        policy: the rules.
        prompt: the prompt.
        last: whether no other prompt follows, so that nothing is loaded which this one does not need.
    """
    text = words(prompt)[:MOST_WORDS]
    wanted = frozenset(phrase(c) for rule in policy.rules for c in rule.concepts)
    reading = Reading(prompt, text, mentions(text, wanted, people=True), policy.attributes)
    best = {mention.words: _best(policy, mention) for mention in {m.words: m for m in reading.mentions}.values()}
    fitting = [fit._replace(mention=mention) for mention in reading.mentions if (fit := best[mention.words])]
    depicted = [fit for fit in fitting if not fit.mention.refused]
    if depicted:
        chosen = max(depicted, key=lambda fit: fit.rank[0])
        found = _restrained(policy, chosen, depicted, reading)
    elif fitting:
        refused = fitting[-1].mention
        found = _none(f"{' '.join(refused.words)!r}: {refused.refused}")
    else:
        near, nearest = _by_meaning(policy, text, reading.mentions, last)
        found = _none(_about_nothing(policy, prompt, text, reading.mentions))
        if near:
            anew = Reading(prompt, text, [*reading.mentions, near.mention], policy.attributes)
            found = _restrained(policy, near, [near], anew)
        found = replace(found, nearest=nearest)
    read = ((prompt[text[m.first].start : text[m.stop - 1].end], m.read) for m in reading.mentions if m.read)
    found = replace(found, said=policy.text, words=policy.words, hold=policy.hold, read_as=tuple(read))
    return replace(found, attributes=policy.attributes)


class Fit(NamedTuple):
    """A rule that covers a mention, how it does, and how well; `others` are further rules that cover it."""

    rule: Rule
    mention: Mention
    how: str
    rank: tuple[int, int]
    score: float = 1.0
    others: tuple[Rule, ...] = ()


def _best(policy: Policy, mention: Mention) -> Fit | None:
    """The rule that fits a mention best; None if none does."""
    fits = [
        Fit(rule, mention, how, (specific(concept), HOW[how]))
        for rule in policy.rules
        for concept in rule.concepts
        if (how := _fits(concept, mention)) and not _excepted(rule, concept, mention)
    ]
    if not fits:
        return None
    best = max(fits, key=lambda fit: fit.rank)
    others = dict.fromkeys(fit.rule.name for fit in fits if fit.rule != best.rule)
    return best._replace(others=tuple(rule for rule in policy.rules if rule.name in others))


def _restrained(policy: Policy, fit: Fit, depicted: Sequence[Fit], reading: Reading) -> Match:
    """The match, unless the prompt names a person, is exempt, or states all attributes of the targets."""
    rule, mention = fit.rule, fit.mention
    prompt, text = reading.sentence.prompt, reading.sentence.text
    worker = reading.worker(mention)
    start, stop = text[mention.first].start, text[mention.stop - 1].end
    shown = prompt[start:stop]
    said = reading.said(worker)
    facts = Match(
        None,
        (),
        None,
        "none",
        0.0,
        "",
        losing=_losing(fit, depicted, prompt, text),
        stated=tuple(
            dict.fromkeys(Stated(s.attribute, s.words, shown if s.same else s.whose) for s in said if s.same or s.whose)
        ),
    )
    if silent := _silenced(policy, rule, reading, worker, shown):
        reason, unsure = silent
        return replace(facts, reason=f"unsure: {unsure}" if unsure else reason, unsure=unsure)
    stated = {s.attribute: s.words for s in reversed(said) if s.same == Same.YES}
    doubts = {s.attribute: s.words for s in reversed(said) if s.same == Same.UNSURE and s.attribute not in stated}
    asked = {name for target in rule.targets for name in target.attributes}
    unsure = ", ".join(_doubt(name, found, shown) for name, found in doubts.items() if name in asked)
    left = tuple(t for t in rule.targets if not (stated.keys() | doubts.keys()) & set(t.attributes))
    told = [f"the prompt states {', '.join(f'{name}: {found!r}' for name, found in stated.items())}"] if stated else []
    told += [f"unsure: {unsure}"] if unsure else []
    facts = replace(facts, unsure=unsure or None)
    if not left:
        return replace(facts, reason="; ".join(told))
    reason = "; ".join([f"rule {rule.name!r} fires for {shown!r}", *told, *_told(facts.losing, shown)])
    return replace(
        facts, rule=rule, targets=left, concept=shown, how=fit.how, score=fit.score, reason=reason, start=start
    )


def _doubt(attribute: str, found: str, shown: str) -> str:
    """What could be read in two ways."""
    if found == shown:  # "Bäcker"
        return f"{attribute}: {found!r} may mean one gender alone or anybody"
    return f"{attribute}: {found!r} may be said of {shown!r}"


def _about_nothing(policy: Policy, prompt: str, text: Sequence[Word], mentioned: Sequence[Mention]) -> str:
    """Why no rule covers a prompt: it shows no worker, or workers that no rule is about or that one excepts."""
    reason = "no rule is about what the prompt shows"
    for mention in mentioned:
        if mention.words in known() and not mention.refused:
            shown = prompt[text[mention.first].start : text[mention.stop - 1].end]
            excepting = (r.name for r in policy.rules if any(_fits(e, mention) for e in r.exceptions))
            rule = next(excepting, None)
            return f"{reason}, {shown!r}" + (f": rule {rule!r} excepts it" if rule else "")
    return reason


def _silenced(
    policy: Policy, rule: Rule, reading: Reading, worker: Person, shown: str
) -> tuple[str, str | None] | None:
    """Why no target at all may act, and what is unsure about it; None if some may."""
    if named := reading.named(worker):
        name, same = named
        written = reading.sentence.written(name.first, name.stop)
        if same == Same.YES:
            return f"the prompt names a person: {written!r}", None
        return "", f"the prompt names a person, {written!r}, who may be {shown!r} or stand beside"
    if exempt := exempted(reading.sentence.text, (*policy.exemptions, *rule.exemptions)):
        return f"the exemption {exempt!r} applies", None
    if time := past(reading.sentence, worker):
        return f"{time!r} is a time that fixes who people were", None
    return None


def _losing(fit: Fit, depicted: Sequence[Fit], prompt: str, text: Sequence[Word]) -> tuple[Losing, ...]:
    """The rules that fit too, for the same worker and for others."""

    def shown(mention: Mention) -> str:
        return prompt[text[mention.first].start : text[mention.stop - 1].end]

    own = [Losing(rule, shown(fit.mention), f"rule {fit.rule.name!r} fits better") for rule in fit.others]
    first = fit.mention.first < min((o.mention.first for o in depicted if o.mention != fit.mention), default=10**9)
    why = f"{shown(fit.mention)!r} stands first" if first else f"rule {fit.rule.name!r} is more specific"
    others = {o.mention.words: o for o in reversed(depicted) if o.mention.words != fit.mention.words}
    workers = [o for o in reversed(list(others.values())) if _is_worker(o)]
    return (*own, *(Losing(o.rule, shown(o.mention), f"one figure is steered, and {why}") for o in workers))


def _is_worker(fit: Fit) -> bool:
    """Whether a fit is about an occupation or a concept of the rule itself, not about anybody."""
    return fit.mention.words in known() or fit.rank[0] == 2


def _told(losing: Sequence[Losing], shown: str) -> list[str]:
    """What a reason says of other workers."""
    others = ", ".join(repr(lost.concept) for lost in losing if lost.concept != shown)
    return [f"{shown!r} is steered, not {others}"] if others else []


def _by_meaning(
    policy: Policy, text: Sequence[Word], mentioned: Sequence[Mention], last: bool
) -> tuple[Fit | None, Nearest | None]:
    """The rule with the concept that is nearest in meaning to some words of the prompt; that concept and its cosine.

    None for the rule if the concept is not near enough, and twice if no word could be one for a worker.
    """
    from fair_diffusion.policy.meaning import NEAR, best  # here, since few prompts need the vectors

    taken = {i for mention in mentioned for i in range(mention.first, mention.stop)}
    rules = {canonical(c): rule for rule in reversed(policy.rules) for c in rule.concepts}
    found = best(text, [c for c in rules if c not in WILDCARDS], taken, ahead=not last) if rules else None
    if found is None:
        return None, None
    concept, score, first, stop = found
    rule = rules.get(concept) or rules.get(EVERY_OCCUPATION) or rules.get(EVERYONE)
    excepted = rule and concept not in rule.concepts and concept in map(canonical, rule.exceptions)
    if rule is None or excepted or score < NEAR:
        return None, (concept, score) if score > 0 else None  # below 0: nearer to a thing than to a person
    mention = Mention(first, stop, tuple(word.normal for word in text[first:stop]), None)
    return Fit(rule, mention, "meaning", (0, 0), score), (concept, score)


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
