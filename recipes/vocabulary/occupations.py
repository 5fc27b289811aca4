"""Occupations and other words for people.

English occupations come from WordNet's workers (those that `own.yaml` chooses) and from the job lists of faker and
mimesis. WordNet and the last words of a phrase say how each relates to the occupations of `concepts.yaml`: a synonym, a
narrower occupation, or a new one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import mimesis
from faker.providers.job.en_US import Provider
from rapidfuzz import fuzz

from fair_diffusion.policy.concepts import lists
from fair_diffusion.policy.words import Phrase, phrase
from recipes.vocabulary import languages
from recipes.vocabulary.own import own
from recipes.vocabulary.wordnet import PERSON, Synset, WordNet

WORKERS = (
    *("worker", "professional", "performer", "creator", "athlete", "official", "serviceman", "clergyman", "scientist"),
    *("educator", "leader", "traveler", "expert", "lawman", "employee"),
)
USUAL = 2
"""A word for a person counts if it was seen this often in tagged texts."""
GENDERED = {
    "woman": re.compile(r".*(?:woman|women|girl|lady|maid|mistress|ess|trix|ette|enne|euse|fishwife|matron|landlady)$"),
    "man": re.compile(r".*(?:man|men|boy|headmaster|schoolmaster|landlord|masseur)$"),
}
NOT_GENDERED = frozenset(["congress", "human", "marine"])
BROAD = frozenset(
    "scientist, doctor, nurse, teacher, musician, singer, dancer, actor, athlete, soldier, sailor, farmer, lawyer, "
    "engineer, writer, journalist, artist, cook, guard, police officer, dentist, pilot, economist, "
    "mathematician".split(", ")
)
"""The occupations of `concepts.yaml` whose narrower ones WordNet knows."""
LONGEST = 4
"""The most words of a job: longer ones are titles of a census."""
LIKE = 80
"""Synonyms this similar (of 100) are two spellings of one word: "jeweller" and "jeweler"."""


class Entry(NamedTuple):
    """One line of `occupations.tsv`: the phrase, what it stands for, and how."""

    words: Phrase
    name: str
    relation: str
    language: str
    group: str
    ambiguous: bool


def occupations(wordnet: WordNet, names: set[str]) -> list[Entry]:
    """Every phrase for an occupation that `concepts.yaml` lacks, in all languages.

    Args:
        wordnet: the database.
        names: first names and surnames; a word of another language that is one of them, or an English word, is
            ambiguous.
    """
    found = {entry.words: entry for entry in _english(wordnet)}
    known = base()
    for word in languages.words():
        one = len(word.words) == 1
        common = one and word.words[0] in wordnet.common
        if word.words in known or word.words in found or (common and not word.translated):
            continue
        relation = "gendered" if word.group else "also" if word.translated else "name"
        ambiguous = one and (common or word.words[0] in names)
        group = word.group.strip("?")
        found[word.words] = Entry(word.words, word.name, relation, word.language, group, ambiguous)
    return sorted(found.values())


def people(wordnet: WordNet) -> list[Phrase]:
    """Usual words for a person that name no occupation and no people."""
    nouns, working = wordnet.synsets("n"), wordnet.below(*WORKERS)
    left_out = set(own("no_people"))
    found = []
    for lemma, senses in wordnet.senses["n"].items():
        first = nouns[senses[0]]
        plain = first.file == PERSON and not first.instance and first.offset not in working
        if plain and wordnet.uses[lemma, "n"] >= USUAL and lemma in first.lemmas and lemma not in left_out:
            found.append(phrase(lemma))
    return sorted(found)


def base() -> dict[Phrase, tuple[str, str]]:
    """The phrases of `concepts.yaml` with their occupation and relation."""
    found: dict[Phrase, tuple[str, str]] = {}
    for name, data in lists()["occupations"].items():
        found[phrase(name)] = (name, "name")
        for key, relation in (("also", "also"), ("gendered", "gendered"), ("kinds", "kind")):
            for text in data.get(key, ()):
                found.setdefault(phrase(text), (name, relation))
    return found


def _english(wordnet: WordNet) -> Iterator[Entry]:
    known = base()
    chosen = {phrase(text): text for text in [*own("workers"), *own("new_workers"), *_jobs()]}
    no_occupation = {phrase(text) for text in own("no_occupations")}
    wanted = [words for words in chosen.keys() - known.keys() - no_occupation if len(words) <= LONGEST]
    for words in sorted(wanted, key=lambda words: (len(words), words)):
        text = chosen[words].lower()
        name, relation = _related(words, text, wordnet, known)
        group = next((g for g, form in GENDERED.items() if form.fullmatch(text)), "")
        group = "" if words[-1] in NOT_GENDERED else group
        known[words] = name, "gendered" if group else relation
        yield Entry(words, name, known[words][1], "en", group, False)


def _related(words: Phrase, text: str, wordnet: WordNet, known: dict[Phrase, tuple[str, str]]) -> tuple[str, str]:
    """The occupation that a phrase stands for, and the relation.

    Another spelling of a known word is a synonym. A phrase with a known last word is narrower than that. Else WordNet's
    hierarchy may know a broad occupation above it. Else it is an occupation of its own.
    """
    sense = _sense(text, wordnet)
    for lemma in sense.lemmas if sense else ():
        name, relation = known.get(phrase(lemma), ("", ""))
        if relation in {"name", "also"} and fuzz.ratio(lemma.lower(), text) >= LIKE:
            return name, "also"
    if text in own("no_kinds"):
        return text, "name"
    for first in range(1, len(words)):
        name, relation = known.get(words[first:], ("", ""))
        if relation == "name" or (relation == "kind" and name in BROAD):
            return name, "kind"
    for broad in sorted(BROAD):
        if sense and sense.offset in wordnet.below(broad):
            return broad, "kind"
    return text, "name"


def _sense(text: str, wordnet: WordNet) -> Synset | None:
    """The first sense of a lemma that is a kind of person."""
    nouns = wordnet.synsets("n")
    senses = (nouns[offset] for offset in wordnet.senses["n"].get(text, ()))
    return next((sense for sense in senses if sense.file == PERSON and not sense.instance), None)


def _jobs() -> list[str]:
    """Jobs of the lists of faker ("Engineer, aeronautical") and mimesis, without those that `own.yaml` leaves out."""
    path = Path(mimesis.__file__).parent / "datasets" / "en" / "person.json"
    jobs = list(json.loads(path.read_text(encoding="utf-8"))["occupation"])
    for job in Provider.jobs:
        head, _, rest = job.partition(", ")
        jobs.append(f"{rest} {head.lower()}" if rest else head)
    left_out = {phrase(text) for text in own("no_jobs")}
    heads = set(own("no_heads"))
    plain = (re.sub(r"\s*\(.*?\)", "", job) for job in jobs)
    return [job for job in plain if (words := phrase(job)) and words not in left_out and words[-1] not in heads]
