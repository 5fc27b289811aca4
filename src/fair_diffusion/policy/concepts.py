"""Concepts: the occupations that the tool knows, their synonyms, and where a prompt depicts one.

The lists are data: `concepts.yaml`. A word counts only where it means a person who is in the picture: "a doctor's bag",
"pilot episode", "judge a book" and "a robot chef" hold the words without depicting the people.
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
    """What a known phrase means: the occupation and how the phrase relates to it."""

    occupation: str
    relation: Relation


@dataclass(frozen=True)
class Mention:
    """Words of a prompt that name a concept; `refused` says why they do not depict a person, if they do not."""

    first: int
    stop: int
    words: Phrase
    refused: str | None


@cache
def lists() -> dict[str, Any]:
    """The word lists of `concepts.yaml`; every list but the occupations as a set of comparable phrases."""
    data: dict[str, Any] = read_data("concepts.yaml")
    plain = {name: frozenset(phrase(str(w)) for w in value) for name, value in data.items() if name != "occupations"}
    return {**plain, "occupations": data["occupations"]}


@cache
def known() -> dict[Phrase, Known]:
    """Every phrase for an occupation. A name wins over a synonym, a synonym over a kind."""
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
    """One name for a concept, whatever its number or synonym: "physicians" -> "doctor"; wildcards stay."""
    if concept in WILDCARDS:
        return concept
    words = phrase(concept)
    entry = known().get(words)
    return entry.occupation if entry and entry.relation != "kind" else " ".join(words)


def mentions(text: Sequence[Word], extra: frozenset[Phrase], *, people: bool) -> list[Mention]:
    """Where `text` names an occupation or one of the `extra` phrases (or any person, with `people`); longest first."""
    wanted = known().keys() | extra | (lists()["people"] if people else set())
    never = lists()["never"]
    found = []
    for first, stop in spans(text, lambda p: p in wanted or p in never):
        words = tuple(word.normal for word in text[first:stop])
        refused = "it is a fixed phrase" if words in never and words not in extra else refusal(text, first, stop)
        found.append(Mention(first, stop, words, refused))
    return found


def refusal(text: Sequence[Word], first: int, stop: int) -> str | None:
    """Why the words `first:stop` do not depict a person, in plain words; None if they do."""
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
