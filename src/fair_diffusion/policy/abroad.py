"""Peoples and colours of skin that a prompt states in another language: "une infirmière noire", "黑人医生".

A word for a people is the stem of a country's name in that language with an ending ("Senegal", "sénégalais"), or one
of a short list (`abroad.yaml`). It counts beside a person ("ein schwarzer Arzt"), after a word for origin ("d'origine
marocaine") or as a country after "from" ("aus Nigeria"). English prompts are never read so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from fair_diffusion.policy.attributes import read_data
from fair_diffusion.policy.attribution import WHOEVER, Owner
from fair_diffusion.policy.noun_phrase import People, Person, Same
from fair_diffusion.policy.sentence import Sentence, grammar
from fair_diffusion.policy.vocabulary import territories
from fair_diffusion.policy.words import unaccented

_UNBROKEN = ("zh", "ja")
_STEPS = 1
"""The number of adjectives between a person and what is said of it, at most: "une infirmière souriante noire"."""
_REACH = 5
_BEFORE = 14
"""The characters before a word without blanks in which a people may stand."""
_ELIDED = re.compile(r"^(?:d|l|dell|all|un)'")
_LAST = {"de": re.compile(r"(?:land|ien|en|[aeiouy]+)$"), "ar": re.compile(r"(?:يا|[اةه])$")}
_VOWELS = re.compile(r"(?:[aeiouy]+|[ao]s)$")


class Abroad(NamedTuple):
    """The words `first:stop` that state a people or a colour of skin, and of whom."""

    first: int
    stop: int
    owner: Owner


def abroad(people: People, languages: Iterable[str]) -> Iterator[Abroad]:
    """What a prompt states in other languages than English.

    Args:
        people: of the prompt.
        languages: of the words for its workers, such as "fr".
    """
    s = people.sentence
    asked = set(languages) & word_lists().keys()
    if asked.intersection(_UNBROKEN):  # they share words for workers
        asked.update(_UNBROKEN)
    article = bool(len(s)) and s.low[0] in word_lists()["articles"] and not s.text[0].text.isupper()
    if s.foreign or article:
        asked |= {"de", "fr", "es", "it", "pt"}
    plain = [_ELIDED.sub("", unaccented(word)) for word in s.low] if asked else []
    for language in sorted(asked):
        yield from _unbroken(people, language) if language in _UNBROKEN else _spaced(people, plain, language)


def _spaced(people: People, plain: list[str], language: str) -> Iterator[Abroad]:
    """The statements in a language with blanks between words; `plain` are the words without accents."""
    s, words = people.sentence, word_lists()[language]
    for i, word in enumerate(plain):
        if (person := people.around(i)) and person.kind != "name":
            continue
        if word in words["skin"]:
            person = people.last_before(i)
            if person is not None and i - person.stop < _REACH:
                yield Abroad(i, i + 1, Owner(person, Same.UNSURE))
        elif word in territories(language):
            elided = "'" in s.low[i] or "’" in s.text[i].text
            link = i if elided else i - 1
            if elided or (s.joined(i) and s.low[link] in words["from"]):
                person = _beside(people, link, -1, words["steps"])
                if person is not None:
                    yield Abroad(i, i + 1, Owner(person, Same.YES))
        elif _peoples(language).fullmatch(word):
            around = [j for j in (i - 2, i - 1, i + 1) if 0 <= j < len(s)]
            if any(plain[j] in words["origin"] for j in around):
                person = people.last_before(i)
                yield Abroad(i, i + 1, Owner(person, Same.YES) if person else WHOEVER)
                continue
            person = _beside(people, i, -1, words["steps"]) or _beside(people, i, 1, words["steps"])
            if person is not None:
                yield Abroad(i, i + 1, Owner(person, Same.YES))
            elif any(plain[j] in words["people"] for j in around):
                yield Abroad(i, i + 1, Owner(None, Same.UNSURE))


def _beside(people: People, i: int, step: int, steps: list[str]) -> Person | None:
    """The person before (`step` -1) or after word `i`, with other adjectives between at most."""
    s = people.sentence
    for _ in range(_STEPS + 1):
        if not s.joined(i if step < 0 else i + 1):
            return None
        i += step
        if person := people.around(i):
            return person if person.kind != "name" else None
        if s.low[i] in steps:
            continue
        if _stops(s, i):
            return None
    return None


def _stops(s: Sentence, i: int) -> bool:
    return bool(s.classes[i]) or s.low[i] in grammar()["foreign"] or s.low[i] in word_lists()["stops"]


def _unbroken(people: People, language: str) -> Iterator[Abroad]:
    """The statements directly before a person, or behind "is", in a language without blanks."""
    s = people.sentence
    _, after = _around(language)
    for person in people.people:
        start, end = s.text[person.first].start, s.text[person.stop - 1].end
        if _ends_with_people(s.prompt[max(0, start - _BEFORE) : start], language) or after.match(s.prompt, end):
            yield Abroad(person.first, person.stop, Owner(person, Same.YES))


def _ends_with_people(before: str, language: str) -> bool:
    """Whether the text before a person ends with a people: "一位印度裔" before "工程师"."""
    names, links = _names(language), _around(language)[0]
    begins = _first_letters(language)
    for first in range(len(before)):
        if before[first] not in begins:
            continue
        if first and before[first - 1] in "在住":  # "a doctor who lives in Japan"
            continue
        for stop in range(len(before), first, -1):
            if before[first:stop] in names and links.fullmatch(before, stop):
                return True
    return False


@cache
def _names(language: str) -> frozenset[str]:
    return territories(language).union(word_lists()[language]["peoples"])


@cache
def _first_letters(language: str) -> frozenset[str]:
    return frozenset(name[0] for name in _names(language))


@cache
def _around(language: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What may stand between a people and a person, and what states a people behind one."""
    words = word_lists()[language]
    names = "|".join(map(re.escape, sorted(_names(language), key=len, reverse=True)))
    return re.compile(words["links"]), re.compile(f"{words['said']}(?:{names})")


@cache
def _peoples(language: str) -> re.Pattern[str]:
    """Every word for a people or a colour of skin, without accents."""
    words = word_lists()[language]
    stems = {_stem(name, language) for name in territories(language)}
    joined = "|".join(map(re.escape, sorted(stem for stem in stems if len(stem) > 2)))
    article = "(?:ال)?" if language == "ar" else ""
    return re.compile("|".join([*words["peoples"], f"{article}(?:{joined})(?:{words['endings']})"]))


def _stem(name: str, language: str) -> str:
    return _LAST.get(language, _VOWELS).sub("", name)


@cache
def word_lists() -> dict[str, Any]:
    """The word lists of `abroad.yaml`."""
    data: dict[str, Any] = read_data("abroad.yaml")
    return data
