"""Words for workers that depict no human: statues, toys, robots and animals in their place, and names of places.

"A tin soldier", "a statue of a firefighter" and "a cat dressed as a chef" show no worker; "a doctor with a robot" does.
"""

from __future__ import annotations

from dataclasses import replace

from fair_diffusion.policy.concepts import Mention, lists
from fair_diffusion.policy.noun_phrase import Head, People, Same
from fair_diffusion.policy.refused import ARTICLES
from fair_diffusion.policy.sentence import Gap, Sentence, grammar

_TITLED = frozenset(["of", "from", "for", "called", "titled", "named", "in"])
"""Words between a work and its title."""
_TOWNS = frozenset(
    "city town village lake beach bay valley river island county hill hills creek falls springs heights".split()
)
"""Ends of names of places that are no places to work at."""


def refused(sentence: Sentence, mention: Mention) -> Mention:
    """The mention, with the reason if the words around it say that no human is meant."""
    if mention.refused:
        return mention
    if _is_written(sentence, mention):
        return replace(mention, refused="it is only written")
    if _is_title(sentence, mention):
        return replace(mention, refused="it is a title")
    if in_place_name(sentence, mention.stop) or _is_town(sentence, mention):
        return replace(mention, refused="it is a part of a name")
    if _is_figure(sentence, mention):
        return replace(mention, refused="no human is meant")
    return mention


def _is_written(s: Sentence, mention: Mention) -> bool:
    """Whether the mention is a text in the picture: "the word nurse", "a sign saying 'best doctor'"."""
    start = max(mention.first - 2, 0)
    return any(s.low[i] in grammar()["written"] for i in range(start, mention.first)) and s.one_sentence(
        start, mention.first
    )


def _is_title(s: Sentence, mention: Mention) -> bool:
    """Whether the mention is the title of a work, in capitals: "a poster of Taxi Driver"."""
    if not s.capitals_tell or not all(s.capital(i) for i in range(mention.first, mention.stop)):
        return False
    first = mention.first
    while s.joined(first) and s.capital(first - 1):  # "The Piano Teacher"
        first -= 1
    link = first - 1 if s.joined(first) and s.word(first - 1) in _TITLED else first
    return s.joined(link) and s.text[link - 1].normal in grammar()["titled"]


def _is_figure(s: Sentence, mention: Mention) -> bool:
    """Whether a statue, a toy, an animal or the like is meant: "a tin soldier", "a cat dressed as a chef"."""
    lists = grammar()
    after = s.text[mention.stop].normal if s.joined(mention.stop) else ""
    if after in lists["modelled"] and not after.endswith("ing"):
        return True
    first = mention.first - 1 if _works_with(s, mention) else mention.first
    before = [s.text[i].normal for i in range(max(0, first - 5), first)]
    nouns = [word for word in before if word not in ARTICLES]
    if s.joined(first) and s.low[first - 1].endswith("ics"):  # "a robotics engineer", "a plastics engineer"
        return False
    if nouns and nouns[-1] in lists["figures"] | lists["materials"]:
        return True
    owned = nouns[-2:-1] if nouns[-1:] == ["of"] and nouns[-3:-2] != ["in"] else []  # "in the uniform of" is worn
    if not (lists["figures"] | lists["things_of"]).isdisjoint(owned):
        return True
    if "as" in nouns and not lists["figures"].isdisjoint(nouns[: nouns.index("as")]):
        return True
    return _same_as_figure(s, mention, first)


def _works_with(s: Sentence, mention: Mention) -> bool:
    """Whether the word before a worker names what the worker deals with: "a banana farmer", "a tin miner"."""
    if not s.joined(mention.first) or s.text[mention.first - 1].possessive:
        return False
    lists, last, before = grammar(), s.text[mention.stop - 1].normal, s.text[mention.first - 1].normal
    made = before in lists["materials"] | lists["modelled"]
    return last in lists["makers"] or (last in lists["farmers"] and not made)


def _same_as_figure(s: Sentence, mention: Mention, first: int) -> bool:
    """Whether a figure before word `first` is the worker: "a penguin in a hat, working as a chef"."""
    lists = grammar()
    figures = [
        Head(i, i + 1, "person")
        for i in range(max(0, mention.first - 12), first)
        if s.text[i].normal in lists["figures"]
    ]
    if not figures:
        return False
    people = People(s, [*figures, Head(mention.first, mention.stop, "worker")])
    figure, worker = people.people[-2:]
    link = s.before(worker.start)
    if link > 0 and s.low[link] == "of" and s.text[link - 1].normal in lists["modelled"]:
        return True
    same = people.same(figure, worker)
    return same == Same.YES or (same == Same.UNSURE and s.joined(worker.start))


def in_place_name(sentence: Sentence, stop: int) -> bool:
    """Whether the word before `stop` is a part of a place's name: "Butler University", "King High School"."""
    if not sentence.joined(stop):
        return False
    if sentence.low[stop] in {"university", "college"}:
        return True
    if not sentence.capital(stop - 1):
        return False
    if not sentence.capitals_tell:  # "Baker City, Oregon"
        return sentence.capital(stop) and sentence.low[stop] in _TOWNS and _is_bare(sentence, stop - 1)
    while sentence.joined(stop) and sentence.capital(stop):
        if (sentence.text[stop].normal,) in lists()["place_ends"]:
            return True
        stop += 1
    return False


def _is_bare(s: Sentence, i: int) -> bool:
    """Whether word `i` stands without an article or an adjective before it, as a name does."""
    return not s.joined(i) or s.classes[i - 1] == "prepositions"


def _is_town(s: Sentence, mention: Mention) -> bool:
    """Whether a town is meant: "Butler, Pennsylvania"."""
    i = mention.stop
    if i - mention.first > 1 or not s.capital(mention.first) or not _is_bare(s, mention.first):
        return False
    states = lists()["states"]
    return i < len(s) and s.gaps[i] == Gap.COMMA and any((*s.low[i:k],) in states for k in (i + 1, i + 2))
