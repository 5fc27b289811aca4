"""The people of a prompt, and which of them are the same person.

A small grammar of closed word classes: a determiner begins a noun phrase; a preposition, a conjunction, a verb of being
or a pause ends one. Two people are the same where one stands beside the other ("a woman doctor", "a woman, a doctor"),
or where "as", "is" or "who is" links them. They are different where a verb, a preposition or "and" stands between them
("a doctor talking to a woman"). What can be read in two ways is unsure.

Every question is answered from the words beside a phrase, so that the work grows with the length of the prompt alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from fair_diffusion.policy.sentence import Gap, Sentence, grammar

_SHORT = 6
"""The number of words that a noun phrase has before its head, at most."""


_RAISED = frozenset("born raised reared up".split())
_OWN = frozenset("parents grandparents ancestors forefathers mother father".split())


class Same(IntEnum):
    """Whether two phrases are about the same person."""

    NO = 0
    UNSURE = 1
    YES = 2


class Head(NamedTuple):
    """The words for one person, or for several of a kind: `text[first:stop]`.

    Attributes:
        first, stop: the words.
        kind: "worker", "person" or "name".
        gender: the group of gender that the words state; None if they state none.
    """

    first: int
    stop: int
    kind: str
    gender: str | None = None


@dataclass(frozen=True)
class Person:
    """A head with its noun phrase, which begins at word `start`: its determiner, if it has one."""

    first: int
    stop: int
    kind: str
    gender: str | None
    start: int


class People:
    """The people of a prompt in order, and who is whom.

    Args:
        sentence: the words of the prompt. A word behind a person that looks like a verb becomes one.
        heads: the people that the prompt depicts; where two overlap, the longer one counts.
    """

    def __init__(self, sentence: Sentence, heads: Sequence[Head]) -> None:
        self.sentence = sentence
        kept: list[Head] = []
        taken: set[int] = set()
        for head in sorted(heads, key=lambda head: (head.first - head.stop, head.kind != "worker")):
            if taken.isdisjoint(range(head.first, head.stop)):
                taken.update(range(head.first, head.stop))
                kept.append(head)
        kept.sort(key=lambda head: head.first)
        firsts = {head.first for head in kept}
        for head in kept:
            self._mark_verb(head, firsts)
        self.people = [Person(*head, start=self.start(head.first)) for head in kept]
        self._firsts = [person.first for person in self.people]
        self._at = {person.first: person for person in self.people}
        self._around = {i: person for person in self.people for i in range(person.first, person.stop)}

    def _mark_verb(self, head: Head, firsts: set[int]) -> None:
        """Take the word after a person for a verb if it ends like one: "a doctor gently helping", "a doctor helps"."""
        s, i = self.sentence, head.stop
        while s.joined(i) and s.low[i].endswith("ly"):
            i += 1
        if not s.joined(i) or s.classes[i] or i in firsts or s.text[head.stop - 1].possessive:
            return
        if s.foreign and s.low[i] in grammar()["foreign"]:  # "Frau als Pilotin"
            return
        singular = i + 1 in firsts and s.joined(i + 1) and s.low[i + 1] == s.text[i + 1].normal
        compound = singular and s.low[i].endswith("ing")  # "woman boxing coach"
        if s.low[i].endswith(("ing", "ed", "s")) and not s.low[i].endswith("ss") and not compound:
            s.classes[i] = "verbs"

    def start(self, head: int) -> int:
        """The first word of the noun phrase with the head at word `head`, its determiner included."""
        s, i = self.sentence, head
        while s.joined(i) and head - i < _SHORT and not s.text[i - 1].possessive:
            if s.classes[i - 1]:
                return i - 1 if s.classes[i - 1] == "determiners" else i
            i -= 1
        return i

    def starting(self, i: int) -> Person | None:
        """The person whose head begins at word `i`."""
        return self._at.get(i)

    def around(self, i: int) -> Person | None:
        """The person whose head holds word `i`."""
        return self._around.get(i)

    def last_before(self, i: int) -> Person | None:
        """The last person whose head begins before word `i`, in the same sentence."""
        place = bisect_left(self._firsts, i) - 1
        found = self.people[place] if place >= 0 else None
        return found if found and self.sentence.one_sentence(found.first, i) else None

    def count_before(self, i: int) -> int:
        """The number of people before word `i`."""
        return bisect_left(self._firsts, i)

    def same(self, one: Person, other: Person) -> Same:
        """Whether two people of the prompt are the same person."""
        a, b = (one, other) if one.first < other.first else (other, one)
        crew = self._collective(b)
        if crew and crew.first > a.first:  # "a men-only crew of miners"
            return self._same(a, crew)
        return self._same(a, b)

    def _collective(self, person: Person) -> Person | None:
        """The word for a group of which a person is said to be one: "a crew of astronauts"; None without one."""
        link = self.sentence.before(person.start)
        crew = self._around.get(link - 1) if self.sentence.word(link) == "of" else None
        found = crew is not None and self.sentence.text[link - 1].normal in grammar()["collectives"]
        return crew if found else None

    def _same(self, a: Person, b: Person) -> Same:
        """The same of two people, given the first one of the prompt first."""
        s = self.sentence
        if a == b:
            return Same.YES
        if (child := self._child_of(b)) and child != b:
            return min(Same.UNSURE, self.same(child, a))
        if s.text[a.stop - 1].possessive and s.low[a.stop - 1] not in {"who"}:
            return self._possessed(a, b)
        if self._anothers(a, b):
            return Same.NO
        if a.stop == b.first and s.joined(b.first):  # "a woman doctor"
            return Same.YES
        if b.start < a.stop <= b.first or b.start <= a.first:  # "women truck drivers"
            return Same.UNSURE if s.joined(b.first) else self._after_pause(a, b)
        if not s.joined(b.start):
            return self._after_pause(a, b)
        return self._linked(a, b)

    def _child_of(self, parents: Person) -> Person | None:
        """The person of whom a word for parents says something: "the daughter of Chinese immigrants"."""
        s, of = self.sentence, parents.start - 1
        if s.text[parents.stop - 1].normal not in grammar()["parents"] or s.word(of) != "of":
            return None
        child = self.around(of - 1)
        return child if child and s.text[of - 1].normal in grammar()["offspring"] else None

    def _anothers(self, a: Person, b: Person) -> bool:
        """Whether the second person is somebody of a third one's: "a planner arguing with the groom's mother"."""
        s, owner = self.sentence, b.start - 1
        if not s.joined(b.start) or owner < a.stop or not s.text[owner].possessive or s.classes[owner] == "copulas":
            return False
        start = self.start(owner)
        told = s.class_of(start - 1) in {"copulas", "links"} or s.word(start - 1) in grammar()["seeming"]
        return start > a.stop and s.joined(start) and not told

    def _possessed(self, a: Person, b: Person) -> Same:
        """What "a woman's …" says of a later person: "a woman's doctor" is another person."""
        s = self.sentence
        if s.word(a.stop) in grammar()["bodies"]:  # "a woman's face, doctor"; "a doctor with a woman's face"
            return Same.UNSURE
        link = s.before(b.start)
        if s.word(a.stop) in grammar()["owned"] and s.class_of(link) in {"copulas", "links"}:  # "her life as a nurse"
            return Same.UNSURE
        beside = b.start == a.stop and s.joined(b.start)
        if beside or b.kind == "worker" or s.one_sentence(a.first, b.first):
            return Same.NO
        return Same.UNSURE

    def _after_pause(self, a: Person, b: Person) -> Same:
        """Two people between whom the second phrase begins after a pause: an apposition or a list of tags."""
        s = self.sentence
        if a.stop == b.start and s.gaps[b.start] == Gap.COMMA and len(self.people) == 2:
            return Same.YES
        return Same.UNSURE

    def _linked(self, a: Person, b: Person) -> Same:
        """Two people with words between them, and no pause before the second phrase."""
        s, g = self.sentence, grammar()
        if a.stop == b.start and s.classes[b.start] == "determiners":  # "my sister the doctor", "Bob the builder"
            return Same.YES if s.low[b.start] == "the" else Same.UNSURE
        link = s.before(b.start)
        if link < 0 or (not s.joined(link) and not s.classes[link]):  # "a woman, once a doctor"
            return Same.UNSURE
        if s.classes[link] == "conjunctions" and (to := self._link_of_list(link)) >= 0:  # "men as warriors and herders"
            link = to
        word, kind = s.low[link], s.classes[link]
        if word == "whose":
            return Same.NO
        if word in g["looking"]:
            return Same.UNSURE
        if word == "by" and s.word(link - 1) in g["played"]:
            return Same.YES if a.stop == link - 1 else Same.UNSURE  # "a doctor played by an actress"
        if s.text[b.stop - 1].possessive and word in {"with", "has", "having"} and s.word(b.stop) in g["bodies"]:
            return Same.UNSURE  # "with a woman's face"
        before = self.last_before(b.start)
        nearest = before == a
        if not nearest and kind == "copulas" and before and before.stop == link and s.low[link - 1] in g["served"]:
            return Same.NO  # "a lawyer whose client is a man"
        if kind in {"copulas", "links"} or word in g["seeming"]:
            if word in g["seeming"] and not self._seems(link):
                return self._different(a, b, link)
            if not s.one_sentence(a.first, b.first):
                return Same.NO if word != "there" and self.last_before(link) else Same.UNSURE
            sure = nearest and word not in g["seeming"]
            return Same.YES if sure else Same.UNSURE
        if word == "of" and nearest:
            owner = s.word(link - 1)
            if a.stop == link and s.text[link - 1].normal in g["collectives"]:  # "a crew of astronauts"
                return Same.YES
            one = s.low[b.stop - 1] == s.text[b.stop - 1].normal
            if a.stop == link and one and s.low[b.start] in g["numbers"]:  # "mum of two teacher"
                return Same.YES
            if owner in g["roles"] or owner in g["bodies"]:
                return Same.UNSURE
        if s.text[b.stop - 1].normal in g["parents"] and self._descends(a, b, link):
            return Same.UNSURE
        if word in {"among", "amongst"} and b.kind == "worker":  # "the only woman among engineers"
            return Same.UNSURE
        if word == "them" and s.word(link - 1) == "of":  # "doctors, all of them women"
            return Same.UNSURE
        return self._different(a, b, link)

    def _link_of_list(self, conjunction: int) -> int:
        """The "as" before the words that a conjunction goes on from; -1 if there is none."""
        s, i = self.sentence, conjunction - 1
        while s.joined(i + 1) and i >= 0 and s.classes[i] in {"", "determiners"}:
            i -= 1
        return i if s.joined(i + 1) and s.class_of(i) == "links" else -1

    def family(self, parents: Person, worker: Person) -> bool:
        """Whether words for parents may mean the worker's: "whose parents are Kenyan", "raised by Somali parents".

        What is said of the people of somebody's parents may be said of somebody too.
        """
        s = self.sentence
        if parents.first < worker.first or s.text[parents.stop - 1].normal not in grammar()["parents"]:
            return False
        if not s.one_sentence(worker.first, parents.first):
            return False
        link = s.before(parents.start) if s.joined(parents.start) else -1
        if s.low[parents.start] in {"her", "his", "their", "whose"} or s.word(link) == "whose":
            return True
        raised = s.word(link) in {"by", "to"} and s.word(link - 1) in _RAISED
        bred = s.word(link) == "from" and s.text[parents.stop - 1].normal == "family"  # "a chef from a Maori family"
        return (
            raised
            or bred
            or (s.word(link) in {"with", "has", "of"} and link == worker.stop and s.low[parents.stop - 1] in _OWN)
        )

    def _descends(self, a: Person, b: Person, link: int) -> bool:
        """Whether the first person is said to be of the second ones: "a doctor of Indian parents", "born to"."""
        s = self.sentence
        born = s.low[link] == "to" and s.word(link - 1) == "born"
        beside = a.stop == link and s.low[link] in {"of", "with"} and s.classes[b.start] != "determiners"
        return born or beside

    def _seems(self, link: int) -> bool:
        """Whether "like", "playing" or "to" before a person means that somebody else looks like, or wants to be, it."""
        s = self.sentence
        word, before = s.low[link], s.word(link - 1)
        if word == "like":
            return before not in {"people"}
        if word == "to":
            return before in {"similar", "wants", "want", "wanting"}
        return True

    def _different(self, a: Person, b: Person, link: int) -> Same:
        """Two people with a verb, a preposition or "and" between them: others, if the second phrase is a whole one."""
        s = self.sentence
        several = s.low[b.stop - 1] != s.text[b.stop - 1].normal
        one = s.classes[b.start] != "determiners" or s.low[b.start] in {"a", "an"}
        beside = one and s.classes[link] == "conjunctions" and link == a.stop
        if beside and (s.low[link] == "but" or s.low[b.stop - 1] in grammar()["kin"]):  # "a pilot and a father"
            return Same.UNSURE
        if s.classes[b.start] == "determiners" or several or b.kind == "name":
            return Same.NO
        if s.classes[link] == "conjunctions":
            bare = link == a.stop and s.classes[a.start] == "determiners"  # "a scientist and mother"
            return Same.UNSURE if bare else Same.NO
        clear = s.classes[link] in {"prepositions", "verbs"} and s.low[link] not in {"in", "on", "at", "of"}
        headline = s.low[link] == "of" and s.classes[a.start] != "determiners"  # "nurse beside bed of man"
        return Same.NO if clear or headline or s.low[link].endswith("ing") or s.low[link] == "to" else Same.UNSURE
