"""What a prompt says of its people: who is whom, what is stated of whom, and who is named.

`Reading` finds the people of a prompt (`noun_phrase`), every word that states an identity (`lexicon`), and the person
of whom each is said (`attribution`). What is said of somebody else counts for nothing; what may be said of the worker
is unsure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from fair_diffusion.policy.attributes import Attributes, built_in
from fair_diffusion.policy.attribution import WHOEVER
from fair_diffusion.policy.concepts import Mention, known, lists
from fair_diffusion.policy.figures import refused
from fair_diffusion.policy.lexicon import Found, adjectives_of, entries
from fair_diffusion.policy.named import Name, names
from fair_diffusion.policy.noun_phrase import Head, People, Person, Same
from fair_diffusion.policy.sentence import Sentence, grammar
from fair_diffusion.policy.stated import Finder, Statement
from fair_diffusion.policy.vocabulary import people as ordinary_people
from fair_diffusion.policy.words import Phrase, Word, first_words, spans


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
        attributes: the definitions; the built-in ones if None.
    """

    def __init__(
        self, prompt: str, text: Sequence[Word], mentions: Sequence[Mention], attributes: Attributes | None = None
    ) -> None:
        self.attributes = attributes or built_in()
        self.sentence = Sentence(prompt, text)
        self.sentence.foreign |= any(m.words in known() and known()[m.words].language != "en" for m in mentions)
        stating = list(entries(self.sentence, self.attributes))
        self.names = names(self.sentence, {i for first, stop, _ in stating for i in range(first, stop)})
        named = {i for name in self.names if not name.faint or name.stop > name.first + 2 for i in range(*name[:2])}
        hidden = {i for name in self.names if not (name.shown or name.faint) for i in range(*name[:2])}
        stating = [e for e in stating if e[0] not in hidden and (e[0] not in named or e[0] - 1 not in named)]
        self.mentions = [
            replace(mention, refused="it is a part of a name")
            if mention.first in named and not mention.refused
            else refused(self.sentence, mention)
            for mention in mentions
        ]
        self._mentioned = {(m.first, m.stop): m for m in self.mentions if not m.refused}
        self.people = People(self.sentence, [*self._heads(stating)])
        finder = Finder(self.people, self._mentioned, self.attributes)
        self.statements = sorted(finder.statements(stating), key=lambda statement: statement.first)

    def worker(self, mention: Mention) -> Person:
        """The person that a mention stands for."""
        found = self.people.starting(mention.first)
        return found or Person(mention.first, mention.stop, "worker", None, mention.first)

    def _heads(self, stating: Sequence[Found]) -> Iterator[Head]:
        s, adjectives = self.sentence, adjectives_of(stating)
        things = {found.first for found in stating if found.is_any("features")}  # "a hat" is nobody
        nouns = {(found.first, found.stop): found.entries for found in stating if found.is_any("nouns")}
        for (first, stop), mention in self._mentioned.items():
            if mention.words in known():
                yield Head(first, stop, "worker", _gender_of(mention))
            elif (first, stop) not in nouns and first not in adjectives:
                yield Head(first, stop, "person")
        for (first, stop), stated in nouns.items():
            yield Head(first, stop, "person", next((e.group for e in stated if e.attribute == "gender"), None))
        for first, stop in spans(s.text, _people().__contains__, begins=first_words(_people())):
            if first not in adjectives:
                yield Head(first, stop, "person")
        for i, word in enumerate(s.text):
            if word.normal in grammar()["collectives"] and s.joined(i + 1) and s.low[i + 1] == "of":
                yield Head(i, i + 1, "person")
        for first, stop in adjectives.items():  # "an Asian", "the elderly"
            goes_on = s.joined(stop) and not s.classes[stop]
            pair = s.word(stop) in {"and", "or"} and (stop + 1 in adjectives or stop + 2 in adjectives)
            alone = s.class_of(first - 1) == "determiners" and s.joined(first) and not goes_on and not pair
            if alone and first not in things:
                yield Head(first, stop, "person")
        yield from (Head(name.first, name.stop, "name", name.gender) for name in self.names if name.shown)

    def _shown(self, person: Person) -> str:
        return self.sentence.written(person.first, person.stop)

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
                if how == Same.NO and owner.sure and self.attributes[statement.attribute].peoples:
                    how = Same.UNSURE if self.people.family(owner.person, worker) else Same.NO
            elif owner == WHOEVER:
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
        every = self.said(self.worker(mention))
        longer = [said for said in every if said.group is not None]
        for said in every:
            part = said.group is None and any(
                said.attribute == other.attribute and said.words in other.words for other in longer
            )  # "glasses" in "with glasses" says nothing more
            if said.same and not part:
                known = said.group in self.attributes[said.attribute].group_names
                group = said.group if known and said.same == Same.YES else None
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


def _gender_of(mention: Mention) -> str | None:
    entry = known()[mention.words]
    if entry.relation != "gendered" or entry.group:
        return entry.group or None
    last = mention.words[-1]
    if last.endswith(("woman", "ess", "trix", "maid", "wife", "girl", "rina")) or "lady" in mention.words:
        return "woman"
    return "man" if last.endswith(("man", "boy", "master")) else None


@cache
def _people() -> frozenset[Phrase]:
    """Words for a person, beside those that state an identity."""
    return frozenset().union(lists()["people"], ordinary_people(), ((word,) for word in grammar()["people"]))
