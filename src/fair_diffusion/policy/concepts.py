"""Concepts: the known occupations, their synonyms, and the places of a prompt that depict one.

The lists are data, in `concepts.yaml`. A word counts only if it means a person in the picture. "A doctor's bag", "pilot
episode", "judge a book" and "a robot chef" contain such words but depict no such person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from fair_diffusion.policy.attributes import read_data
from fair_diffusion.policy.words import Phrase, Word, phrase, spans

EVERY_OCCUPATION = "every occupation"
EVERYONE = "everyone"
WILDCARDS = (EVERY_OCCUPATION, EVERYONE)

Relation = Literal["name", "also", "kind", "gendered"]


@dataclass(frozen=True)
class Known:
    """The meaning of a known phrase.

    Attributes:
        occupation: the occupation.
        relation: how the phrase relates to it.
        language: of the phrase, such as "en" or "de".
        group: the gender that a "gendered" phrase states, "woman" or "man"; empty where the phrase may mean both, as
            the German "Arzt" does, so that it is unsure what the prompt states.
    """

    occupation: str
    relation: Relation
    language: str = "en"
    group: str = ""


@dataclass(frozen=True)
class Mention:
    """Words of a prompt that name a concept.

    Attributes:
        first, stop: the words are `text[first:stop]`.
        words: the known phrase that they stand for.
        refused: the reason why they depict no person; None if they depict one.
        read: the known words that a misspelt word was read as; None if it is spelt as known.
    """

    first: int
    stop: int
    words: Phrase
    refused: str | None
    read: str | None = None


@cache
def lists() -> dict[str, Any]:
    """The word lists of `concepts.yaml`: sets of comparable phrases, but "occupations" as it is in the file."""
    data: dict[str, Any] = read_data("concepts.yaml")
    plain = {name: frozenset(phrase(str(w)) for w in value) for name, value in data.items() if name != "occupations"}
    return {**plain, "occupations": data["occupations"]}


@cache
def known() -> dict[Phrase, Known]:
    """Every phrase for an occupation. A name takes precedence over a synonym, and a synonym over a kind."""
    found: dict[Phrase, Known] = {}
    keys: tuple[tuple[str, Relation], ...] = (("also", "also"), ("gendered", "gendered"), ("kinds", "kind"))
    for name in lists()["occupations"]:
        found[phrase(name)] = Known(name, "name")
    for key, relation in keys:
        for name, data in lists()["occupations"].items():
            for text in data.get(key, ()):
                found.setdefault(phrase(text), Known(name, relation))
    return found


def canonical(concept: str) -> str:
    """One name for all forms of a concept: "physicians" gives "doctor". Wildcards stay as they are."""
    if concept in WILDCARDS:
        return concept
    words = phrase(concept)
    entry = known().get(words)
    return entry.occupation if entry and entry.relation != "kind" else " ".join(words)


def mentions(text: Sequence[Word], extra: frozenset[Phrase], *, people: bool) -> list[Mention]:
    """The places where `text` names a concept. Where phrases overlap, the longest counts.

    Args:
        text: the words of a prompt.
        extra: phrases that count beside the known occupations.
        people: whether words for any person ("woman", "passenger") count too.
    """
    wanted = known().keys() | extra | (lists()["people"] if people else set())
    never = lists()["never"]
    found = []
    for first, stop in spans(text, lambda p: p in wanted or p in never):
        words = tuple(word.normal for word in text[first:stop])
        refused = "it is a fixed phrase" if words in never and words not in extra else refusal(text, first, stop)
        found.append(Mention(first, stop, words, refused))
    return found


def refusal(text: Sequence[Word], first: int, stop: int) -> str | None:
    """The reason, in plain words, why the words `first:stop` depict no person; None if they depict one."""
    before = [word.normal for word in text[max(0, first - 5) : first]]
    after = text[stop] if stop < len(text) else None
    follower = after.normal if after is not None and after.joined else None
    entry = known().get(tuple(word.normal for word in text[first:stop]))
    data = lists()["occupations"][entry.occupation] if entry else {}
    if text[stop - 1].possessive and (follower,) not in lists()["shown"]:
        return "it only says whose something is"
    if follower and not text[stop - 1].possessive and _makes_thing(follower, data):
        return f"'{follower}' follows, so a thing is meant"
    if data.get("verb") and _is_verb(text, first, before, follower):
        return "it is a verb here"
    nouns = [word for word in before if word not in {"a", "an", "the", "any", "single"}]
    if nouns and (nouns[-1],) in lists()["absent"]:
        return f"'{nouns[-1]}' says that there is none"
    if _is_animal(nouns):
        return "no human is meant"
    if data.get("maker") and "by" in nouns[-3:]:
        return "it names who made the picture"
    return None


def _makes_thing(follower: str, data: dict[str, Any]) -> bool:
    return (follower,) in lists()["things"] or phrase(follower) in {phrase(w) for w in data.get("not_before", ())}


def _is_verb(text: Sequence[Word], first: int, before: list[str], follower: str | None) -> bool:
    if first > 0 and text[first].joined and (before[-1],) in lists()["auxiliaries"]:
        return True
    determined = bool(before) and before[-1] in {
        "a",
        "an",
        "the",
        "of",
        "one",
        "two",
        "three",
        "every",
        "each",
    }
    return not determined and follower is not None and (follower,) in lists()["objects"]


def _is_animal(nouns: list[str]) -> bool:
    animals = lists()["animals"]
    if nouns and (nouns[-1],) in animals:
        return True
    if nouns[-1:] == ["of"] and len(nouns) > 1 and (nouns[-2],) in animals:
        return True
    return "as" in nouns and any((word,) in animals for word in nouns[: nouns.index("as")])
