"""The words that the package ships: occupations, peoples, places, names, nouns. `recipes/vocabulary` makes the lists.

Every list is a text file in `lists/`, one entry a line, in comparable form (`words.phrase`), and is read when it is
first asked for. NOTICE names the sources.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import OSA

Phrase = tuple[str, ...]

STATING: dict[str, dict[Phrase, str]] = {
    "fr": {("une",): "woman", ("la",): "woman", ("un",): "", ("le",): ""},
    "es": {("una",): "woman", ("la",): "woman", ("un",): "", ("el",): ""},
    "it": {("una",): "woman", ("la",): "woman", ("un",): "", ("il",): ""},
    "pt": {("uma",): "woman", ("a",): "woman", ("um",): "", ("o",): ""},
    "zh": {("女",): "woman", ("女性",): "woman", ("男",): "man", ("男性",): "man"},
}
STATING["ja"] = STATING["zh"] | {("女性", "の"): "woman", ("男性", "の"): "man"}
"""What states a gender before a word that fits all: "une dentiste" is a woman, and of "un dentiste" it is unsure."""
_SHORTEST, _LONG = 5, 9
"""Shorter words are never taken for misspelt; words of `_LONG` letters may have two wrong ones."""


class Occupation(NamedTuple):
    """What a shipped phrase for an occupation means.

    Attributes:
        name: the occupation.
        relation: "name", "also", "kind" or "gendered", as in `concepts.Known`.
        language: of the phrase, such as "en".
        group: the gender that a "gendered" phrase states; empty if it is unsure which.
        ambiguous: whether the word is a name or an English word too, so that it counts in its own language only.
    """

    name: str
    relation: str
    language: str = "en"
    group: str = ""
    ambiguous: bool = False


@cache
def occupations() -> dict[Phrase, Occupation]:
    """Every shipped phrase for an occupation, in all languages."""
    found: dict[Phrase, Occupation] = {}
    shared: list[str] = []
    for line in _lines("occupations.txt"):
        if line[0] == "[":
            shared = ["" if part == "-" else part for part in line[1:-1].split()]
            continue
        words, _, name = line.partition("=")
        language, relation, group, ambiguous = shared
        found[_phrase(words)] = Occupation(name or words, relation, language, group, bool(ambiguous))
    stated = {
        before + words: occupation._replace(relation="gendered", group=group)
        for words, occupation in found.items()
        if occupation.relation != "gendered"
        for before, group in STATING.get(occupation.language, {}).items()
    }
    return stated | found


@cache
def words_of_occupations(language: str) -> frozenset[str]:
    """Every word of the shipped phrases of one language."""
    return frozenset(word for words, known in occupations().items() if known.language == language for word in words)


@cache
def unbroken() -> frozenset[str]:
    """Chinese and Japanese words for an occupation, and those around them that matter: text there has no blanks."""
    return words_of_occupations("zh") | words_of_occupations("ja") | frozenset(_lines("unbroken.txt"))


@cache
def demonyms() -> frozenset[Phrase]:
    """Words for a people, as noun or adjective: "kenyan", "west african", "thai"."""
    return _phrases("demonyms.txt")


@cache
def capital_demonyms() -> frozenset[Phrase]:
    """Words for a people that are common words too, and count only with a capital: "polish", "turk"."""
    return _phrases("capital_demonyms.txt")


@cache
def countries() -> frozenset[Phrase]:
    """Countries, continents and large regions: "nigeria", "west africa"."""
    return _phrases("countries.txt")


@cache
def cities() -> frozenset[Phrase]:
    """Cities, states and provinces: "mumbai", "new york", "texas"."""
    return _phrases("cities.txt")


@cache
def territories(language: str) -> frozenset[str]:
    """Countries in another language, in one word without accents: "senegal", "marokko", "日本"."""
    found: dict[str, set[str]] = {}
    names: set[str] = set()
    for line in _lines("territories.txt"):
        if line[0] == "[":
            names = found.setdefault(line[1:-1], set())
        else:
            names.add(line)
    return frozenset(found.get(language, ()))


@cache
def first_names() -> dict[str, str]:
    """First names with "woman" or "man" where the sources agree on one, and "" where they do not."""
    found: dict[str, str] = {}
    gender = ""
    for line in _lines("first_names.txt"):
        if line[0] == "[":
            gender = line[1:-1].strip("-")
        else:
            found[line] = gender
    return found


@cache
def surnames() -> frozenset[str]:
    """Surnames of many countries. Some are common words too ("cook", "black")."""
    return frozenset(_lines("surnames.txt"))


@cache
def people() -> frozenset[Phrase]:
    """Words for a person that name no occupation: "neighbour", "customer", "grandmother"."""
    return _phrases("people.txt")


@cache
def artists_and_brands() -> frozenset[Phrase]:
    """Names that say a style or a make and nobody who is depicted: "frida kahlo", "ford mustang", "nobel prize"."""
    return _phrases("makes.txt")


@cache
def things() -> frozenset[str]:
    """Nouns that make a thing of an occupation before them: "salad", "jar", "university"."""
    return frozenset(_lines("things.txt"))


@cache
def nouns() -> frozenset[str]:
    """Words that are mostly a noun: `things`, and others such as "fire" and "brain"."""
    return things() | frozenset(_lines("nouns.txt"))


@cache
def verbs() -> frozenset[str]:
    """Those of `things` that may be a verb too: "plate", "bandage"."""
    return frozenset(_lines("verbs.txt"))


@cache
def ordinary() -> frozenset[str]:
    """English words and names that end like a word for a worker, and are none: "plaster", "bigger"."""
    return ordinary_words() | nouns() | surnames() | first_names().keys()


@cache
def ordinary_words() -> frozenset[str]:
    """Those of `ordinary` that are English, and neither nouns nor names."""
    return frozenset(_lines("ordinary.txt"))


@cache
def phrases_of_things() -> frozenset[Phrase]:
    """Phrases that hold a word for an occupation and name no person: "mason jar", "pilot whale"."""
    return _phrases("phrases_of_things.txt")


@lru_cache(maxsize=20_000)
def typo(word: str, *, noun: bool = False) -> str | None:
    """The word of an occupation that `word`, in comparable form, was meant to be: "docter" gives "doctor".

    Only long words are read so, with one wrong letter, or two in very long words, and never a word that is English, a
    name, or as near to another occupation that is as usual.

    Args:
        word: in comparable form.
        noun: whether it can only be a common noun. Then a name may be a misspelt usual occupation ("a gardner"), and a
            word of four letters may lack the fifth ("a pilt").
    """
    short, name = len(word) == _SHORTEST - 1, word in _names()
    most = misspelt_letters(word) or (1 if short and noun else 0)
    if not most or not word.isalpha() or word in _no_typos() or (name and (not noun or word in ordinary_words())):
        return None
    for targets in _targets()[: 1 if short or name else 2]:
        near = process.extract(word, targets.get(word[0], ()), scorer=OSA.distance, score_cutoff=most, limit=2)
        near = [found for found in near if not short or len(found[0]) == _SHORTEST]
        if near:
            known, unsure = near[0][1] == 0, len(near) > 1 and near[0][1] == near[1][1]
            return None if known or unsure else str(near[0][0])
    return None


def misspelt_letters(word: str) -> int:
    """How many letters of a word may be wrong if it is to be read as another: 0, 1 or 2."""
    return 0 if len(word) < _SHORTEST else 1 if len(word) < _LONG else 2


@cache
def _targets() -> tuple[dict[str, list[str]], ...]:
    """The words as which a misspelt word may be read, by their first letter: the usual ones, and rare ones."""
    usual: dict[str, list[str]] = {}
    rare: dict[str, list[str]] = {}
    for line in _lines("misspelt.txt"):
        word, _, mark = line.partition(" ")
        (rare if mark else usual).setdefault(word[0], []).append(word)
    return usual, rare


def is_no_typo(word: str) -> bool:
    """Whether a word is known, English or a name, so that it is never held to be misspelt."""
    return word in _no_typos() or word in _names() or word in ordinary()


@cache
def _no_typos() -> frozenset[str]:
    everywhere = frozenset(word for words in occupations() for word in words)
    return everywhere | nouns() | frozenset(_lines("no_typos.txt"))


@cache
def _names() -> frozenset[str]:
    return surnames() | first_names().keys()


def _phrases(name: str) -> frozenset[Phrase]:
    return frozenset(_phrase(line) for line in _lines(name))


def _phrase(text: str) -> Phrase:
    return tuple(text.split(" "))


def _lines(name: str) -> list[str]:
    text = resources.files("fair_diffusion.policy").joinpath("lists", name).read_text(encoding="utf-8")
    return text.splitlines()
