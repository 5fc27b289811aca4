"""Every statement of an identity in a prompt, and of whom it is made."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from fair_diffusion.policy.abroad import abroad
from fair_diffusion.policy.attributes import Attributes
from fair_diffusion.policy.attribution import (
    NOBODY,
    UNSURE,
    WHOEVER,
    Owner,
    of_adjective,
    of_belonging,
    of_feature,
    of_origin,
)
from fair_diffusion.policy.concepts import Mention, known
from fair_diffusion.policy.lexicon import Entry, Found, adjectives_of, misspelt
from fair_diffusion.policy.noun_phrase import People, Same
from fair_diffusion.policy.sentence import grammar
from fair_diffusion.policy.vocabulary import cities, countries
from fair_diffusion.policy.words import first_words, spans

_SIGNS = re.compile(r"(?P<woman>[♀👩👧👵👸🧕🤰🤱💃🤶👰])|(?P<man>[♂👨👦👴🤴🧔🎅🕺🕴🤵])|[🏻🏼🏽🏾🏿]|(?P<flag>[🇦-🇿]{2})")
_TONES = dict(zip("🏻🏼🏽🏾🏿", ("light", "medium-light", "medium", "medium-dark", "dark"), strict=True))
_LETTER = re.compile(
    r"(?:[(\[]|[,|/] |^)(?:(?P<woman>f)|(?P<man>m))(?=[)\],|]|/(?! ?\d)|$)"  # "nurse, f", and not "nurse, f/2.8"
    r"|\b\d\d ?(?:yo ?|/)?(?:(?P<woman_>F)|(?P<man_>M))\b",
    re.IGNORECASE,
)


_PARTS = frozenset(["rural", "southern", "northern", "eastern", "western", "south", "north", "east", "west", "central"])
_BORN = frozenset(
    "born raised native natives citizen up roots root origins ancestry heritage ancestors family relatives".split()
)
_NATIVE = frozenset(["born", "raised", "bred", "native", "national", "citizen"])
_LEFT = frozenset(["from", "out", "fled", "escaped", "fleeing", "escaping"])
_HOLDING = frozenset(["with", "in", "wearing", "w"])
"""What stands before something that a person has."""
_BESIDE = 3
"""The number of words before a worker among which a misspelt one is looked for."""


class Statement(NamedTuple):
    """Words that state an attribute: where they begin, what they say, and of whom.

    `pronoun` holds for words such as "her", whose owner depends on the worker that is asked about.
    """

    first: int
    words: str
    attribute: str
    group: str | None
    owner: Owner
    pronoun: bool = False


class Finder:
    """Finds the statements of one prompt.

    Args:
        people: of the prompt.
        mentioned: the mentions that depict people, by their first word and the word past them.
    """

    def __init__(self, people: People, mentioned: Mapping[tuple[int, int], Mention], attributes: Attributes) -> None:
        self.attributes = attributes
        self.people = people
        self.sentence = people.sentence
        self.mentioned = mentioned

    def statements(self, stating: Sequence[Found]) -> Iterator[Statement]:
        """The statements, given every phrase that states something."""
        s = self.sentence
        adjectives = adjectives_of(stating)
        for first, stop, found in stating:
            shown = stop + 1 if s.joined(stop) and s.low[stop] in grammar()["descent"] else stop  # "Asian descent"
            words = s.written(first, shown)
            for entry in self._meant(found, first, stop):
                owner = self._owner(entry, first, stop, adjectives)
                yield Statement(first, words, entry.attribute, entry.group, owner, entry.kind == "pronouns")
        yield from self._gendered()
        yield from self._misspelt()
        yield from self._signs()
        yield from self._origins()
        yield from self._patterns()
        yield from self._abroad()

    def _meant(self, found: Sequence[Entry], first: int, stop: int) -> Iterator[Entry]:
        """What the words `first:stop` state: those that may be adjective and feature are one of the two.

        "A hat" is a feature, and in "a curly-haired nurse" the words are an adjective."""
        s = self.sentence
        alone = not (s.joined(stop) and not s.classes[stop])
        held = (
            first > 0 and s.joined(first) and (s.class_of(first - 1) == "determiners" or s.low[first - 1] in _HOLDING)
        )
        wrong = "adjectives" if alone and held and s.low[first] != "no" else "features"
        for entry in found:
            both = {other.kind for other in found if other[::2] == entry[::2]} >= {"adjectives", "features"}
            if not both or entry.kind != wrong:
                yield entry

    def _owner(self, entry: Entry, first: int, stop: int, adjectives: Mapping[int, int]) -> Owner:
        """Of whom the words `first:stop` are said."""
        s, people = self.sentence, self.people
        person = people.around(first)
        if person and (entry.kind == "nouns" or stop <= person.stop):
            return Owner(person, Same.YES)
        if entry.kind in {"nouns", "pronouns"}:
            return UNSURE
        if entry.kind == "features" and s.low[first] == "of":  # "nurse of color"
            before = people.around(first - 1)
            return Owner(before, Same.YES) if before else NOBODY
        if entry.kind == "features":
            return of_belonging(people, first, stop)
        strong, colour = entry.kind == "adjectives", s.low[first] in grammar()["colours"]
        return of_adjective(people, first, stop, adjectives, strong=strong, colour=colour)

    def _gendered(self) -> Iterator[Statement]:
        """The genders that the words for workers state themselves: "fireman", "Ärztin"."""
        for person in self.people.people:
            mention = self.mentioned.get((person.first, person.stop))
            entry = known().get(mention.words) if mention else None
            if entry and entry.relation == "gendered":
                sure = Same.YES if person.gender or entry.language == "en" else Same.UNSURE  # "Arzt" may be anybody
                yield Statement(
                    person.first,
                    self.sentence.written(person.first, person.stop),
                    "gender",
                    person.gender,
                    Owner(person, sure),
                )

    def _misspelt(self) -> Iterator[Statement]:
        """What misspelt words directly before a worker may state: "a femal doctor"."""
        s = self.sentence
        for person in self.people.people:
            i = person.first - 1
            while person.kind == "worker" and s.joined(i + 1) and person.first - i <= _BESIDE and not s.classes[i]:
                worker = tuple(word.normal for word in s.text[i + 1 : person.stop])
                for entry in misspelt(s.text[i].normal, worker, self.attributes):
                    yield Statement(i, s.low[i], entry.attribute, None, Owner(person, Same.UNSURE))
                i -= 1

    def _signs(self) -> Iterator[Statement]:
        for pattern in (_SIGNS, _LETTER):
            for found in pattern.finditer(self.sentence.prompt):
                first = self._word_at(found.start())
                person = self.people.last_before(first)
                owner = Owner(person, Same.YES) if person and len(self.people.people) == 1 else WHOEVER
                if found.lastgroup == "flag":  # of the worker's country, or of a place
                    yield from (Statement(first, found.group(), name, None, UNSURE) for name in self._told_by_peoples())
                    continue
                tone = _TONES.get(found.group())
                group = tone or (found.lastgroup or "").strip("_") or None
                yield Statement(first, found.group(), "skin_tone" if tone else "gender", group, owner)

    def _origins(self) -> Iterator[Statement]:
        """What "from Kenya" and "born in Kenya" state, for attributes that words for peoples state."""
        s = self.sentence
        told = self._told_by_peoples()
        begins = first_words(countries()) | first_words(cities())
        for first, stop in spans(s.text, lambda p: p in countries() or p in cities(), begins=begins):
            if s.joined(stop) and s.low[stop] in _NATIVE:  # "Nairobi-born", "a Ghana native"
                words = s.written(first, stop + 1)
                owner = of_adjective(self.people, first, stop + 1, {}, strong=False, colour=False)
                yield from (Statement(first, words, name, None, owner) for name in told)
                continue
            if self._worker_beside(first, stop):
                yield from (Statement(first, s.written(first, stop), name, None, UNSURE) for name in told)
                continue
            link = first - 1
            while link > 0 and s.joined(link + 1) and (s.classes[link] == "determiners" or s.low[link] in _PARTS):
                link -= 1
            if link < 0 or not s.joined(link + 1):
                continue
            if (
                s.low[link] == "of" and s.word(link - 1) == "out" and self.people.around(link - 2)
            ):  # "driver out of Lagos"
                link -= 1
            root = link - 2 if s.class_of(link - 1) == "copulas" and s.joined(link - 1) else link - 1
            if s.low[link] in {"in", "of", "to"} and s.word(root) in _BORN and s.joined(link):
                link = root  # "born in", "whose roots are in"
            elif s.low[link] == "of" and (person := self.people.around(link - 1)) and person.kind == "worker":
                yield from (Statement(link, s.written(link, stop), name, None, UNSURE) for name in told)
                continue  # "a judge of Ghana"
            elif s.low[link] not in _LEFT:
                continue
            words = s.written(link, stop)
            for name in told:
                yield Statement(link, words, name, None, of_origin(self.people, link))

    def _worker_beside(self, first: int, stop: int) -> bool:
        """Whether a worker may be of the place `first:stop`: "Ghana's top judge", "a driver (Senegal)"."""
        s = self.sentence
        if s.text[stop - 1].possessive:
            for i in range(stop, min(stop + _BESIDE + 1, len(s))):
                if not s.joined(i) or s.classes[i]:
                    return False
                if self.people.around(i):
                    return True
            return False
        before = self.people.around(first - 1) if first else None
        return before is not None and s.prompt[s.text[first - 1].end : s.text[first].start].strip() in {"(", "["}

    def _abroad(self) -> Iterator[Statement]:
        """What other languages than English state, for attributes that words for peoples state."""
        languages = {known()[m.words].language for m in self.mentioned.values() if m.words in known()}
        told = self._told_by_peoples()
        for found in abroad(self.people, languages):
            words = self.sentence.written(found.first, found.stop)
            yield from (Statement(found.first, words, name, None, found.owner) for name in told)

    def _patterns(self) -> Iterator[Statement]:
        for name, attribute in self.attributes.items():
            for pattern in attribute.patterns:
                for found in pattern.finditer(self.sentence.prompt):
                    first, stop = self._word_at(found.start()), self._word_at(found.end())
                    owner = of_adjective(self.people, first, stop, {}, strong=True, colour=False)
                    if owner in (NOBODY, UNSURE):
                        owner = of_feature(self.people, first)
                    yield Statement(first, found.group(), name, None, owner)

    def _word_at(self, character: int) -> int:
        return bisect_left(self.sentence.text, character, key=lambda word: word.start)

    def _told_by_peoples(self) -> list[str]:
        """The attributes that words for peoples state."""
        return [name for name, attribute in self.attributes.items() if attribute.peoples]
