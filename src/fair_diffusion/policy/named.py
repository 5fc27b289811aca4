"""The names in a prompt that may be of somebody in the picture. No rule may change the picture of a particular person.

A name is known by lists of first names, surnames and famous people, in any case of letters; by a title ("Dr. Smith")
or "called"; and, if capitals tell anything in the prompt, by a capital. The last evidence is faint: such a name counts
only where it must be the worker's ("Pikachu as a doctor"). Left out are styles and makers ("in the style of Frida
Kahlo"), places ("in Florence"), works and things ("reading Shakespeare", "a Ford Mustang", "the Curie Institute").
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from typing import NamedTuple

from fair_diffusion.policy.attributes import read_data
from fair_diffusion.policy.concepts import known, lists
from fair_diffusion.policy.sentence import Gap, Sentence, grammar
from fair_diffusion.policy.vocabulary import (
    artists_and_brands,
    cities,
    countries,
    demonyms,
    first_names,
    nouns,
    people,
    surnames,
    things,
    verbs,
)
from fair_diffusion.policy.words import Phrase, first_words, phrase, spans, unaccented

_LONGEST = 6


class Name(NamedTuple):
    """A name: `text[first:stop]`.

    Attributes:
        first, stop: the words.
        gender: the group of gender that the first name is usual for; None if it tells none.
        faint: whether it counts only where it must be the worker's.
        shown: whether it may be of somebody in the picture, and not of a place, a style, a work or a thing.
    """

    first: int
    stop: int
    gender: str | None
    faint: bool
    shown: bool = True


def names(sentence: Sentence, taken: Collection[int]) -> list[Name]:
    """Every name of a prompt.

    Args:
        sentence: the words of the prompt.
        taken: the places of words that state an identity, which are no names.
    """
    finder = _Finder(sentence, taken)
    return [name._replace(shown=finder.may_show(name)) for name in finder.names()]


class _Finder:
    def __init__(self, sentence: Sentence, taken: Collection[int]) -> None:
        self.s = sentence
        self.taken = taken
        self.plain = [unaccented(word) for word in sentence.low]
        self._accentless = all(unaccented(word.normal) == word.normal for word in sentence.text)
        self.places = self._words_of(_places())
        self.workers = self._words_of(_long_workers())
        self.makes = {i: span for span in self._spans(artists_and_brands()) for i in range(*span)}
        self.towns = {first: stop for first, stop in self._spans(_towns()) if stop > first + 1}
        self.famous = dict(self._spans(famous()))

    def _spans(self, phrases: frozenset[Phrase]) -> Iterator[tuple[int, int]]:
        if self._accentless:
            return spans(self.s.text, phrases.__contains__, begins=first_words(phrases))
        return spans(self.s.text, lambda words: words in phrases or tuple(map(unaccented, words)) in phrases)

    def _words_of(self, phrases: frozenset[Phrase]) -> frozenset[int]:
        return frozenset(i for span in self._spans(phrases) for i in range(*span))

    def names(self) -> Iterator[Name]:
        """The names of the prompt, whomever or whatever they name."""
        i = 0
        while i < len(self.s):
            found = self._at(i)
            yield from [found] if found else []
            i = found.stop if found else i + 1

    def _at(self, i: int) -> Name | None:
        """The name that begins at word `i`; None if none does."""
        s, capital = self.s, self.s.capital(i)
        before = s.word(i - 1) if s.joined(i) else ""
        if s.prompt.endswith("--", 0, s.text[i].start):  # "--chaos 20"
            return None
        if i in self.towns:
            return Name(i, self.towns[i], None, faint=False)
        if i in self.famous:
            return Name(i, self._end(i, self.famous[i]), self._gender(i), i in self.makes)
        if i in self.makes and self.makes[i][1] > i + 1 and self.makes[i][0] == i:
            return Name(i, self.makes[i][1], self._gender(i), faint=True)
        if capital and i not in self.places and (self.plain[i],) in lists()["surnames"]:
            return Name(i, self._end(i, i + 1), self._gender(i), i in self.makes)
        if before in {"called", "named", "nicknamed"} and not s.classes[i]:
            return Name(i, self._end(i, i + 1), self._gender(i), faint=False)
        if s.low[i] in _SHORT_TITLES and s.joined(i + 1) and (named := self._titled(i + 1)):
            return named._replace(first=i)
        if (last := self._initials(i)) > i:
            return Name(i, self._end(last, last + 1), None, faint=False)
        if capital and (named := self._surnamed(i)):
            return named
        if self._ordinary(i):
            return None
        return self._titled(i) or self._listed(i) or self._faint(i)

    def _titled(self, i: int) -> Name | None:
        """The name behind a title at word `i`: "Dr. Smith", "Chef Ramsay"."""
        s, before = self.s, self.s.word(i - 1)
        if i in self.makes or i in self.places or not self._is_titled(i):
            return None
        listed = (self._first(i) or self._surname(i)) and (s.capital(i) or not self._wordlike(i))
        odd = self.s.capital(i) and not _is_english(s.text[i].normal)
        if not (odd or (listed and (s.capital(i) or not s.capitals_tell))):
            return None
        return Name(i, self._end(i, i + 1), self._gender(i), faint=not (self._first(i) or before in _TITLES))

    def _surnamed(self, i: int) -> Name | None:
        """The name behind a title that is a usual word or a place too: "aunt May", "Detective Colombo"."""
        s = self.s
        if not self._is_titled(i) or (s.joined(i - 1) and s.low[i - 2] in {"a", "an"}):
            return None
        told = s.capitals_tell or not s.text[i - 1].text[0].isupper()
        place = i in self.places and s.capital(i - 1)
        listed = place or self._first(i) or self._wordlike(i) or self.plain[i] in surnames()
        if not (told and listed) or (s.joined(i + 1) and self._is_person(i + 1)):
            return None
        return Name(i, self._end(i, i + 1), self._gender(i), faint=False)

    def _is_titled(self, i: int) -> bool:
        """Whether a title or a word for a relative stands directly before word `i`."""
        before = self.s.word(i - 1)
        return self.s.joined(i) and (before in _lists()["kin"] or (before,) in lists()["titles"])

    def _is_person(self, i: int) -> bool:
        """Whether word `i` is a word for people: a worker, or "woman"."""
        one = (self.s.text[i].normal,)
        return i in self.taken or one in known() or one in lists()["people"] or one in people()

    def _listed(self, i: int) -> Name | None:
        """The name that begins with a first name at word `i`."""
        s = self.s
        if not self._first(i) or i in self.places or i in self.workers:
            return None
        stop, wordlike = self._end(i, i + 1), self._wordlike(i)
        if stop > i + 1:
            return Name(i, stop, self._gender(i), i in self.makes)
        if wordlike:
            told = s.capital(i) and s.capitals_tell and s.gaps[i] != Gap.STOP
            return Name(i, stop, self._gender(i), faint=True) if told else None
        small = s.capitals_tell and not s.capital(i)
        if (s.foreign and not s.capital(i)) or (small and s.gaps[i] == Gap.STOP):
            return None
        return Name(i, stop, self._gender(i), faint=small or i in self.makes)

    def _faint(self, i: int) -> Name | None:
        """A name that only a capital tells, or only its place: "pikachu as a doctor"."""
        s = self.s
        if i in self.makes:
            first, stop = self.makes[i]
            return Name(first, stop, self._gender(first), faint=True) if first == i else None
        if i in self.places or i in self.workers or (s.low[i],) in lists()["titles"]:
            return None
        if s.capitals_tell and s.capital(i) and not s.low[i].endswith("ing"):
            return Name(i, self._end(i, i + 1), None, faint=True)
        if not s.joined(i) and self._acts(i + 1) and self.plain[i] not in _lists()["bare"] and len(self.plain[i]) > 2:
            return Name(i, i + 1, None, faint=True)
        return None

    def may_show(self, name: Name) -> bool:
        """Whether the person of a name may be in the picture: it names no place, style, work or thing."""
        s = self.s
        if name.first in self.towns:
            return False
        if s.text[name.stop - 1].possessive:
            return s.word(name.stop) in grammar()["bodies"]
        if self._is_behind_maker(name) or self._is_thing(name):
            return False
        ends, starts = (s.text[name.stop - 1].normal,), (s.text[name.first].normal,)
        alone = name.stop == name.first + 1 and self._is_titled(name.first)  # "Judge Black"
        begins = starts in lists()["place_starts"] and name.first not in self.famous and not alone
        place = ends in lists()["place_ends"] and (name.faint or ends[0] not in surnames())
        if begins or place:
            return False
        return not (
            name.stop < len(s) and s.gaps[name.stop] == Gap.COMMA and name.stop in self.places
        )  # "Florence, Italy"

    def _is_behind_maker(self, name: Name) -> bool:
        """Whether the word before a name says that it names a maker, a place or a work."""
        s = self.s
        if not s.joined(name.first):
            return False
        before = name.first - 1
        if (s.low[before],) in lists()["titles"] and s.joined(before):  # "on the Queen Mary"
            before -= 1
        if s.low[before] == "the" and s.class_of(before - 1) == "prepositions" and s.joined(before):
            before -= 1
        word = s.low[before]
        if word == "by":
            return s.word(before - 1) not in {"played", "portrayed"}
        if word == "after" or (word == "of" and s.word(before - 1) in _lists()["manner"]):
            return True
        return ((word,) in lists()["locations"] and word not in {"near", "to"}) or word in _lists()["works"]

    def _is_thing(self, name: Name) -> bool:
        """Whether the words around a name say that it names a thing: "a Ford Mustang", "Rembrandt lighting"."""
        s = self.s
        before = s.low[name.first - 1] if s.joined(name.first) else ""
        goes_on = s.joined(name.stop)
        called = before in {"called", "named"} and s.word(name.first - 2) in things()
        if called:  # "a ship named Queen Elizabeth"
            return True
        person = goes_on and (s.classes[name.stop] != "" or self._ordinary(name.stop))
        if goes_on and not person:
            following = s.text[name.stop].normal
            if s.low[name.stop] in _lists()["named_things"] or (following,) in lists()["place_ends"]:
                return True
            acts = s.low[name.stop].endswith("ing") or (s.low[name.stop] != following and following in verbs())
            if following in things() and not acts:
                return True
        if before in {"a", "an", "the"} and not person:
            return True
        if before and s.text[name.first - 1].possessive and name.first in self.makes:  # "a nurse's Mercedes"
            return True
        if self._has_make_before(name):
            return True
        return name.faint and before in {"a", "an", "the", "this", "her", "his", "my"}

    def _has_make_before(self, name: Name) -> bool:
        """Whether an article and other capitals make a thing of a name: "an Alfa Romeo Giulia"."""
        s, i = self.s, name.first
        while s.joined(i) and name.first - i < _LONGEST and s.capital(i - 1) and not self._ordinary(i - 1):
            i -= 1
        return s.capitals_tell and i < name.first and s.joined(i) and s.low[i - 1] in {"a", "an"}

    def _acts(self, i: int) -> bool:
        """Whether "as a doctor", "dressed as a doctor" or "the builder" may follow at word `i`."""
        s = self.s
        if s.joined(i) and s.low[i] in {"dressed", "working", "posing", "acting", "depicted", "cosplaying"}:
            i += 1
        if not s.joined(i) or not s.joined(i + 1):
            return False
        return s.low[i] == "as" or (s.low[i] == "the" and (s.text[i + 1].normal,) in known())

    def _end(self, first: int, stop: int) -> int:
        """Past the last word of the name that begins with the words `first:stop`: surnames, capitals, particles."""
        s, last = self.s, stop
        for i in range(stop, min(first + _LONGEST, len(s))):
            if not s.joined(i) or s.text[i - 1].possessive:
                break
            if (self.plain[i],) in lists()["particles"]:
                continue
            told = s.capital(i) and s.capitals_tell
            surname = (self.plain[i] in surnames() or self.plain[i] in _lists()["last"]) and s.capital(i)
            if self._ordinary(i) and not (surname and (i not in self.taken or self._first(i - 1))):
                break
            small = not s.capitals_tell or s.capital(i) or not s.capital(first)
            if not told and not ((self._surname(i) or self._first(i)) and small):
                break
            last = i + 1
        return last

    def _first(self, i: int) -> bool:
        return any(
            form in first_names() or form in _lists()["first"] for form in (self.plain[i], self.s.text[i].normal)
        )

    def _surname(self, i: int) -> bool:
        forms = (self.plain[i], self.s.text[i].normal)
        if self.plain[i] in _lists()["last"]:
            return True
        clear = self.plain[i] not in _lists()["wordlike"]
        return any(form in surnames() for form in forms) and (clear or self.plain[i - 1] in _clear_first_names())

    def _wordlike(self, i: int) -> bool:
        """Whether word `i` is no name by itself in small letters."""
        return not _lists()["wordlike"].isdisjoint((self.plain[i], self.s.text[i].normal))

    def _gender(self, i: int) -> str | None:
        return first_names().get(self.plain[i]) or first_names().get(self.s.text[i].normal) or None

    def _initials(self, i: int) -> int:
        """Past the initials at word `i` ("J.K. Rowling"); `i` if no name follows there."""
        s, stop = self.s, i
        while stop < min(i + 4, len(s)) and len(s.low[stop]) == 1 and s.text[stop].text.isupper():
            stop += 1
            if not s.joined(stop):
                return i
        return stop if stop < len(s) and s.capitals_tell and s.capital(stop) else i

    def _ordinary(self, i: int) -> bool:
        """Whether a word is no name: it has a class, states an identity, or is a usual word for people."""
        s = self.s
        one = (s.text[i].normal,)
        if s.classes[i] not in {"", "verbs"} or i in self.taken or not s.low[i][0].isalpha():
            return True
        if s.foreign and s.low[i] in grammar()["foreign"]:
            return True
        listed = one in known() or one in lists()["people"] or one in people() or one in lists()["shown"]
        return listed or s.low[i] in _FRAME


_SHORT_TITLES = frozenset("dr mr mrs ms prof capt sgt lt".split())
_TITLES = _SHORT_TITLES | frozenset("president pope king queen prince princess".split())
_FRAME = frozenset(
    "my close draw show painting drawing photo photograph photorealistic portrait picture image illustration".split()
)


def _is_english(word: str) -> bool:
    """Whether a word may be an English one, such as a verb after a worker in a title: "Doctor Standing"."""
    return (
        word in nouns() or word in verbs() or word.endswith(("ing", "ed", "ly", "ful", "ous", "al", "ic", "ive", "y"))
    )


@cache
def _lists() -> dict[str, frozenset[str]]:
    return {name: frozenset(str(word) for word in listed) for name, listed in read_data("names.yaml").items()}


@cache
def _clear_first_names() -> frozenset[str]:
    return frozenset(name for name in first_names() if name not in _lists()["wordlike"]) | _lists()["first"]


@cache
def _long_workers() -> frozenset[Phrase]:
    return frozenset(words for words in known() if len(words) > 1)


@cache
def famous() -> frozenset[Phrase]:
    """Names that are one person or character, in any case of letters."""
    return frozenset().union(lists()["famous"], map(phrase, _lists()["characters"]))


@cache
def _towns() -> frozenset[Phrase]:
    """Places whose names may hold other words: "Prince Edward Island", "Virginia Beach"."""
    return frozenset(words for words in countries() | cities() if len(words) > 1)


@cache
def _places() -> frozenset[Phrase]:
    """Places, and words for peoples."""
    return frozenset().union(lists()["places"], countries(), cities(), demonyms())
