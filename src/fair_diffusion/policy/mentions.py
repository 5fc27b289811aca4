"""The places of a prompt that name a concept, and those among them that depict nobody."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice

from rapidfuzz.distance import OSA

from fair_diffusion.policy import vocabulary
from fair_diffusion.policy.concepts import Mention, known, lists
from fair_diffusion.policy.refused import ARTICLES, refusal
from fair_diffusion.policy.words import Phrase, Word, spans

MOST = 500
"""Places that are read, from the beginning of a prompt. One figure is steered, and few models read 500 words."""
_SHORTEST_PART = 3
"""The letters of either word of a misspelt pair, at least."""
_NOT_THE_SAME = frozenset(["vice", "ex", "former", "deputy", "assistant", "apprentice", "trainee"])
"""Words that make another occupation of the one that follows."""


def mentions(text: Sequence[Word], extra: frozenset[Phrase], *, people: bool) -> list[Mention]:
    """The first `MOST` places where `text` names a concept.

    Where phrases overlap, the longest counts, and one of `extra` before it.

    Args:
        text: the words of a prompt.
        extra: phrases that count beside the known occupations.
        people: whether words for any person ("woman", "passenger") count too.
    """
    wanted = [extra, known(), lists()["people"] if people else frozenset()]
    never = lists()["never"] | vocabulary.phrases_of_things()
    spelt = _spelt(text, extra)
    found = []
    places = spans(spelt, lambda p: _meant(p, wanted) is not None or p in never)
    for first, stop in islice(places, MOST):
        written = tuple(word.normal for word in spelt[first:stop])
        if written in never and written not in extra:
            found.append(_fixed(text, first, stop, written, wanted))
            continue
        first = _first_of_rule(written, first, extra)
        written = tuple(word.normal for word in spelt[first:stop])
        words = _meant(written, wanted) or written
        misspelt = any(spelt[i] is not text[i] for i in range(first, stop))
        refused = refusal(text, first, stop, words)
        if words in lists()["faced"] - extra and not any(
            word.normal == "face" for word in text[max(0, first - 5) : first]
        ):
            refused = refused or "it may mean a thing"
        found.append(Mention(first, stop, words, refused, " ".join(words) if misspelt else None))
    return found


def _fixed(
    text: Sequence[Word], first: int, stop: int, written: Phrase, wanted: Sequence[Collection[Phrase]]
) -> Mention:
    """A phrase that names a thing: told as the word in it that a thing follows ("guard dog"), or as a whole."""
    if written not in lists()["never"]:
        for end in range(stop - 1, first, -1):
            words = _meant(written[: end - first], wanted)
            if words and (reason := refusal(text, first, end, words)):
                return Mention(first, end, words, reason)
    return Mention(first, stop, written, "it is a fixed phrase")


def _meant(written: Phrase, wanted: Sequence[Collection[Phrase]]) -> Phrase | None:
    """The phrase of `wanted` that is written so, as one word or as two ("fire fighter"); None if there is none."""
    for phrases in wanted:
        if written in phrases:
            return written
    closed = ("".join(written),)
    if 1 < len(written) < 4 and min(map(len, written)) > 1:
        told = next((closed for phrases in wanted if closed in phrases and _is_english(closed)), None)
        return told or _misspelt_pair(written, wanted)
    return _closed().get(closed) if len(written) == 1 else None


def _misspelt_pair(written: Phrase, wanted: Sequence[Collection[Phrase]]) -> Phrase | None:
    """The phrase that two words were meant to be with one letter wrong in one of them: "fire figher"."""
    closed = "".join(written)
    if len(written) != 2 or min(map(len, written)) < _SHORTEST_PART or closed in vocabulary.ordinary():
        return None
    meant = vocabulary.typo(closed)
    if meant is None or abs(len(meant) - len(closed)) > 1 or OSA.distance(meant, closed) > 1:
        return None
    begun = meant.startswith(written[0]) or meant.endswith(written[1])
    return (meant,) if begun and any((meant,) in phrases for phrases in wanted) else None


def _is_english(words: Phrase) -> bool:
    return words not in known() or known()[words].language == "en"  # "Pilotin" is no "pilot in"


@cache
def _closed() -> dict[Phrase, Phrase]:
    """The English phrases of two words and more by what they are as one word: "policeofficer"."""
    return {
        ("".join(words),): words
        for words, entry in known().items()
        if len(words) > 1 and entry.language == "en" and ("".join(words),) not in known()
    }


def _first_of_rule(written: Phrase, first: int, extra: frozenset[Phrase]) -> int:
    """Where a known phrase begins, or a shorter phrase of a rule at its end: "heart surgeon" holds "surgeon".

    A phrase that is known to belong to that rule stays whole: "school teacher" is a teacher.
    """
    if written in extra or written[0] in _NOT_THE_SAME:
        return first
    entry = known().get(written)
    for cut in range(1, len(written)):
        rule = known().get(written[cut:])
        belongs = entry and rule and rule.relation != "kind" and rule.occupation == entry.occupation
        if written[cut:] in extra and not belongs:
            return first + cut
    return first


def _spelt(text: Sequence[Word], extra: frozenset[Phrase]) -> list[Word]:
    """The words of a prompt, where a misspelt word for an occupation is spelt well."""
    rules = {word for words in extra for word in words}
    titled = sum(word.text[0].isupper() for word in text) > len(text) // 2
    found = []
    for i, word in enumerate(text):
        name = i > 0 and word.text[0].isupper() and (not titled or text[i - 1].normal in vocabulary.first_names())
        article = i > 0 and word.joined and text[i - 1].normal in ARTICLES and word.text.islower()
        meant = None if name or word.normal in rules else vocabulary.typo(word.normal, noun=article)
        found.append(replace(word, normal=meant) if meant else word)
    return found
