"""Whether a prompt depicts a particular person. No rule may change the picture of one.

A person is named by capitalised words in a row ("Marie Curie", "Vincent van Gogh", "J.K. Rowling"), by a title and a
word ("Dr. Smith"), by "called" or "named", or by a famous name alone ("einstein"). Places and brands ("in Central
Park", "Kodak Portra") and the maker of the picture ("by Greg Rutkowski") do not count. In a prompt that is capitalised
throughout, capitals mean nothing. No list of names is complete: an unknown name in small letters is missed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from fair_diffusion.policy.attributes import ATTRIBUTES
from fair_diffusion.policy.concepts import known, lists
from fair_diffusion.policy.words import Word, phrase, spans

FRAME = frozenset(["a", "an", "the", "two", "my", "close", "draw", "show", "painting", "drawing"])
_MAKER = re.compile(r"\b(?:by|style of|inspired by|after)\s+(?:the\s+)?$", re.IGNORECASE)
_INITIALS = re.compile(r"\b(?:[A-Z]\.[ -]?){1,3}[A-Z][^\W\d_]+")
_TITLED = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|Prof|Capt|Sgt)\. [A-Z][^\W\d_]+")


def named_person(prompt: str, text: Sequence[Word]) -> str | None:
    """The words of `prompt` that name a person, as written; None if it names nobody.

    `text` holds the prompt's words.
    """
    for first, stop in spans(text, lambda p: _plain(p) in lists()["famous"]):
        if not _MAKER.search(prompt[: text[first].start]):
            return prompt[text[first].start : text[stop - 1].end]
    for pattern in (_INITIALS, _TITLED):
        found = pattern.search(prompt)
        if found and not _MAKER.search(prompt[: found.start()]):
            return found.group()
    if sum(_capital(word) for word in text) > max(3, len(text) // 2):
        return None
    identities = dict.fromkeys(p for attribute in ATTRIBUTES.values() for p in attribute.stated_by)
    taken = {
        i
        for first, stop in spans(text, lambda p: p in lists()["places"] or (len(p) > 1 and p in (known() | identities)))
        for i in range(first, stop)
    }
    for i, word in enumerate(text):
        if i in taken or not _capital(word) or _MAKER.search(prompt[: word.start]):
            continue
        if _plain((word.normal,)) in lists()["surnames"] and not _in_place(text, i):
            return word.text
        if i and word.joined and not _common(word):
            before = text[i - 1]
            if (before.normal,) in lists()["titles"] or (before.normal,) in lists()["calling"]:
                return f"{before.text} {word.text}"
        last = _last_of_name(text, i, taken)
        if last > i and not _is_place(text, i, last):
            return prompt[word.start : text[last].end]
    return None


def _last_of_name(text: Sequence[Word], first: int, taken: set[int]) -> int:
    """The last word of the name that begins at `first`: capitalised words, with particles between.

    `first` if it is alone.
    """
    last = first
    if _common(text[first]):
        return last
    for i in range(first + 1, min(first + 6, len(text))):
        if not text[i].joined or text[i - 1].possessive or i in taken:
            break
        if _capital(text[i]) and not _common(text[i]):
            last = i
        elif (text[i].normal,) not in lists()["particles"]:
            break
    return last


def _is_place(text: Sequence[Word], first: int, last: int) -> bool:
    starts, ends = (text[first].normal,), (text[last].normal,)
    return starts in lists()["place_starts"] or ends in lists()["place_ends"] or _in_place(text, first)


def _in_place(text: Sequence[Word], first: int) -> bool:
    before = [word.normal for word in text[max(0, first - 2) : first] if word.normal != "the"]
    return bool(before) and (before[-1],) in lists()["locations"]


def _plain(words: tuple[str, ...]) -> tuple[str, ...]:
    """Words without accents: "beyoncé" → "beyonce"."""
    return phrase(unicodedata.normalize("NFKD", " ".join(words)).encode("ascii", "ignore").decode())


def _capital(word: Word) -> bool:
    return word.text[0].isupper() and any(letter.islower() for letter in word.text)


def _common(word: Word) -> bool:
    """Whether a capitalised word is a known word for people, or a word of the frame that merely opens a sentence."""
    one = (word.normal,)
    if one in ATTRIBUTES["skin_tone"].qualified_by and one not in lists()["colours"]:  # "Chinese", but "James Brown"
        return True
    return one in known() or one in lists()["people"] or one in lists()["shown"] or word.normal in FRAME
