"""Words for workers that depict no human: statues, toys, robots and animals in their place, and names of places.

"A tin soldier", "a statue of a firefighter" and "a cat dressed as a chef" show no worker; "a doctor with a robot" does.
"""

from __future__ import annotations

from dataclasses import replace

from fair_diffusion.policy.concepts import Mention, lists
from fair_diffusion.policy.noun_phrase import Head, People, Same
from fair_diffusion.policy.sentence import Sentence, grammar


def refused(sentence: Sentence, mention: Mention) -> Mention:
    """The mention, with the reason if the words around it say that no human is meant."""
    if mention.refused:
        return mention
    if _is_written(sentence, mention):
        return replace(mention, refused="it is only written")
    if in_place_name(sentence, mention.stop):
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


def _is_figure(s: Sentence, mention: Mention) -> bool:
    lists = grammar()
    if s.joined(mention.first) and s.low[mention.first - 1] in lists["materials"]:
        return True
    after = s.text[mention.stop].normal if s.joined(mention.stop) else ""
    if after in lists["modelled"] and not after.endswith("ing"):
        return True
    figures = [
        Head(i, i + 1, "person")
        for i in range(max(0, mention.first - 12), mention.first)
        if s.text[i].normal in lists["figures"]
    ]
    if not figures:
        return False
    people = People(s, [*figures, Head(mention.first, mention.stop, "worker")])
    worker = people.people[-1]
    figure = people.people[-2]
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
    if not sentence.capitals_tell or not sentence.capital(stop - 1):
        return False
    while sentence.joined(stop) and sentence.capital(stop):
        if (sentence.text[stop].normal,) in lists()["place_ends"]:
            return True
        stop += 1
    return False
