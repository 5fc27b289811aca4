"""Which identities a prompt states, and whose each of them is. No rule may change what is stated of the worker.

`Reading` finds the people of a prompt (`noun_phrase`), every word that states an identity (`attributes`), and the
person of whom each is said (`attribution`). What is said of somebody else counts for nothing; what may be said of the
worker is unsure.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from fair_diffusion.policy.attributes import ATTRIBUTES
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
from fair_diffusion.policy.concepts import Mention, known, lists
from fair_diffusion.policy.figures import in_place_name, refused
from fair_diffusion.policy.named import Name, names
from fair_diffusion.policy.noun_phrase import Head, People, Person, Same, Sentence, grammar
from fair_diffusion.policy.vocabulary import cities, countries, demonyms
from fair_diffusion.policy.vocabulary import people as ordinary_people
from fair_diffusion.policy.words import Phrase, Word, phrase, spans

_SIGNS = re.compile(r"(?P<woman>♀|👩|👧|👵)|(?P<man>♂|👨|👦|👴)")
_LETTER = re.compile(
    r"(?:[(\[]|[,|/] |^)(?:(?P<woman>f)|(?P<man>m))(?=[)\],|/]|$)|\b\d\d ?(?:yo ?|/)?(?:(?P<woman_>F)|(?P<man_>M))\b",
    re.IGNORECASE,
)
_TAG = re.compile(r"^\d{1,2}(?=[a-z])")


class Entry(NamedTuple):
    """What one phrase states: the attribute, the kind of word (`attributes.yaml`), and the group, if it names one."""

    attribute: str
    kind: str
    group: str | None


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


class Said(NamedTuple):
    """A statement as one worker has it: `same` says whether it is about this worker, `whose` whom else it is about."""

    attribute: str
    words: str
    group: str | None
    same: Same
    whose: str


class Reading:
    """The people of a prompt and what is stated of them.

    Args:
        prompt: as written.
        text: its words.
        mentions: the words for concepts in it; the reading's own `mentions` are those, with further ones refused.
    """

    def __init__(self, prompt: str, text: Sequence[Word], mentions: Sequence[Mention]) -> None:
        self.prompt = prompt
        self.sentence = Sentence(prompt, text)
        self.sentence.foreign |= any(m.words in known() and known()[m.words].language != "en" for m in mentions)
        entries = list(_entries(self.sentence))
        self.names = names(self.sentence, {i for first, stop, _ in entries for i in range(first, stop)})
        named = {i for name in self.names if not name.faint or name.stop > name.first + 2 for i in range(*name[:2])}
        hidden = {i for name in self.names if not (name.shown or name.faint) for i in range(*name[:2])}
        entries = [e for e in entries if e[0] not in hidden and (e[0] not in named or e[0] - 1 not in named)]
        self.mentions = [
            replace(mention, refused="it is a part of a name")
            if mention.first in named and not mention.refused
            else refused(self.sentence, mention)
            for mention in mentions
        ]
        self._mentioned = {(m.first, m.stop): m for m in self.mentions if not m.refused}
        self.people = People(self.sentence, [*self._heads(entries)])
        self.statements = sorted(self._statements(entries), key=lambda statement: statement.first)

    def worker(self, mention: Mention) -> Person:
        """The person that a mention stands for."""
        found = self.people.starting(mention.first)
        return found or Person(mention.first, mention.stop, "worker", None, mention.first)

    # --- people

    def _heads(self, entries: Sequence[tuple[int, int, tuple[Entry, ...]]]) -> Iterator[Head]:
        s = self.sentence
        adjectives = {first: stop for first, stop, found in entries if _is(found, "adjectives", "qualifiers")}
        nouns = {(first, stop): found for first, stop, found in entries if _is(found, "nouns")}
        for (first, stop), mention in self._mentioned.items():
            if mention.words in known():
                yield Head(first, stop, "worker", _gender_of(mention))
            elif (first, stop) not in nouns and first not in adjectives:
                yield Head(first, stop, "person")
        for (first, stop), found in nouns.items():
            yield Head(first, stop, "person", next((e.group for e in found if e.attribute == "gender"), None))
        for i, word in enumerate(s.text):
            if word.normal in grammar()["collectives"] and s.joined(i + 1) and s.low[i + 1] == "of":
                yield Head(i, i + 1, "person")
        others = lists()["people"] | ordinary_people() | {(word,) for word in grammar()["people"]}
        for first, stop in spans(s.text, lambda p: p in others):
            if first not in adjectives:
                yield Head(first, stop, "person")
        for first, stop in adjectives.items():  # "an Asian", "the elderly"
            coordinated = s.word(stop) in {"and", "or"} and (stop + 1 in adjectives or stop + 2 in adjectives)
            if s.class_of(first - 1) == "determiners" and s.joined(first) and not _goes_on(s, stop) and not coordinated:
                yield Head(first, stop, "person")
        for name in self.names:
            if not name.shown:
                continue
            yield Head(name.first, name.stop, "name", name.gender)

    # --- statements

    def _statements(self, entries: Sequence[tuple[int, int, tuple[Entry, ...]]]) -> Iterator[Statement]:
        s, people = self.sentence, self.people
        adjectives = {first: stop for first, stop, found in entries if _is(found, "adjectives", "qualifiers")}
        for first, stop, found in entries:
            shown = stop + 1 if s.joined(stop) and s.low[stop] in grammar()["descent"] else stop  # "Asian descent"
            words = self.prompt[s.text[first].start : s.text[shown - 1].end]
            for entry in found:
                person = people.around(first)
                if entry.kind == "pronouns":
                    yield Statement(first, words, entry.attribute, entry.group, UNSURE, pronoun=True)
                    continue
                if entry.kind == "nouns":
                    owner = Owner(person, Same.YES) if person else UNSURE
                elif person is not None and person.first <= first and stop <= person.stop:
                    owner = Owner(person, Same.YES)
                elif entry.kind == "features" and s.low[first] == "of":  # "nurse of color"
                    before = people.around(first - 1)
                    owner = Owner(before, Same.YES) if before else NOBODY
                elif entry.kind == "features":
                    owner = of_belonging(people, first, stop)
                else:
                    owner = of_adjective(
                        people,
                        first,
                        stop,
                        adjectives,
                        strong=entry.kind == "adjectives",
                        colour=s.low[first] in grammar()["colours"],
                    )
                yield Statement(first, words, entry.attribute, entry.group, owner)
        yield from self._gendered()
        yield from self._signs()
        yield from self._origins()
        yield from self._patterns()

    def _gendered(self) -> Iterator[Statement]:
        """The genders that the words for workers state themselves: "fireman", "Ärztin"."""
        for person in self.people.people:
            mention = self._mentioned.get((person.first, person.stop))
            entry = known().get(mention.words) if mention else None
            if entry and entry.relation == "gendered":
                sure = Same.YES if person.gender or entry.language == "en" else Same.UNSURE  # "Arzt" may be anybody
                yield Statement(person.first, self._shown(person), "gender", person.gender, Owner(person, sure))

    def _signs(self) -> Iterator[Statement]:
        for pattern in (_SIGNS, _LETTER):
            for found in pattern.finditer(self.prompt):
                first = self._word_at(found.start())
                person = self.people.last_before(first)
                owner = Owner(person, Same.YES) if person and len(self.people.people) == 1 else WHOEVER
                yield Statement(first, found.group(), "gender", (found.lastgroup or "").strip("_") or None, owner)

    def _origins(self) -> Iterator[Statement]:
        """What "from Kenya" and "born in Kenya" state, for attributes that words for peoples state."""
        s = self.sentence
        told = [name for name, attribute in ATTRIBUTES.items() if attribute.peoples]
        for first, stop in spans(s.text, lambda p: p in countries() or p in cities()):
            if s.joined(stop) and s.low[stop] == "born":  # "Nairobi-born"
                words = self.prompt[s.text[first].start : s.text[stop].end]
                owner = of_adjective(self.people, first, stop + 1, {}, strong=False, colour=False)
                yield from (Statement(first, words, name, None, owner) for name in told)
                continue
            link = first - 1
            while link > 0 and s.joined(link + 1) and (s.classes[link] == "determiners" or s.low[link] in _PARTS):
                link -= 1
            if link < 0 or not s.joined(link + 1):
                continue
            if s.low[link] in {"in", "of", "to"} and s.word(link - 1) in _BORN and s.joined(link):
                link -= 1
            elif s.low[link] != "from":
                continue
            words = self.prompt[s.text[link].start : s.text[stop - 1].end]
            for name in told:
                yield Statement(link, words, name, None, of_origin(self.people, link))

    def _patterns(self) -> Iterator[Statement]:
        for name, attribute in ATTRIBUTES.items():
            for pattern in attribute.patterns:
                for found in pattern.finditer(self.prompt):
                    first, stop = self._word_at(found.start()), self._word_at(found.end())
                    owner = of_adjective(self.people, first, stop, {}, strong=True, colour=False)
                    if owner in (NOBODY, UNSURE):
                        owner = of_feature(self.people, first)
                    yield Statement(first, found.group(), name, None, owner)

    def _word_at(self, character: int) -> int:
        return bisect_left(self.sentence.text, character, key=lambda word: word.start)

    def _shown(self, person: Person) -> str:
        text = self.sentence.text
        return self.prompt[text[person.first].start : text[person.stop - 1].end]

    # --- answers

    def said(self, worker: Person) -> list[Said]:
        """Every statement of the prompt, and whether it is about `worker`."""
        same = {person: self.people.same(person, worker) for person in self.people.people}
        answers = []
        earlier = _Earlier()
        remaining = list(self.people.people)
        at = 0
        for statement in self.statements:
            while at < len(remaining) and remaining[at].first < statement.first:
                earlier.add(remaining[at], same[remaining[at]])
                at += 1
            owner = statement.owner
            whose = self._shown(owner.person) if owner.person else ""
            if statement.pronoun:
                how, whose = self._pronoun(statement, worker, earlier), "somebody else"
            elif owner.person is not None:
                how = min(owner.sure, same.get(owner.person, Same.NO))
            elif owner is WHOEVER or owner == WHOEVER:
                how = Same.YES if len(same) == 1 else Same.UNSURE
            else:
                how = owner.sure
            answers.append(Said(statement.attribute, statement.words, statement.group, how, whose))
        return answers

    def groups(self, mention: Mention) -> dict[str, str]:
        """The one group of each attribute that the prompt surely states of the mentioned person.

        Left out are attributes that are stated without a group ("a Kenyan nurse" has no skin tone), with two, or in
        words that could be read in two ways.
        """
        found: dict[str, set[str | None]] = {}
        for said in self.said(self.worker(mention)):
            if said.same:
                group = said.group if said.same == Same.YES else None
                found.setdefault(said.attribute, set()).add(group)
        return {name: group for name, groups in found.items() if len(groups) == 1 for group in groups if group}

    def _pronoun(self, statement: Statement, worker: Person, earlier: _Earlier) -> Same:
        """Whether a pronoun is about the worker, from the people before it."""
        s, i = self.sentence, statement.first
        link = s.before(worker.start)
        if link >= i and s.classes[link] in {"copulas", "links"} and s.one_sentence(i, worker.first):
            return Same.YES if s.low[i] not in {"her", "his", "him"} else Same.UNSURE
        beside = self.people.around(i - 2) if s.word(i - 1) in {"and", "&"} and s.joined(i) else None
        if beside is not None and beside.gender in (None, statement.group):  # "a woman and her dog"
            return self.people.same(beside, worker)
        if earlier.count == 0:
            own = worker.start <= i < worker.first
            return Same.NO if own else Same.YES if self.people.people[:1] == [worker] else Same.UNSURE
        return earlier.may_be(statement.group)

    def named(self, worker: Person) -> tuple[Name, Same] | None:
        """The name of the worker, or of somebody else in the picture; None if the prompt names nobody."""
        found: list[tuple[Same, Name]] = []
        for name in self.names:
            person = self.people.starting(name.first)
            if person is None or person.kind != "name":
                continue
            same = self.people.same(person, worker)
            tag = name.faint and person.first > worker.first and not self.sentence.joined(name.first)
            if not tag and same >= (Same.YES if name.faint else Same.NO):
                found.append((same, name))
        if not found:
            return None
        same, name = max(found, key=lambda pair: pair[0])
        return name, same


class _Earlier:
    """Whom a pronoun can mean: the people before it."""

    def __init__(self) -> None:
        self.count = 0
        self.best = Same.NO
        self.others: set[str | None] = set()

    def add(self, person: Person, same: Same) -> None:
        self.count += 1
        self.best = max(self.best, same)
        if same < Same.YES:
            self.others.add(person.gender)

    def may_be(self, group: str | None) -> Same:
        """Whether a pronoun of a group of gender means the worker: surely, if nobody else can be meant."""
        if self.best == Same.NO:
            return Same.NO
        if any(gender in (None, group) for gender in self.others):
            return Same.UNSURE
        return self.best


_PARTS = frozenset(["rural", "southern", "northern", "eastern", "western", "south", "north", "east", "west", "central"])
_BORN = frozenset(["born", "raised", "native", "natives", "citizen", "up"])


def _gender_of(mention: Mention) -> str | None:
    entry = known()[mention.words]
    if entry.relation != "gendered" or entry.group:
        return entry.group or None
    last = mention.words[-1]
    if last.endswith(("woman", "ess", "trix", "maid", "wife", "girl", "rina")) or "lady" in mention.words:
        return "woman"
    return "man" if last.endswith(("man", "boy", "master")) else None


def _is(found: Sequence[Entry], *kinds: str) -> bool:
    return any(entry.kind in kinds for entry in found)


def _goes_on(sentence: Sentence, stop: int) -> bool:
    """Whether a noun may follow at word `stop`."""
    return sentence.joined(stop) and not sentence.classes[stop]


@cache
def _lexicon() -> dict[Phrase, tuple[Entry, ...]]:
    """What each phrase states. A phrase to be ignored states nothing."""
    found: dict[Phrase, list[Entry]] = {}
    for name, attribute in ATTRIBUTES.items():
        for word, kind, group in attribute.stating:
            found.setdefault(phrase(word), []).append(Entry(name, kind, group))
        if attribute.peoples:
            for people in demonyms():
                found.setdefault(people, []).append(Entry(name, "qualifiers", None))
    for attribute in ATTRIBUTES.values():
        for ignored in attribute.ignore:
            found[phrase(ignored)] = []
    return {words: tuple(dict.fromkeys(entries)) for words, entries in found.items()}


def _entries(sentence: Sentence) -> Iterator[tuple[int, int, tuple[Entry, ...]]]:
    """The places of phrases that state something: (first, past last, what)."""
    lexicon = _lexicon()

    def key(words: Phrase) -> Phrase:
        return (_TAG.sub("", words[0]),) if len(words) == 1 else words  # "2girls"

    for first, stop in spans(sentence.text, lambda p: key(p) in lexicon):
        if in_place_name(sentence, stop):
            continue
        if sentence.foreign and stop == first + 1 and sentence.low[first] in grammar()["english"]:
            continue
        found = lexicon[key(tuple(word.normal for word in sentence.text[first:stop]))]
        if found:
            yield first, stop, found
