"""Words for workers that depict no human: statues, toys, robots and animals in their place, and verbs.

"A tin soldier", "a statue of a firefighter" and "a cat dressed as a chef" show no worker; "a doctor with a robot" does.
In "friends cook together" the word is a verb.
"""

from __future__ import annotations

from dataclasses import replace

from fair_diffusion.policy.concepts import Mention
from fair_diffusion.policy.noun_phrase import Head, People, Same, Sentence, grammar


def refused(sentence: Sentence, mention: Mention) -> Mention:
    """The mention, with the reason if the words around it say that no human is meant."""
    if mention.refused:
        return mention
    if _is_verb(sentence, mention):
        return replace(mention, refused="it is a verb here")
    if _is_figure(sentence, mention):
        return replace(mention, refused="no human is meant")
    return mention


def _is_verb(s: Sentence, mention: Mention) -> bool:
    word, before = s.low[mention.first], s.before(mention.first)
    if mention.stop > mention.first + 1 or word not in grammar()["verbs"] or before < 0 or s.text[before].possessive:
        return False
    several = s.text[before].normal != s.low[before] and not s.classes[before]
    return several and s.text[before].normal in _DOERS


_DOERS = frozenset(
    [
        "friend",
        "person",
        "man",
        "woman",
        "child",
        "kid",
        "boy",
        "girl",
        "student",
        "parent",
        "family",
        "couple",
        "neighbor",
        "neighbour",
        "volunteer",
        "soldier",
        "dog",
        "player",
        "colleague",
        "lady",
        "brother",
        "sister",
        "adult",
        "teenager",
        "villager",
    ]
)


def _is_figure(s: Sentence, mention: Mention) -> bool:
    lists = grammar()
    if s.joined(mention.first) and s.low[mention.first - 1] in lists["materials"]:
        return True
    if s.joined(mention.stop) and s.text[mention.stop].normal in lists["modelled"]:
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
