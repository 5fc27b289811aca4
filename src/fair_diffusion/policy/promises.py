"""Names that promise what no picture shows, such as a religion, in disguise and in other languages too.

Names are compared without accents, figures for letters ("r3ligion"), blanks between letters ("g a y"), and, where they
are long, one wrong letter. Exports `promised`.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import NamedTuple

from rapidfuzz.distance import OSA

from fair_diffusion.policy.attributes import read_data
from fair_diffusion.policy.lexicon import FIGURES
from fair_diffusion.policy.words import Phrase, phrase

LONG = 8
"""Letters from which on a name with one wrong letter is the same name."""


class Promise(NamedTuple):
    """Why a name is refused, and what to do instead."""

    why: str
    mend: str


def promised(name: str, *, group: bool) -> Promise | None:
    """What a name promises that no picture shows; None if it promises nothing of the kind.

    Args:
        name: a name of an attribute, or of one of its groups.
        group: whether it is a group's. Groups may have words that no attribute may: "country style".
    """
    words = _without_harmless(_comparable(name.replace("_", " ")))
    readings = {words, tuple(word.translate(FIGURES) for word in words), _gathered(words)}
    for entry, promises in _promises(group=group):
        if any(_says(reading, each) for reading in readings for each in promises):
            return entry
    return None


def _says(words: Phrase, promise: Phrase) -> bool:
    """Whether words have those of a promise in a row, written together, with one wrong letter, or as a quality."""
    joined = "".join(promise)
    if len(promise) > 1 and joined in words:
        return True
    return any(all(map(_alike, row, promise)) for row in _rows(words, len(promise)))


def _alike(word: str, meant: str) -> bool:
    """Whether a word is the one that is meant: itself, its quality ("queerness"), or a misspelling of a long one."""
    if word in (meant, f"{meant}ness"):
        return True
    return len(meant) >= LONG and word[0] == meant[0] and OSA.distance(word, meant, score_cutoff=1) <= 1


def _comparable(text: str) -> Phrase:
    """The words of a text in comparable form, without accents."""
    letters = unicodedata.normalize("NFKD", text)
    return phrase("".join(letter for letter in letters if not unicodedata.combining(letter)))


def _gathered(words: Phrase) -> Phrase:
    """Words with single letters in a row written together: "g a y" gives "gay"."""
    found: list[str] = []
    for k, word in enumerate(words):
        if len(word) == 1 and k and len(words[k - 1]) == 1:
            found[-1] += word
        else:
            found.append(word)
    return tuple(found)


@cache
def _promises(*, group: bool) -> list[tuple[Promise, list[Phrase]]]:
    """Every promise with its words; an attribute may have no word of a group either."""
    data = read_data("refused_names.yaml")
    entries = [*data["groups"], *([] if group else data["attributes"])]
    return [(Promise(each["why"], each["mend"]), [_comparable(word) for word in each["words"]]) for each in entries]


def _without_harmless(words: Phrase) -> Phrase:
    """Words without those that hold such a word and promise nothing: "religious dress"."""
    for harmless in map(_comparable, read_data("refused_names.yaml")["harmless"]):
        if harmless in (rows := _rows(words, len(harmless))):
            at = rows.index(harmless)
            words = words[:at] + words[at + len(harmless) :]
    return words


def _rows(words: Phrase, length: int) -> list[Phrase]:
    """All rows of so many words."""
    return [words[i : i + length] for i in range(len(words) - length + 1)]
