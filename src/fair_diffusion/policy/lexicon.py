"""The words of a prompt that state an identity, whosever it is: "woman", "Black", "her", "beard"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import OSA

from fair_diffusion.policy.attributes import Attributes, built_in
from fair_diffusion.policy.concepts import known, lists
from fair_diffusion.policy.figures import in_place_name
from fair_diffusion.policy.named import famous
from fair_diffusion.policy.sentence import Sentence, grammar
from fair_diffusion.policy.tokens import MOST_KEPT
from fair_diffusion.policy.vocabulary import (
    capital_demonyms,
    cities,
    countries,
    demonyms,
    is_no_typo,
    misspelt_letters,
    surnames,
)
from fair_diffusion.policy.words import Phrase, phrase, spans

_COUNTED = re.compile(r"^\d{1,2}(?=[a-z])")
"""The number before a tag: "2girls"."""


_SKINNED = re.compile(r"(?:dark|light|brown|black|white|pale|fair|olive|tan|bronze|ebony|medium|deep)-?skin(?:ned)?")
_STRETCHED = re.compile(r"(.)\1{2,}")
FIGURES = str.maketrans("013457", "oleast")
"""The letters for which figures stand in "f3male" and "w0man"."""


class Entry(NamedTuple):
    """What one phrase states: the attribute, the kind of word (`attributes.yaml`), and the group, if it names one."""

    attribute: str
    kind: str
    group: str | None


class Found(NamedTuple):
    """A phrase of a prompt that states something: `text[first:stop]`, and what it states."""

    first: int
    stop: int
    entries: tuple[Entry, ...]

    def is_any(self, *kinds: str) -> bool:
        """Whether the phrase is of one of these kinds of words."""
        return any(entry.kind in kinds for entry in self.entries)


@lru_cache(maxsize=MOST_KEPT)
def _lexicon(attributes: Attributes) -> dict[Phrase, tuple[Entry, ...]]:
    """What each phrase states. A phrase to be ignored states nothing."""
    found: dict[Phrase, list[Entry]] = {}
    for name, attribute in attributes.items():
        for word, kind, group in attribute.stating:
            found.setdefault(phrase(word), []).append(Entry(name, kind, group))
        if attribute.peoples:
            for people in demonyms() | capital_demonyms():
                found.setdefault(people, []).append(Entry(name, "qualifiers", None))
    for attribute in attributes.values():
        for ignored in attribute.ignore:
            found[phrase(ignored)] = []
    return {words: tuple(dict.fromkeys(entries)) for words, entries in found.items()}


def _by_ending(words: Phrase) -> tuple[Entry, ...]:
    """What the ending of an unknown word states: "tradeswoman", "stuntman", "Balinese", "mahogany-skinned"."""
    word = words[0]
    if len(words) == 2 and words[1] in {"skinned", "complexioned", "complected"} and word not in grammar()["textures"]:
        return (Entry("skin_tone", "adjectives", None),)
    if len(words) == 1 and _SKINNED.fullmatch(word):  # "darkskin", "lightskinned"
        return (Entry("skin_tone", "adjectives", None),)
    if len(words) > 1 or len(word) < 6 or word in grammar()["endless"] or words in famous():
        return ()
    if word.endswith(("masculine", "feminine")):  # "hypermasculine"
        return (Entry("gender", "adjectives", "man" if word.endswith("masculine") else "woman"),)
    if word.endswith("woman"):
        return (Entry("gender", "nouns", "woman"),)
    if word.endswith("man") and word not in surnames():
        return (Entry("gender", "nouns", "man"),)
    return (Entry("skin_tone", "qualifiers", None),) if word.endswith("ese") else ()


def entries(sentence: Sentence, attributes: Attributes) -> list[Found]:
    """The places of phrases that state something."""
    lexicon = _lexicon(attributes)

    def key(words: Phrase) -> Phrase:
        if len(words) > 1:
            return words
        counted = _COUNTED.sub("", words[0])
        return (counted,) if (counted,) in lexicon or counted.isdigit() else (_disguised(counted),)

    found = []
    for first, stop in spans(sentence.text, lambda words: key(words) in lexicon or bool(_by_ending(words))):
        foreign = sentence.foreign and stop == first + 1 and sentence.low[first] in grammar()["english"]
        words = tuple(word.normal for word in sentence.text[first:stop])
        stated = lexicon.get(key(words)) or _by_ending(words)
        if words == ("black", "and", "white") and _are_people(sentence, stop):
            stated = lexicon[("black",)]
        if stated and not foreign and not _is_common(sentence, first, stop) and not in_place_name(sentence, stop):
            found.append(Found(first, stop, stated))
    return found


def _disguised(word: str) -> str:
    """A word without the figures and the repeated letters that disguise it: "f3male" and "femaleee" give "female"."""
    return _STRETCHED.sub(r"\1", word.translate(FIGURES)) if len(word) > 3 else word


def _is_common(sentence: Sentence, first: int, stop: int) -> bool:
    """Whether a word that names a people with a capital is a common word here: "nail polish", no "Polish chef"."""
    word = sentence.text[first]
    if stop > first + 1 or (word.normal,) not in capital_demonyms() or word.text[0].isupper():
        return False
    beside = sentence.joined(stop) and (sentence.text[stop].normal,) in known()
    return not beside


@lru_cache(maxsize=20_000)
def misspelt(word: str, worker: Phrase, attributes: Attributes) -> tuple[Entry, ...]:
    """What the word would state that `word`, in comparable form, was meant to be: "femal" gives what "female" states.

    The word is held to be misspelt under the conditions of `vocabulary.typo`; which word was meant may stay open. It
    states nothing where it is as near to a word that belongs to the `worker` behind it: "polise officer".
    """
    if any(OSA.distance(word, first, score_cutoff=1) <= 1 for first in _first_words().get(worker, ())):
        return ()
    most, lexicon = misspelt_letters(word), _lexicon(attributes)
    if not most or not word.isalpha() or (word,) in lexicon.keys() | countries() | cities() or is_no_typo(word):
        return ()
    near = process.extract(word, _targets(attributes).get(word[0], ()), scorer=OSA.distance, score_cutoff=most, limit=1)
    return lexicon[(near[0][0],)] if near else ()


@cache
def _first_words() -> dict[Phrase, list[str]]:
    """The words that begin a known phrase, by the rest of it: "police" before "officer"."""
    found: dict[Phrase, list[str]] = {}
    for words in known():
        if len(words) > 1:
            found.setdefault(words[1:], []).append(words[0])
    return found


@lru_cache(maxsize=MOST_KEPT)
def _targets(attributes: Attributes) -> dict[str, list[str]]:
    """The words as which a misspelt word may be read, by their first letter."""
    found: dict[str, list[str]] = {}
    for word in sorted(identity_words(attributes)):
        found.setdefault(word[0], []).append(word)
    return found


def identity_words(attributes: Attributes | None = None) -> frozenset[str]:
    """The long English words that state an identity of a person beside them."""
    return frozenset(
        words[0]
        for words, stated in _lexicon(attributes or built_in()).items()
        if len(words) == 1 and words[0].isascii() and words[0].isalpha() and misspelt_letters(words[0])
        if any(entry.kind in {"nouns", "adjectives", "qualifiers"} for entry in stated)
    )


def _are_people(sentence: Sentence, i: int) -> bool:
    """Whether "black and white" before word `i` is about people: "… heritage", "… nurses"."""
    if not sentence.joined(i):
        return False
    one = (sentence.text[i].normal,)
    several = sentence.low[i] != one[0] and (one in known() or one in lists()["people"])
    return several or sentence.low[i] in grammar()["descent"]


def adjectives_of(found: Iterable[Found]) -> dict[int, int]:
    """The first word of every adjective for people, and the word past it."""
    return {one.first: one.stop for one in found if one.is_any("adjectives", "qualifiers")}
