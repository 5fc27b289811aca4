"""Concepts: the known occupations and their synonyms.

The lists are data, in `concepts.yaml` and in the shipped `vocabulary`. `mentions.py` finds them in a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from fair_diffusion.policy import vocabulary
from fair_diffusion.policy.attributes import read_data
from fair_diffusion.policy.words import Phrase, phrase

EVERY_OCCUPATION = "every occupation"
EVERYONE = "everyone"
WILDCARDS = (EVERY_OCCUPATION, EVERYONE)

Relation = Literal["name", "also", "kind", "gendered"]
_RELATIONS: dict[str, Relation] = {"name": "name", "also": "also", "kind": "kind", "gendered": "gendered"}


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
    for words, shipped in vocabulary.occupations().items():
        found.setdefault(words, Known(shipped.name, _RELATIONS[shipped.relation], shipped.language, shipped.group))
    for words in lists()["heads"] | lists()["faced"]:
        found.setdefault(words, Known(" ".join(words), "name"))
    return found


def canonical(concept: str) -> str:
    """One name for all forms of a concept: "physicians" gives "doctor". Wildcards stay as they are."""
    if concept in WILDCARDS:
        return concept
    words = phrase(concept)
    entry = known().get(words)
    return entry.occupation if entry and entry.relation != "kind" else " ".join(words)
