"""The people of a prompt, and which of them are the same person.

A small grammar of closed word classes: a determiner begins a noun phrase; a preposition, a conjunction, a verb of being
or a pause ends one. Two people are the same where one stands beside the other ("a woman doctor", "a woman, a doctor"),
or where "as", "is" or "who is" links them. They are different where a verb, a preposition or "and" stands between them
("a doctor talking to a woman"). What can be read in two ways is unsure.

Every question is answered from the words beside a phrase, so that the work grows with the length of the prompt alone.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import NamedTuple

from fair_diffusion.policy.attributes import read_data
from fair_diffusion.policy.words import Word

_WEIGHT = re.compile(r":\s*-?\d*\.?\d*|[()\[\]{}<>\"“”„«»*_+~^\\]|['’]s\b|['’]")
_STOP = re.compile(r"[.!?;\n。！？]")
_ABBREVIATIONS = frozenset(
    ["dr", "mr", "mrs", "ms", "prof", "st", "capt", "sgt", "lt", "jr", "sr", "vs", "c", "ca", "no"]
)
_SHORT = 6
"""The number of words that a noun phrase has before its head, at most."""


class Gap(IntEnum):
    """What separates a word from the one before: nothing that matters, a comma, any other pause, a full stop."""

    NONE = 0
    COMMA = 1
    PAUSE = 2
    STOP = 3


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


@cache
def grammar() -> dict[str, frozenset[str]]:
    """The word lists of `reading.yaml`, as written."""
    return {name: frozenset(str(word) for word in listed) for name, listed in read_data("reading.yaml").items()}


@cache
def _classes() -> dict[str, str]:
    """The closed class of each word: the first one, in this order, that lists it."""
    names = ("relatives", "determiners", "copulas", "links", "auxiliaries", "pronouns", "conjunctions", "prepositions")
    found: dict[str, str] = {}
    for name in names:
        for word in grammar()[name]:
            found.setdefault(word, name)
    return found


class Sentence:
    """The words of a prompt with what separates them and the closed class of each.

    Attributes:
        text: the words.
        low: each word in lower case.
        gaps: what separates each word from the one before; a full stop before the first.
        classes: the closed class of each word, such as "prepositions"; "" for all other words.
        capitals_tell: whether a capital tells anything: not in "PHOTO OF A DOCTOR" or "Photo Of A Doctor".
        foreign: whether the prompt is written in another language than English.
    """

    def __init__(self, prompt: str, text: Sequence[Word]) -> None:
        self.text = text
        self.low = [word.text.casefold().replace("’", "'") for word in text]
        self.gaps = [_gap(prompt, text, i) for i in range(len(text))]
        self.classes = [_classes().get(word, "") for word in self.low]
        for i, word in enumerate(text):
            if word.possessive and self.low[i] in {"who", "that", "she", "he", "it", "there"}:
                self.classes[i] = "copulas"
            elif i and self.classes[i - 1] == "copulas" and self.low[i].endswith("ing") and not self.classes[i]:
                self.classes[i] = "verbs"  # "is helping", not "is a helping"
            elif i and self.classes[i - 1] in {"relatives", "pronouns"} and not self.classes[i] and self.joined(i):
                self.classes[i] = "verbs"
        self.foreign = sum(word in grammar()["foreign"] for word in self.low) >= 2
        self._stops = [i for i, gap in enumerate(self.gaps) if gap == Gap.STOP]
        self._pauses = [i for i, gap in enumerate(self.gaps) if gap != Gap.NONE]
        content = [i for i in range(len(text)) if not self.classes[i] and self.low[i].isalpha()]
        capitals = sum(text[i].text[0].isupper() for i in content)
        self.capitals_tell = 0 < capitals <= 0.85 * len(content)

    def __len__(self) -> int:
        return len(self.text)

    def capital(self, i: int) -> bool:
        """Whether word `i` has a capital and is not in capitals throughout."""
        written = self.text[i].text
        return written[0].isupper() and any(letter.islower() for letter in written)

    def joined(self, i: int) -> bool:
        """Whether nothing separates word `i` from the word before."""
        return 0 < i < len(self.text) and self.gaps[i] == Gap.NONE

    def class_of(self, i: int) -> str:
        """The closed class of word `i`; "" outside of the prompt."""
        return self.classes[i] if 0 <= i < len(self.text) else ""

    def word(self, i: int) -> str:
        """Word `i` in lower case; "" outside of the prompt."""
        return self.low[i] if 0 <= i < len(self.text) else ""

    def one_sentence(self, a: int, b: int) -> bool:
        """Whether no full stop stands between word `a` and a later word `b`."""
        return bisect_right(self._stops, a) == bisect_right(self._stops, b)

    def one_breath(self, a: int, b: int) -> bool:
        """Whether no pause at all stands between word `a` and a later word `b`."""
        return bisect_right(self._pauses, a) == bisect_right(self._pauses, b)

    def before(self, i: int) -> int:
        """The last word before `i` that is no adverb, as long as nothing separates them; -1 if there is none."""
        while self.joined(i):
            i -= 1
            if self.low[i] not in grammar()["adverbs"] and not self.low[i].endswith("ly"):
                return i
        return -1


def _gap(prompt: str, text: Sequence[Word], i: int) -> Gap:
    if i == 0:
        return Gap.STOP
    between = prompt[text[i - 1].end : text[i].start]
    if between in {" ", "-", "‐", "‑"}:
        return Gap.NONE
    left = _WEIGHT.sub("", between).strip(" \t\r\xa0")
    if not left:
        return Gap.STOP if "\n" in between else Gap.NONE
    if left == ".":
        before = text[i - 1].text.casefold()
        short = before in _ABBREVIATIONS or len(before) == 1 or before.isdigit()
        return Gap.NONE if short else Gap.STOP
    if _STOP.search(left):
        return Gap.STOP
    return Gap.COMMA if left == "," else Gap.PAUSE


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
        if one == other:
            return Same.YES
        a, b = (one, other) if one.first < other.first else (other, one)
        s = self.sentence
        if s.text[a.stop - 1].possessive and s.low[a.stop - 1] not in {"who"}:
            return self._possessed(a, b)
        if a.stop == b.first and s.joined(b.first):  # "a woman doctor"
            return Same.YES
        if b.start < a.stop <= b.first or b.start <= a.first:  # "women truck drivers"
            return Same.UNSURE if s.joined(b.first) else self._after_pause(a, b)
        if not s.joined(b.start):
            return self._after_pause(a, b)
        return self._linked(a, b)

    def _possessed(self, a: Person, b: Person) -> Same:
        """What "a woman's …" says of a later person: "a woman's doctor" is another person."""
        s = self.sentence
        if s.word(a.stop) in grammar()["bodies"]:  # "a woman's face, doctor"; "a doctor with a woman's face"
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
        word, kind = s.low[link], s.classes[link]
        if word == "whose":
            return Same.NO
        if word in g["looking"]:
            return Same.UNSURE
        if s.text[b.stop - 1].possessive and word in {"with", "has", "having"} and s.word(b.stop) in g["bodies"]:
            return Same.UNSURE  # "with a woman's face"
        nearest = self.last_before(b.start) == a
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
            if owner in g["roles"] or owner in g["bodies"]:
                return Same.UNSURE
        if s.text[b.stop - 1].normal in g["parents"] and self._descends(a, b, link):
            return Same.UNSURE
        if word == "them" and s.word(link - 1) == "of":  # "doctors, all of them women"
            return Same.UNSURE
        return self._different(a, b, link)

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
        if s.classes[b.start] == "determiners" or several or b.kind == "name":
            return Same.NO
        if s.classes[link] == "conjunctions":
            bare = link == a.stop and s.classes[a.start] == "determiners"  # "a scientist and mother"
            return Same.UNSURE if bare else Same.NO
        clear = s.classes[link] in {"prepositions", "verbs"} and s.low[link] not in {"in", "on", "at", "of"}
        headline = (
            s.classes[link] == "prepositions" and s.classes[a.start] != "determiners"
        )  # "nurse beside bed of man"
        return Same.NO if clear or headline or s.low[link].endswith("ing") or s.low[link] == "to" else Same.UNSURE
