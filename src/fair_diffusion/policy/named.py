"""The names in a prompt that may be of somebody in the picture. No rule may change the picture of a particular person.

A name is known by lists of first names, surnames and famous people, in any case of letters; by a title ("Dr. Smith")
or "called"; and, if capitals tell anything in the prompt, by a capital. The last evidence is faint: such a name counts
only where it must be the worker's ("Pikachu as a doctor"). Left out are styles and makers ("in the style of Frida
Kahlo"), places ("in Florence"), works and things ("reading Shakespeare", "a Ford Mustang", "the Curie Institute").
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator
from functools import cache
from typing import NamedTuple

from fair_diffusion.policy.concepts import known, lists
from fair_diffusion.policy.noun_phrase import Gap, Sentence, grammar
from fair_diffusion.policy.vocabulary import (
    artists_and_brands,
    cities,
    countries,
    demonyms,
    first_names,
    people,
    surnames,
)
from fair_diffusion.policy.words import Phrase, spans

_LONGEST = 6


class Name(NamedTuple):
    """A name: `text[first:stop]`.

    Attributes:
        first, stop: the words.
        gender: the group of gender that the first name is usual for; None if it tells none.
        faint: whether it counts only where it must be the worker's.
    """

    first: int
    stop: int
    gender: str | None
    faint: bool


def names(sentence: Sentence, taken: Collection[int]) -> list[Name]:
    """Every name of a prompt that may be of somebody in the picture.

    Args:
        sentence: the words of the prompt.
        taken: the places of words that state an identity, which are no names.
    """
    finder = _Finder(sentence, taken)
    return [name for name in finder.names() if finder.may_show(name)]


class _Finder:
    def __init__(self, sentence: Sentence, taken: Collection[int]) -> None:
        self.s = sentence
        self.plain = [_plain(word) for word in sentence.low]
        self.places = frozenset(
            i
            for first, stop in spans(sentence.text, lambda p: p in _places() or (len(p) > 1 and p in known()))
            for i in range(first, stop)
        )
        self.makes = {
            i: (first, stop)
            for first, stop in spans(sentence.text, lambda p: p in artists_and_brands())
            for i in range(first, stop)
        }
        self.famous = dict(spans(sentence.text, lambda p: tuple(map(_plain, p)) in lists()["famous"]))
        self.taken = taken
        self.capitals_tell = sentence.capitals_tell

    def names(self) -> Iterator[Name]:
        i = 0
        while i < len(self.s):
            found = self._at(i)
            if found is None:
                i += 1
            else:
                yield found
                i = found.stop

    def _at(self, i: int) -> Name | None:
        """The name that begins at word `i`; None if none does."""
        s = self.s
        if i in self.famous:
            return Name(i, self._end(i, self.famous[i]), self._gender(i), self._is_make(i))
        single = (self.plain[i],) in lists()["surnames"] and self._capital(i)
        if single and i not in self.places:
            return Name(i, self._end(i, i + 1), self._gender(i), faint=self._is_make(i))
        before = s.word(i - 1) if self._joined(i) else ""
        if before in {"called", "named", "nicknamed"} and not s.classes[i]:
            return Name(i, self._end(i, i + 1), self._gender(i), faint=False)
        if (last := self._initials(i)) > i:
            return Name(i, self._end(last, last + 1), None, faint=False)
        if self._ordinary(i):
            return None
        capital = self._capital(i) or not self.capitals_tell
        stop = self._end(i, i + 1)
        titled = (before,) in lists()["titles"] and (
            self._first(i) or self._surname(i) or (self.capitals_tell and self._capital(i))
        )
        if titled and capital and i not in self.makes:
            return Name(i, stop, self._gender(i), faint=not (self._first(i) or s.word(i - 1) in _TITLES))
        if self._first(i) and i not in self.places:
            wordlike = self.plain[i] in grammar()["wordlike"]
            sure = (
                stop > i + 1
                or (not wordlike and capital)
                or (wordlike and self._capital(i) and self.capitals_tell and s.gaps[i] != Gap.STOP)
            )
            lower = not self._capital(i) and self.capitals_tell and stop == i + 1 and s.gaps[i] != Gap.STOP
            if sure or lower:
                return Name(i, stop, self._gender(i), faint=self._is_make(i) or lower or (wordlike and stop == i + 1))
        if i in self.makes:
            first, last = self.makes[i]
            return Name(first, last, self._gender(first), faint=True) if first == i else None
        if i in self.places:
            return None
        if self.capitals_tell and self._capital(i) and not s.low[i].endswith("ing"):
            return Name(i, stop, None, faint=True)
        if not s.joined(i) and self._acts(i + 1) and self.plain[i] not in grammar()["bare"] and len(self.plain[i]) > 2:
            return Name(i, i + 1, None, faint=True)
        return None

    def may_show(self, name: Name) -> bool:
        """Whether the person of a name may be in the picture: it names no place, style, work or thing."""
        s, g = self.s, grammar()
        before = name.first - 1 if s.joined(name.first) else -1
        word = s.word(before) if before >= 0 else ""
        if s.text[name.stop - 1].possessive:
            return s.word(name.stop) in g["bodies"]
        if word == "the" and before > 0 and s.joined(before):
            word = s.word(before - 1) if s.class_of(before - 1) == "prepositions" else word
        if word == "by" and s.word(before - 1) not in {"played", "portrayed"}:
            return False
        if word == "after" or (word in {"by", "of"} and s.word(before - 1) in g["manner"]):
            return False
        if (word,) in lists()["locations"] and word not in {"by", "near", "to"}:
            return False
        if word in g["works"]:
            return False
        follows = name.stop if s.joined(name.stop) else -1
        following = s.word(follows) if follows >= 0 else ""
        if following in g["named_things"] - {"and"} or (
            (s.text[follows].normal,) in lists()["place_ends"] and follows >= 0
        ):
            return False
        if word in {"a", "an"} and not (follows >= 0 and (s.classes[follows] or (s.text[follows].normal,) in known())):
            return False
        if word in {"a", "an", "the", "this", "her", "his", "my"} and name.faint:
            return False
        if (s.text[name.stop - 1].normal,) in lists()["place_ends"] or (s.text[name.first].normal,) in lists()[
            "place_starts"
        ]:
            return not name.faint and (s.text[name.first].normal,) not in lists()["place_starts"]
        # "Florence, Italy"
        return not (name.stop < len(s) and s.gaps[name.stop] == Gap.COMMA and name.stop in self.places)

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
            if not self._joined(i) or s.text[i - 1].possessive:
                break
            if (self.plain[i],) in lists()["particles"]:
                continue
            if self._ordinary(i) and not (self.plain[i] in surnames() and self._capital(i) and i not in self.taken):
                break
            capital = self._capital(i) and self.capitals_tell
            known_name = (self._surname(i) or self._first(i)) and (
                not self.capitals_tell or self._capital(i) or not self._capital(first)
            )
            if not capital and not known_name:
                break
            last = i + 1
        return last

    def _first(self, i: int) -> bool:
        return self.plain[i] in first_names()

    def _surname(self, i: int) -> bool:
        return self.plain[i] in surnames() and (
            self.plain[i] not in grammar()["wordlike"] or self.plain[i - 1] in _clear_first_names()
        )

    def _gender(self, i: int) -> str | None:
        return first_names().get(self.plain[i]) or None

    def _is_make(self, i: int) -> bool:
        return i in self.makes

    def _capital(self, i: int) -> bool:
        return self.s.capital(i)

    def _initials(self, i: int) -> int:
        """Past the initials at word `i` ("J.K. Rowling"); `i` if no name follows there."""
        s, stop = self.s, i
        while (
            stop < min(i + 4, len(s))
            and s.text[stop].text.isupper()
            and len(s.low[stop]) == 1
            and (stop == i or s.joined(stop))
        ):
            stop += 1
        return stop if self.capitals_tell and s.joined(stop) and self._capital(stop) else i

    def _joined(self, i: int) -> bool:
        return self.s.joined(i)

    def _ordinary(self, i: int) -> bool:
        """Whether a word is no name: it has a class, states an identity, or is a usual word for people."""
        s = self.s
        one = (s.text[i].normal,)
        if s.classes[i] not in {"", "verbs"} or i in self.taken or not s.low[i][0].isalpha():
            return True
        if s.foreign and s.low[i] in grammar()["foreign"]:
            return True
        return (
            one in known()
            or one in lists()["people"]
            or one in people()
            or one in lists()["shown"]
            or s.low[i] in _FRAME
        )


_TITLES = frozenset(
    ["dr", "mr", "mrs", "ms", "prof", "capt", "sgt", "lt", "president", "pope", "king", "queen", "prince", "princess"]
)
_FRAME = frozenset(
    [
        "my",
        "close",
        "draw",
        "show",
        "painting",
        "drawing",
        "photo",
        "photograph",
        "photorealistic",
        "portrait",
        "picture",
        "image",
        "illustration",
    ]
)


def _plain(word: str) -> str:
    """A word without accents: "beyoncé" gives "beyonce"."""
    if word.isascii():
        return word
    return "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))


@cache
def _clear_first_names() -> frozenset[str]:
    return frozenset(name for name in first_names() if name not in grammar()["wordlike"])


@cache
def _places() -> frozenset[Phrase]:
    """Places, and words for peoples."""
    return frozenset().union(lists()["places"], countries(), cities(), demonyms())
