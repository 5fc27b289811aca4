"""Whether a prompt names a particular person, whom no rule may change.

A person is named by two capitalised words in a row ("Marie Curie"), a title before a capitalised word ("Queen
Victoria"), or a name that stands alone for one person ("Einstein"). Places and styles with such names are excepted. A
prompt that is capitalised throughout says nothing by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from fair_diffusion.policy.concepts import known, lists
from fair_diffusion.policy.words import Word, spans

FRAME = frozenset(["a", "an", "the", "two", "my", "close", "draw", "show", "painting", "drawing"])


def named_person(text: Sequence[Word]) -> str | None:
    """The words by which the prompt names a person, as written; None if it names none."""
    for word in text:
        if (word.normal,) in lists()["famous"] and word.text[0].isupper():
            return word.text
    if sum(_capital(word) for word in text) > max(3, len(text) // 2):
        return None
    taken = {
        i
        for first, stop in spans(text, lambda p: p in lists()["places"] or (len(p) > 1 and p in known()))
        for i in range(first, stop)
    }
    for i, (before, after) in enumerate(pairwise(text)):
        if not after.joined or before.possessive or {i, i + 1} & taken or not _capital(after) or _common(after):
            continue
        titled = (before.normal,) in lists()["titles"]
        if titled or (_capital(before) and not _common(before)):
            return f"{before.text} {after.text}"
    return None


def _capital(word: Word) -> bool:
    return word.text[0].isupper() and word.text[1:].islower()


def _common(word: Word) -> bool:
    """Whether a capitalised word is a known word for people, or merely opens a sentence with a frame's word."""
    phrase = (word.normal,)
    return phrase in known() or phrase in lists()["people"] or phrase in lists()["shown"] or word.normal in FRAME
