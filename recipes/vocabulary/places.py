"""Peoples and places: WordNet's inhabitants, the adjectives that belong to a place, and the territories of babel."""

from __future__ import annotations

import re
from collections.abc import Iterable

from babel import Locale

from fair_diffusion.policy.words import Phrase, phrase, unaccented
from recipes.vocabulary.own import own
from recipes.vocabulary.wordnet import PERSON, PLACE, WordNet

PEOPLES = (
    *("inhabitant", "native", "person of color", "white", "amerindian", "slav", "semite", "hispanic", "eskimo"),
    "latino",
)
NOWHERE = frozenset(["ZZ", "EZ", "XA", "XB", "QO", "001"])
"""Codes of territories in CLDR that are no place on a map."""


def demonyms(wordnet: WordNet) -> tuple[list[Phrase], list[Phrase]]:
    """Words for a people, and those that are common words too and count only with a capital ("Polish")."""
    nouns, inside = wordnet.synsets("n"), wordnet.below(*PEOPLES)
    people = [nouns[offset] for offset in inside if nouns[offset].file == PERSON and not nouns[offset].instance]
    for adjective in wordnet.synsets("a").values():
        belongs = [nouns[offset] for offset in adjective.pertains if offset in nouns]
        if any(noun.file == PLACE or noun.offset in inside for noun in belongs):
            people.append(adjective)
    lemmas = {lemma.lower() for synset in people for lemma in synset.lemmas if lemma[:1].isupper()}
    lemmas -= set(own("no_peoples"))
    return _sorted([*own("peoples"), *(lemmas - wordnet.common)]), _sorted(own("capital_peoples"))


def countries(wordnet: WordNet) -> list[Phrase]:
    """Countries, continents and large regions."""
    names = [name for code, name in Locale("en").territories.items() if code not in NOWHERE]
    names += [*_instances(wordnet, ("country", "continent")), *own("countries")]
    return _sorted(part for name in names for part in _forms(name))


def territories(language: str) -> list[str]:
    """Countries and continents in a language, in one word without accents. The Arabic article is left out."""
    places = {name for code, name in Locale(language).territories.items() if code not in NOWHERE}
    parts = {part.strip() for name in places for part in name.lower().replace(")", "").split("(")}
    if language in {"zh", "ja"}:
        return sorted(part for part in parts if len(part) > 1 and not re.search(r"[\W\da-z]", part))
    words = {unaccented(part.removeprefix("ال")) for part in parts}
    return sorted(word for word in words if word.isalpha() and len(word) > 2)


def cities(wordnet: WordNet) -> list[Phrase]:
    """Cities, states and provinces that are no countries. A name that is a common word is left out ("Split")."""
    nations = {*countries(wordnet), phrase("united states")}
    names = [name for name in _instances(wordnet, ("city", "state", "town")) if name.lower() not in wordnet.common]
    found = _sorted([*names, *own("cities")])
    return [words for words in found if words not in nations and words[-1] not in {"capital", "state"}]


def _instances(wordnet: WordNet, tops: Iterable[str]) -> list[str]:
    nouns = wordnet.synsets("n")
    inside = {offset for offset in wordnet.below(*tops) if not nouns[offset].instance}
    return [
        lemma
        for synset in nouns.values()
        if synset.instance and inside.intersection(synset.above)
        for lemma in synset.lemmas
        if lemma[:1].isupper() and len(lemma) > 2
    ]


def _forms(name: str) -> list[str]:
    """A name, its parts, and the spelling with "saint" or "and": "Myanmar (Burma)" is two names."""
    parts = name.replace(")", "").replace("&", "and").split("(")
    return [part.replace("St.", spelt).strip() for part in parts for spelt in ("St.", "Saint")]


def _sorted(names: Iterable[str]) -> list[Phrase]:
    return sorted({words for name in names if (words := phrase(name))})
