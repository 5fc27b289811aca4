"""Concepts as a person writes them, in an instruction or a policy file: known, misspelt, unknown, or no concept at all.

A misspelt concept is read as the known one, and an unknown one is taken as it is; a warning tells either. A word that
cannot be meant as a person is a mistake, since a rule for it would never fire.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from rapidfuzz import process
from rapidfuzz.distance import OSA

from fair_diffusion.policy import vocabulary
from fair_diffusion.policy.attributes import Attributes, built_in
from fair_diffusion.policy.concepts import EVERY_OCCUPATION, WILDCARDS, canonical, known, lists
from fair_diffusion.policy.errors import Problem
from fair_diffusion.policy.tokens import Token, kinds, plain, tokenize
from fair_diffusion.policy.words import Phrase, phrase

MEND = 'name an occupation, such as "firefighter"'
_SHORT = 4
"""The letters of a word for which a known one is proposed, at least."""
NEAR, THING = 0.35, 0.1
"""An unknown word is taken for a person if it is this near to an occupation, and not so much nearer to a thing.

Of 82 words and titles for people all but three are then taken ("elf", and "wizard" and "viking", which state a gender),
38 of them with a warning; of 64 words for things, or for nothing, eleven are, all with a warning ("nursing", "foo")."""


@dataclass
class Concepts:
    """The concepts of one clause.

    Attributes:
        names: what the rule holds for.
        exceptions: what its wildcard does not cover.
        problems: every mistake.
        warnings: how misspelt and unknown concepts were read.
        unknown: whether one of them is unknown.
    """

    names: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unknown: bool = False

    @property
    def label(self) -> str:
        """The concepts as one text, which names the rule."""
        return ", ".join(self.names) + (f" except {', '.join(self.exceptions)}" if self.exceptions else "")


def read_concepts(named: Sequence[Token], excepted: Sequence[Token], line: int | None) -> Concepts:
    """The concepts that tokens of a sentence name, and those that they except."""
    read = Concepts()
    read.names = _names(named, read, line)
    read.exceptions = _names(excepted, read, line, known_only=True)
    if read.exceptions and not set(read.names) & set(WILDCARDS) and not read.problems:
        message = "only 'every occupation' and 'everyone' have exceptions"
        read.problems.append(Problem(line, read.exceptions[0], message, 'write "every occupation except …"'))
    return read


def _names(tokens: Sequence[Token], read: Concepts, line: int | None, *, known_only: bool = False) -> tuple[str, ...]:
    """The concepts that tokens name, each once. Mistakes and warnings are added to `read`."""
    names = []
    for token in tokens:
        if token.kind != "C":
            continue
        try:
            name, warning = checked(token.text, token.value)
            if known_only and not is_known(name):
                raise ValueError(f"this is no known occupation, so it cannot be excepted; {MEND}")
        except ValueError as error:
            message, _, mend = str(error).partition("; ")
            read.problems.append(Problem(line, token.text, message, mend))
            continue
        names.append(name)
        read.warnings += [warning] if warning else []
        read.unknown |= not is_known(name)
    return tuple(dict.fromkeys(names))


@cache
def _people() -> frozenset[Phrase]:
    """Words for a person that name no occupation."""
    return vocabulary.people().union(lists()["people"])


@cache
def _stating() -> frozenset[Phrase]:
    """Words that state a gender or a skin tone: "black", "bearded". Those of age are in titles too: "senior nurse"."""
    return frozenset(phrase(word) for name in ("gender", "skin_tone") for word, *_ in built_in()[name].stating)


def is_known(concept: str) -> bool:
    """Whether a concept is a known occupation, a word for any person, or a wildcard."""
    return concept in WILDCARDS or phrase(concept) in known() or phrase(concept) in _people()


def read_concept(text: str, attributes: Attributes | None = None) -> tuple[str, str | None]:
    """The concept that `text`, an entry of a policy file, names; and a warning, or None.

    Raises:
        ValueError: it names none: "what is wrong; mend".
    """
    words = phrase(text)
    if words in known() or words in _people():
        return checked(text, words)
    tokens = tokenize(plain(text), attributes)
    if kinds(tokens) != "C":
        odd = next((token for token in tokens if token.kind != "C"), None)
        if odd is not None and odd.kind == "!":
            raise ValueError(odd.value)
        raise ValueError(f"{odd.text!r} is no part of a concept; {MEND}" if odd else f"this is no concept; {MEND}")
    if tokens[0].value[0] in WILDCARDS:
        every = "occupation" if tokens[0].value[0] == EVERY_OCCUPATION else "person"
        raise ValueError(f"this is a kind of concept; write 'every: {every}' instead of 'concepts'")
    return checked(tokens[0].text, tokens[0].value, title=True)


def checked(text: str, words: Phrase, *, title: bool = False) -> tuple[str, str | None]:
    """The concept of comparable `words`, written as `text`; and a warning, or None.

    Args:
        text: as written.
        words: the same, comparable.
        title: whether unknown words may follow a known one, as in "chef de partie". In a sentence they are more likely
            to mean something else: "doctors abroad".

    Raises:
        ValueError: the words name no concept: "what is wrong; mend".
    """
    if words[0] in WILDCARDS:
        return words[0], None
    if odd := foreign_letter(text):
        raise ValueError(f"it holds {odd}; write the word in letters of one alphabet")
    if words in lists()["never"] or words in vocabulary.phrases_of_things():
        raise ValueError(f"this fixed phrase names no person; {MEND}")
    if words in _people():
        return " ".join(words), None
    if entry := known().get(words):
        concept = " ".join(words)
        if entry.relation == "gendered" and (entry.group or entry.language == "en"):
            return concept, f"{text!r} states a gender itself; the rule holds for prompts about {canonical(concept)!r}"
        return concept, None
    corrected = tuple(vocabulary.typo(word, noun=True) or word for word in words)
    if corrected != words and (corrected in known() or corrected in _people()):
        return " ".join(corrected), f"read {text!r} as {' '.join(corrected)!r}"
    return " ".join(words), _unknown(text, words, title)


def _unknown(text: str, words: Phrase, title: bool) -> str:
    """The warning for an unknown concept. `ValueError` if it cannot be meant as a person."""
    from fair_diffusion.policy.meaning import LIKE_A_WORKER, nearest_occupation  # here, since it loads vectors

    stated = next((word for word in words if (word,) in _stating() or (word,) in vocabulary.demonyms()), None)
    if stated:
        raise ValueError(f"{stated!r} states a group, and a rule holds whatever group they are of; {MEND}")
    spans = [words[first:stop] for stop in range(1, len(words) + 1) for first in range(stop)]
    parts = sorted((part for part in spans if part in known()), key=len)
    head = any(words[-len(part) :] == part for part in parts)
    if parts and not head and not title:
        raise ValueError(f"only {' '.join(parts[-1])!r} of it is understood; leave out the rest")
    nearest, score, thing = nearest_occupation(" ".join(words))
    said = f"the nearest known one is {nearest!r} (score {score:.2f})"
    like_a_person = LIKE_A_WORKER.fullmatch(words[-1]) or (score >= NEAR and thing <= THING)
    if not parts and (not like_a_person or words[-1] in vocabulary.things() or not "".join(words).isalpha()):
        if meant := _nearly(text.lower()):
            raise ValueError(f"this is no known occupation; did you mean {meant!r}?")
        raise ValueError(f"this is no known occupation; {said}: name one such, or the word for a person")
    return f"{text!r} is no known occupation, so only these very words are matched; {said}"


def _nearly(word: str) -> str | None:
    """The English occupation that is one letter away from a word too short to be read as a typo: "nurs"."""
    if len(word) < _SHORT:
        return None
    near = [w[0] for w, entry in known().items() if len(w) == 1 and entry.language == "en" and w[0][0] == word[0]]
    found = process.extractOne(word, near, scorer=OSA.distance, score_cutoff=1)
    return found[0] if found else None


def foreign_letter(text: str) -> str | None:
    """The first letter of another alphabet than its word, with its name: "dосtor" may hold a Cyrillic "о"."""
    for word in text.split():
        alphabets = {letter: unicodedata.name(letter, "").split(" ")[0] for letter in word if letter.isalpha()}
        if {"LATIN", "CYRILLIC"} <= set(alphabets.values()) or {"LATIN", "GREEK"} <= set(alphabets.values()):
            letter = next(letter for letter, name in alphabets.items() if name != "LATIN")
            return f"the letter {letter!r} ({unicodedata.name(letter)})"
    return None
