"""Where the words for a group go in a prompt: before the whole name of the occupation.

    a school bus driver → a female school bus driver        a co-pilot → a female co-pilot
    [chef|baker]        → female [chef|baker]                (nurse:1.2) → (female nurse:1.2)

A noun that names how the picture is made is no part of the occupation, and alternatives in brackets stay together. In
Romance languages and Arabic the words follow the occupation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fair_diffusion.policy import vocabulary
from fair_diffusion.policy.concepts import known, lists
from fair_diffusion.policy.words import Word, words

_MOST = 2
"""How many nouns before an occupation may belong to it."""
_LONGEST = 6
_HYPHENS = frozenset("-‐‑")
_OPENING, _CLOSING = "([{", ")]}"
_WORDS_FOLLOW = frozenset(["fr", "es", "it", "pt", "ar"])
_NO_BLANKS = frozenset(["zh", "ja"])


class Place(NamedTuple):
    """Where words for a group go.

    Attributes:
        at: the character of the prompt before which they go.
        language: of the words for the occupation.
        before: whether the occupation follows them; in some languages they follow it.
        blank: what separates them from it.
        stop: the character of the prompt at which the words for the occupation end.
    """

    at: int
    language: str = "en"
    before: bool = True
    blank: str = " "
    stop: int = 0


def place(prompt: str, start: int) -> Place:
    """The place in `prompt` of the words for a group.

    Args:
        prompt: the prompt.
        start: the character at which the words for the occupation begin.
    """
    text = words(prompt)
    first = next((i for i, word in enumerate(text) if word.start <= start < word.end), None)
    if first is None:
        return Place(start, stop=len(prompt))
    stop, language = _occupation(text, first)
    end = text[stop - 1].end
    if language == "en":
        at = _before_alternatives(prompt, text[_first(prompt, text, first)].start)
        return Place(at, blank="_" if prompt[:at].endswith("_") else " ", stop=end)
    if language in _WORDS_FOLLOW:
        return Place(end, language, before=False, stop=end)
    return Place(text[first].start, language, blank="" if language in _NO_BLANKS else " ", stop=end)


def language(prompt: str, start: int | None) -> str:
    """The language of the words for the occupation that begin at character `start`, such as "de"; "en" without any."""
    return "en" if start is None else place(prompt, start).language


def _occupation(text: Sequence[Word], first: int) -> tuple[int, str]:
    """Where the known phrase that begins at word `first` ends, and its language."""
    for stop in range(min(len(text), first + _LONGEST), first, -1):
        if entry := known().get(tuple(word.normal for word in text[first:stop])):
            return stop, entry.language
    return first + 1, "en"


def _first(prompt: str, text: Sequence[Word], at: int) -> int:
    """The first word of the noun compound that word `at` belongs to."""
    nouns = 0
    while at > 0 and text[at].joined:
        before = text[at - 1]
        gap = prompt[before.end : text[at].start]
        if gap not in _HYPHENS:
            nouns += 1
            if nouns > _MOST or not _is_part(before) or gap.strip(" _\u00a0"):
                break
        at -= 1
    return at


def _is_part(word: Word) -> bool:
    """Whether a noun before an occupation is a part of its name: "school" in "school bus driver"."""
    plural = word.text.lower() != word.normal
    one = (word.normal,)
    noun = word.normal in vocabulary.nouns() and one not in lists()["styles"] and one not in lists()["frame"]
    return noun and not plural and not word.possessive


def _before_alternatives(prompt: str, at: int) -> int:
    """`at`, or the outermost bracket around it whose parts take turns: "[chef|baker]", "[chef:baker:0.5]"."""
    found = at
    opened: list[int] = []
    for i, character in enumerate(prompt):
        if character in _OPENING:
            opened.append(i)
        elif character in _CLOSING and opened:
            first = opened.pop()
            if first < at < i and _take_turns(prompt[first], prompt[first + 1 : i]):
                found = first
    return found


def _take_turns(bracket: str, inside: str) -> bool:
    return "|" in inside or (bracket == "[" and inside.count(":") > 1)
