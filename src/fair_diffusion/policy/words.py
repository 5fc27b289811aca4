"""The words of a text in comparable form: whole words in lower case and singular."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

Phrase = tuple[str, ...]
"""A sequence of comparable words, as `phrase` makes it."""

_WORD = re.compile(r"[^\W_]+(?:['’](?!s\b)[^\W_]+)*")
_IRREGULAR = {
    "men": "man",
    "women": "woman",
    "people": "person",
    "children": "child",
    "wives": "wife",
    "housewives": "housewife",
    "midwives": "midwife",
    "chefs": "chef",
    "kids": "kid",
    "ladies": "lady",
}


@dataclass(frozen=True)
class Word:
    """One word of a text.

    Attributes:
        text: as written.
        normal: comparable form.
        start, end: its characters are `text[start:end]` of the whole text.
        joined: whether only blanks or hyphens separate it from the word before.
        possessive: whether an apostrophe-s follows.
    """

    text: str
    normal: str
    start: int
    end: int
    joined: bool
    possessive: bool


@lru_cache(maxsize=20_000)
def singular(word: str) -> str:
    """The singular of one lower-case word: "nurses" gives "nurse". Other words come back unchanged."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith(("men", "women")) and len(word) > 5 and word not in {"specimen", "abdomen", "acumen"}:
        return word[:-2] + "an"
    if len(word) < 4 or word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "ches", "shes", "xes")):
        return word[:-2]
    return word[:-1]


def words(text: str) -> list[Word]:
    """The words of `text`, in order. Offsets count characters of `text`."""
    found: list[Word] = []
    end = 0
    for match in _WORD.finditer(text):
        gap = text[end : match.start()]
        after = text[match.end() : match.end() + 2].lower()
        plain = unicodedata.normalize("NFKC", match.group()).casefold().replace("’", "'")
        found.append(
            Word(
                text=match.group(),
                normal=singular(plain),
                start=match.start(),
                end=match.end(),
                joined=bool(found) and not gap.strip(" \t\r\n-‐‑–'’"),
                possessive=after in {"'s", "’s"} or (plain.endswith("s") and after[:1] in {"'", "’"}),
            )
        )
        end = match.end() + (2 if after in {"'s", "’s"} else 0)
    return [word for word in found if word.normal != "s" or not _is_suffix(text, word)]


def _is_suffix(text: str, word: Word) -> bool:
    return word.start > 0 and text[word.start - 1] in "'’"


def phrase(text: str) -> Phrase:
    """`text` as comparable words: "Software-Developers" gives ("software", "developer")."""
    return tuple(word.normal for word in words(text))


def spans(text: Sequence[Word], known: Callable[[Phrase], bool], longest: int = 6) -> Iterator[tuple[int, int]]:
    """The places of known phrases in `text`, as (first, past last) word.

    The longest phrase wins, and places never overlap.
    """
    at = 0
    while at < len(text):
        reach = at + 1
        while reach < len(text) and reach - at < longest and text[reach].joined and not text[reach - 1].possessive:
            reach += 1
        for stop in range(reach, at, -1):
            if known(tuple(word.normal for word in text[at:stop])):
                yield at, stop
                at = stop
                break
        else:
            at += 1
