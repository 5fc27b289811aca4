"""The words of a prompt with what separates them, and the closed class of each: what the grammar is built on."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from enum import IntEnum
from functools import cache

from fair_diffusion.policy.attributes import read_data
from fair_diffusion.policy.words import Word

_WEIGHT = re.compile(r":\s*-?\d*\.?\d*|[()\[\]{}<>\"“”„«»*_+~^\\]|['’]s\b|['’]")
_STOP = re.compile(r"[.!?;\n。！？]")
_ABBREVIATIONS = frozenset(
    ["dr", "mr", "mrs", "ms", "prof", "st", "capt", "sgt", "lt", "jr", "sr", "vs", "c", "ca", "no"]
)


class Gap(IntEnum):
    """What separates a word from the one before: nothing that matters, a comma, any other pause, a full stop."""

    NONE = 0
    COMMA = 1
    PAUSE = 2
    STOP = 3


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


def is_content(word: str) -> bool:
    """Whether a word in lower case is of no closed class: a noun, an adjective, a verb or a name."""
    return word not in _classes()


class Sentence:
    """The words of a prompt with what separates them and the closed class of each.

    Attributes:
        prompt: as written.
        text: its words.
        low: each word in lower case.
        gaps: what separates each word from the one before; a full stop before the first.
        classes: the closed class of each word, such as "prepositions"; "" for all other words.
        capitals_tell: whether a capital tells anything: not in "PHOTO OF A DOCTOR" or "Photo Of A Doctor".
        foreign: whether the prompt is written in another language than English.
    """

    def __init__(self, prompt: str, text: Sequence[Word]) -> None:
        self.prompt = prompt
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

    def written(self, first: int, stop: int) -> str:
        """The words `first:stop` as the prompt has them."""
        return self.prompt[self.text[first].start : self.text[stop - 1].end]

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
