"""Of whom a word of a prompt is said: "black" of the doctor, of the patient, of a bag, or of nobody.

An adjective belongs to the head of its noun phrase ("a Black doctor", "a black bag"). Behind a verb of being or a pause
it belongs to the person before ("the doctor is Black", "a nurse, Black"). What somebody has, wears or comes from
("with a beard", "in a hijab", "from Kenya") belongs to the nearest person before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fair_diffusion.policy.noun_phrase import People, Person, Same
from fair_diffusion.policy.sentence import Gap, grammar

_REACH = 8
"""The number of words between an adjective and its noun, at most."""


@dataclass(frozen=True)
class Owner:
    """Of whom something is said.

    Attributes:
        person: None if it is said of nobody, or of whoever the prompt is about.
        sure: `Same.NO` if it is said of nobody, else how sure the reading is.
    """

    person: Person | None
    sure: Same


NOBODY = Owner(None, Same.NO)
WHOEVER = Owner(None, Same.YES)
"""Of a tag: it is said of the one person of the prompt, and may be said of each of several."""
UNSURE = Owner(None, Same.UNSURE)


def of_adjective(
    people: People, first: int, stop: int, adjectives: Mapping[int, int], *, strong: bool, colour: bool
) -> Owner:
    """Of whom an adjective is said.

    Args:
        people: of the prompt.
        first: the first word of the adjective.
        stop: the word past it.
        adjectives: the first word of every adjective for people, and the word past it.
        strong: whether it is said of people alone ("female"), not of things too ("black", "German").
        colour: whether it is a colour.
    """
    lists = grammar()
    head, between = _head(people, stop, adjectives)
    if head is not None:
        if colour and any(word in lists["dress"] or word.endswith("ed") for word in between):  # "a black-clad doctor"
            return NOBODY
        return Owner(head, Same.UNSURE if between and colour else Same.YES)
    if between and between[-1] in lists["versions"]:
        return UNSURE
    features = (lists["skins"] if colour else lists["bodies"]) | lists["descent"]
    if between and (between[0] in lists["descent"] or between[-1] in features):
        return of_feature(people, first)  # "of Kenyan origin fixing a car", "with Asian features"
    if any(not word.endswith(("ing", "ed", "ly")) for word in between):
        return _before_thing(people, first) if strong else NOBODY
    return _predicate(people, first, strong=strong, colour=colour)


def _head(people: People, stop: int, adjectives: Mapping[int, int]) -> tuple[Person | None, list[str]]:
    """The person before whose head the words up to `stop` stand, and the words between that are no adjectives."""
    s, i = people.sentence, stop
    between: list[str] = []
    while i < len(s) and i - stop < _REACH:
        if s.gaps[i] != Gap.NONE and not (s.gaps[i] == Gap.COMMA and i in adjectives):
            break
        if person := people.starting(i):
            return person, between
        if i in adjectives:
            i = adjectives[i]
        elif s.low[i] in {"and", "or", "&"} and not between:  # "a Kenyan and a Nigerian doctor"
            i += 2 if s.word(i + 1) in {"a", "an"} else 1
            if i not in adjectives:
                break
        elif s.classes[i]:
            break
        else:
            between.append(s.low[i])
            if s.text[i].possessive:
                break
            i += 1
    return None, between


def _before_thing(people: People, first: int) -> Owner:
    """Of whom "female" is said before a thing: of nobody, but in "nurse female hospital" it may be the nurse."""
    s = people.sentence
    before, start = s.before(first), people.start(first)
    if s.joined(start) and s.text[start - 1].possessive:  # "a client's long blonde hair"
        owner = people.around(start - 1)
        return Owner(owner, Same.YES) if owner else NOBODY
    if before >= 0 and s.classes[before] in {"determiners", "prepositions"}:
        return NOBODY
    person = people.last_before(first)
    return Owner(person, Same.UNSURE) if person and person.stop > before >= 0 else UNSURE


def _predicate(people: People, first: int, *, strong: bool, colour: bool) -> Owner:
    """Of whom an adjective is said that has no noun behind it."""
    s = people.sentence
    before, person = s.before(first), people.last_before(first)
    if before < 0:
        return WHOEVER
    if s.classes[before] == "copulas" or s.low[before] in grammar()["looking"]:
        return Owner(person, Same.YES) if person else WHOEVER
    if colour and s.word(first + 1) == "with" and s.word(first + 2) in grammar()["dust"]:  # "black with soot"
        return NOBODY
    if person and before < person.stop:  # "doctor female"
        return Owner(person, Same.YES if strong else Same.UNSURE)
    made = s.low[before] in {"it", "them"} and s.word(before - 1) in {"make", "making", "made"}
    if person and (made or (s.low[before] == "but" and before == person.stop)):  # "doctor but black", "make it black"
        return Owner(person, Same.UNSURE)
    if s.classes[before] in {"prepositions", "auxiliaries", "verbs"}:  # "in white", "wearing black", "speaks French"
        return UNSURE if strong else NOBODY
    return NOBODY if colour else UNSURE


def of_feature(people: People, first: int) -> Owner:
    """Of whom it is said that somebody has, wears or comes from what begins at word `first`."""
    person = people.last_before(first)
    if person is None:
        return WHOEVER
    if people.sentence.class_of(person.start) == "relatives" or people.sentence.word(person.start - 1) == "whose":
        return UNSURE  # "a pilot whose parents came from Nigeria"
    if people.count_before(first) > 1 and not people.sentence.one_breath(person.stop - 1, first):
        return UNSURE
    return Owner(person, Same.YES)


def of_belonging(people: People, first: int, stop: int) -> Owner:
    """Of whom a beard or a hijab is said, the words `first:stop`."""
    s, lists = people.sentence, grammar()
    start = people.start(first)
    if s.joined(stop) and s.low[stop] in lists["feature_things"]:
        return NOBODY
    if s.joined(start) and s.text[start - 1].possessive:  # "a man's beard"
        person = people.last_before(start)
        return Owner(person, Same.YES) if person and person.stop == start else NOBODY
    if s.low[start] == "no":
        return NOBODY
    link = s.before(start)
    if link < 0:
        return of_feature(people, start)
    if s.low[link] in lists["absent"] or s.low[link] in lists["grooming"]:
        return NOBODY
    if s.classes[link] in {"auxiliaries", "conjunctions"} or s.low[link] in {"with", "in", "w"}:
        return of_feature(people, link)
    person = people.last_before(start)
    return Owner(person, Same.UNSURE) if person else UNSURE


def of_origin(people: People, link: int) -> Owner:
    """Of whom "from Kenya" or "born in Kenya" is said; `link` is the place of "from" or "born"."""
    s = people.sentence
    before, person = s.before(link), people.last_before(link)
    if before >= 0 and s.low[before] in grammar()["goods"]:
        return NOBODY
    moved = before < 0 or s.classes[before] in {"copulas", "verbs", "relatives"} or s.low[before] in grammar()["coming"]
    if moved or (person and before < person.stop):
        return of_feature(people, link)
    return Owner(person, Same.UNSURE) if person else UNSURE
