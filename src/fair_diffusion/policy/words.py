"""The words of a text in comparable form: whole words in lower case and singular.

Soft hyphens and other characters that take no room are read over, and "photo_of_a_nurse" has five words. Chinese and
Japanese have no blanks between words: there the shipped words are cut out of the text. A known Arabic, French or
Italian word loses the article that is written together with it ("d'architecte"). What a network's name in angle
brackets says, and a weight in round ones ("(nurse:1.2)"), is no part of the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from fair_diffusion.policy import vocabulary

Phrase = tuple[str, ...]
"""A sequence of comparable words, as `phrase` makes it."""

_UNSEEN = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_MARKS = "\u0300-\u036f\u064b-\u0652"
_LETTERS = rf"[^\W_](?:[{_UNSEEN}{_MARKS}]*[^\W_])*[{_MARKS}]*"
_NO_WORDS = r"<[a-z]+:[^<>]*>|\bembedding:[^\s,]+|:\s?-?\d*+(?:\.\d++)?(?=[)\]])"
_WORD = re.compile(rf"{_NO_WORDS}|({_LETTERS}(?:['’](?!s\b){_LETTERS})*)", re.IGNORECASE)
_NOT_PLAIN = re.compile(f"[{_UNSEEN}\u064b-\u0652]")
_BETWEEN = " \t\r\n\u00a0\u2007\u2009\u202f_-‐‑–'’" + _UNSEEN
_UNBROKEN = re.compile(r"[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
_KATAKANA = re.compile(r"[\u30a1-\u30ff]")
_ARABIC = re.compile(r"[\u0620-\u064a]")
_ELIDED = re.compile(r"(?:[dlst]|qu|un|dell|all|nell|dall|sull|quell)'(?=..)")
_CLITICS = re.compile(r"[وف]?(?:[بكل]?ال|لل|[بكل])?")
PLURAL = {"woman": "women", "man": "men", "person": "people", "child": "children"}
_IRREGULAR = {
    **{many: one for one, many in PLURAL.items()},
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
    if word.endswith("innen") and len(word) > 7:  # German: "Ärztinnen"
        return word[:-3]
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
        if match[1] is None:
            continue
        gap = text[end : match.start()]
        after = text[match.end() : match.end() + 2].lower()
        joined = bool(found) and not gap.strip(_BETWEEN)
        if _UNBROKEN.search(match[1]):
            found += _cut(text, match.start(), match.end(), joined)
            end = match.end()
            continue
        plain = _plain(match[1])
        possessive = after in {"'s", "’s"} or (plain.endswith("s") and after[:1] in {"'", "’"})
        found.append(Word(match[1], _comparable(plain), match.start(), match.end(), joined, possessive))
        end = match.end() + (2 if after in {"'s", "’s"} else 0)
    return [word for word in found if word.normal != "s" or not _is_suffix(text, word)]


@lru_cache(maxsize=20_000)
def _plain(text: str) -> str:
    """A word in lower case, with one spelling for each letter and nothing that is not seen."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", _NOT_PLAIN.sub("", text)).casefold().replace("’", "'")


@lru_cache(maxsize=20_000)
def unaccented(word: str) -> str:
    """A word without accents: "beyoncé" gives "beyonce"."""
    if word.isascii():
        return word
    return "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))


@lru_cache(maxsize=20_000)
def _comparable(plain: str) -> str:
    """The comparable form of a plain word: the singular, and a known word without what is written together with it."""
    if elided := _ELIDED.match(plain):
        rest = singular(plain[elided.end() :])
        known = vocabulary.words_of_occupations("fr") | vocabulary.words_of_occupations("it")
        return rest if rest in known else singular(plain)
    if not _ARABIC.match(plain):
        return singular(plain)
    known = vocabulary.words_of_occupations("ar")
    clitics = _CLITICS.match(plain)
    longest = clitics.end() if clitics and plain not in known else 0
    return next((plain[cut:] for cut in range(longest, 0, -1) if plain[cut:] in known), plain)


def _cut(text: str, start: int, stop: int, joined: bool) -> list[Word]:
    """The words of `text[start:stop]`, which is Chinese or Japanese: shipped words, and what is between."""
    known, longest = vocabulary.unbroken(), 12
    found: list[Word] = []
    rest = at = start

    def add(first: int, last: int) -> None:
        if first < last:
            plain = _plain(text[first:last])
            found.append(Word(text[first:last], plain, first, last, joined or bool(found), False))

    while at < stop:
        for end in range(min(at + longest, stop), at, -1):
            if text[at:end] in known and _is_whole(text, at, end, start, stop):
                add(rest, at)
                add(at, end)
                rest = at = end
                break
        else:
            at += 1
    add(rest, stop)
    return found


def _is_whole(text: str, first: int, last: int, start: int, stop: int) -> bool:
    """Whether `text[first:last]` is no part of a longer word in katakana: "コック" is none in "コックピット"."""
    begins = first == start or not (_KATAKANA.match(text[first]) and _KATAKANA.match(text[first - 1]))
    return begins and (last == stop or not (_KATAKANA.match(text[last - 1]) and _KATAKANA.match(text[last])))


def _is_suffix(text: str, word: Word) -> bool:
    return word.start > 0 and text[word.start - 1] in "'’"


def phrase(text: str) -> Phrase:
    """`text` as comparable words: "Software-Developers" gives ("software", "developer")."""
    return tuple(word.normal for word in words(text))


@lru_cache(maxsize=64)
def first_words(phrases: frozenset[Phrase]) -> frozenset[str]:
    """The words with which `phrases` begin."""
    return frozenset(words[0] for words in phrases)


def spans(
    text: Sequence[Word],
    known: Callable[[Phrase], bool],
    longest: int = 6,
    begins: frozenset[str] | None = None,
) -> Iterator[tuple[int, int]]:
    """The places of known phrases in `text`, as (first, past last) word.

    The longest phrase wins, and places never overlap. `begins` are the words with which known phrases begin; None if
    any word may.
    """
    normal = tuple(word.normal for word in text)
    told: dict[Phrase, bool] = {}
    at = end = 0
    while at < len(text):
        if begins is not None and normal[at] not in begins:
            at += 1
            continue
        if at >= end:
            end = at + 1
            while end < len(text) and text[end].joined and not text[end - 1].possessive:
                end += 1
        for stop in range(min(end, at + longest), at, -1):
            words = normal[at:stop]
            if words not in told:
                told[words] = known(words)
            if told[words]:
                yield at, stop
                at = stop
                break
        else:
            at += 1
