"""Whether a prompt is set in a time that fixes who its people were, and the exemptions of a policy.

"WWII soldiers", "a cook in ancient Rome" and "a Victorian doctor" are left alone without any policy saying so; "a
doctor in a Victorian house" and "a teacher explaining World War II" are not. The names of times are data, in
`history.yaml`. An exemption holds for all forms of a name: "medieval" for "mediaeval" and "the Middle Ages".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from fair_diffusion.policy.attributes import read_data
from fair_diffusion.policy.noun_phrase import Person
from fair_diffusion.policy.sentence import Sentence
from fair_diffusion.policy.words import Phrase, Word, first_words, phrase, spans

_YEARS = range(1100, 1950)
_SIZES = frozenset(["1024", "1080", "1152", "1216", "1280", "1344", "1440", "1536", "1600", "1920"])
"""Numbers that are rather sizes of pictures."""


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = read_data("history.yaml")
    return data


@cache
def _words(name: str) -> frozenset[Phrase]:
    listed = _data()[name]
    return frozenset(phrase(form) for forms in listed for form in (forms if isinstance(forms, list) else [forms]))


@cache
def _forms() -> dict[Phrase, int]:
    """The number of the time that each form names."""
    times = [forms for name in ("events", "eras", "spans") for forms in _data()[name]]
    return {phrase(form): number for number, forms in enumerate(times) for form in forms}


def exempted(text: Sequence[Word], exemptions: Sequence[str]) -> str | None:
    """The first of the `exemptions` that holds for a prompt with the words `text`; None if none does."""
    wanted = {phrase(exemption): exemption for exemption in exemptions}
    times = {_forms()[words]: exemption for words, exemption in wanted.items() if words in _forms()}
    for first, stop in spans(text, lambda p: p in wanted or _forms().get(p) in times):
        words = tuple(word.normal for word in text[first:stop])
        return wanted.get(words) or times[_forms()[words]]
    return None


def past(sentence: Sentence, worker: Person) -> str | None:
    """The words that set the worker in a time that fixes who people were; None if there are none."""
    text = sentence.text
    known = _words("events") | _words("eras") | _words("roles") | _words("styles")
    for first, stop in spans(text, known.__contains__, begins=first_words(known)):
        words = tuple(word.normal for word in text[first:stop])
        own = worker.start <= first < worker.stop
        if own or (
            words not in _words("roles") | _words("styles")
            and _is_when(sentence, first, stop, event=words in _words("events"))
        ):
            return " ".join(word.text for word in text[first:stop])
    return next((word for i, word in enumerate(sentence.low) if _is_year(sentence, i, worker)), None)


def _is_when(sentence: Sentence, first: int, stop: int, *, event: bool) -> bool:
    """Whether a time says when the scene is: "in ancient Rome", or a tag of its own."""
    link = first - 1
    while sentence.joined(link + 1) and link >= 0 and sentence.classes[link] == "determiners":
        link -= 1
    goes_on = sentence.joined(stop) and sentence.classes[stop] not in {
        "prepositions",
        "conjunctions",
        "relatives",
        "verbs",
        "copulas",
    }
    if goes_on and sentence.low[stop] in _plain("times"):
        goes_on = False
    if goes_on and not event:
        return False
    if link < 0 or not sentence.joined(link + 1):
        return True
    if sentence.low[link] in _plain("subjects"):
        return False
    return sentence.classes[link] == "prepositions" or (event and sentence.classes[link] == "")


@cache
def _plain(name: str) -> frozenset[str]:
    return frozenset(map(str, _data()[name]))


def _is_year(sentence: Sentence, i: int, worker: Person) -> bool:
    word = sentence.low[i]
    if len(word) != 4 or not word.isdecimal() or int(word) not in _YEARS:
        return False
    before = sentence.word(i - 1) if sentence.joined(i) else ""
    if before in {"in", "circa", "ca", "c", "since", "around", "during", "year", "from", "of", "anno"}:
        return True
    forces = any(word.normal in _plain("forces") for word in sentence.text[worker.start : worker.stop])
    alone = not sentence.joined(i) and not sentence.joined(i + 1) and word not in _SIZES
    return alone or (forces and before not in {"iso", "size", "width", "height"})
