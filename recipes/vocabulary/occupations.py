"""Words for people, from WordNet's noun hierarchy: those for an occupation, and the others."""

from __future__ import annotations

from fair_diffusion.policy.words import Phrase, phrase
from recipes.vocabulary.own import own
from recipes.vocabulary.wordnet import PERSON, WordNet

WORKERS = (
    "worker",
    "professional",
    "performer",
    "creator",
    "athlete",
    "official",
    "serviceman",
    "clergyman",
    "scientist",
    "educator",
    "leader",
    "traveler",
    "expert",
    "lawman",
    "employee",
)
USUAL = 2
"""A word for a person counts if it was seen this often in tagged texts."""


def people(wordnet: WordNet) -> list[Phrase]:
    """Usual words for a person that name no occupation and no people."""
    nouns, working = wordnet.synsets("n"), wordnet.below(*WORKERS)
    found = []
    for lemma, senses in wordnet.senses["n"].items():
        first = nouns[senses[0]]
        plain = first.file == PERSON and not first.instance and first.offset not in working
        usual = wordnet.uses[lemma, "n"] >= USUAL and lemma in first.lemmas
        if plain and usual and lemma not in own("no_people"):
            found.append(phrase(lemma))
    return sorted(found)
