"""English words: nouns for things, other nouns, and words that look like a misspelt occupation."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from rapidfuzz.distance import OSA

from fair_diffusion.policy.meaning import LIKE_A_WORKER
from fair_diffusion.policy.vocabulary import misspelt_letters
from fair_diffusion.policy.words import phrase, singular
from recipes.vocabulary.own import own
from recipes.vocabulary.wordnet import PERSON, WordNet

THINGS = {5: "animal", 6: "artifact", 10: "communication", 13: "food", 14: "group", 20: "plant", 21: "possession"}
"""The lexicographers' files whose nouns make a thing of an occupation before them: "chef salad"."""
SOLID = frozenset([6, 13])
"""The files of which rare words count too."""
MOSTLY = 2
"""A word is a noun if it was seen this many times as often as a noun than as anything else."""


def nouns(wordnet: WordNet) -> tuple[list[str], list[str]]:
    """Words that are mostly a noun, in comparable form: those for things, and the others."""
    synsets = wordnet.synsets("n")
    left_out = set(own("no_things"))
    things: set[str] = set()
    others: set[str] = set()
    for lemma, senses in wordnet.senses["n"].items():
        if not re.fullmatch(r"[a-z]{3,11}", lemma) or lemma not in wordnet.common:
            continue
        first = synsets[senses[0]]
        solid = first.file in SOLID
        as_noun, as_verb = wordnet.uses[lemma, "n"], wordnet.uses[lemma, "v"]
        as_other = wordnet.uses[lemma, "a"] + wordnet.uses[lemma, "r"]
        other = any(lemma in wordnet.senses[part] for part in "var")
        rare = as_noun == 0 and not other and solid and lemma in first.lemmas
        usual = as_noun > 0 and as_noun >= MOSTLY * as_other
        if rare or (usual and as_noun >= (as_verb / 2 if solid else MOSTLY * as_verb)):
            word = singular(lemma)
            thing = first.file in THINGS and not {lemma, word} & left_out and not word.endswith("ing")
            (things if thing else others).add(word)
        elif usual and 2 * as_noun >= as_verb:
            others.add(singular(lemma))
    return sorted(things), sorted(others - things)


def phrases_of_things(wordnet: WordNet, occupations: Collection[str]) -> list[str]:
    """WordNet's phrases that hold a word for an occupation and name no person: "chef's salad", "mason jar".

    Args:
        wordnet: the database.
        occupations: the phrases for an occupation, words with blanks between.
    """
    synsets = wordnet.synsets("n")
    left_out = {" ".join(phrase(text)) for text in own("no_phrases_of_things")}
    found = set()
    for lemma, senses in wordnet.senses["n"].items():
        people = any(synsets[offset].file == PERSON for offset in senses)
        comparable = " ".join(phrase(lemma))
        named = any(word in occupations for word in comparable.split()) and comparable not in occupations
        if " " in comparable and named and not people:
            found.add(comparable)
    return sorted(found - left_out)


def no_typos(wordnet: WordNet, occupations: Collection[str], listed: Collection[str]) -> list[str]:
    """English words that differ from one of `occupations` by few letters: "painted". The `listed` are known."""
    known: dict[str, list[str]] = {}
    for word in occupations:
        known.setdefault(word[0], []).append(word)
    found = set()
    lemmas = {lemma for part in "nvar" for lemma in wordnet.senses[part]}
    forms = {form for lemma in lemmas for form in _inflected(lemma, wordnet)}
    forms |= {word for lemma in lemmas for word in phrase(lemma)}
    for word in {singular(form) for form in forms}.difference(listed):
        most = misspelt_letters(word) or (1 if len(word) == 4 else 0)
        near = known.get(word[:1], ()) if most and word not in occupations else ()
        if any(
            OSA.distance(word, other, score_cutoff=most) <= most for other in near if len(word) > 4 or len(other) == 5
        ):
            found.add(word)
    return sorted(found - set(own("misspelt")))


def ordinary(wordnet: WordNet, nouns: Collection[str]) -> list[str]:
    """Words that end like one for a worker, and are none: "plaster", "bigger". `nouns` are listed elsewhere."""
    synsets = wordnet.synsets("n")
    people = {lemma for lemma, senses in wordnet.senses["n"].items() if any(synsets[s].file == PERSON for s in senses)}
    solid = {lemma for lemma, senses in wordnet.senses["n"].items() if synsets[senses[0]].file in THINGS}
    seen = ({lemma for lemma, _ in wordnet.uses} | solid) & wordnet.common - people
    words = {form for lemma in seen for form in _inflected(lemma, wordnet)}
    return sorted(
        word
        for word in {singular(word) for word in words if word.isalpha() and word.isascii()} - set(nouns)
        if len(word) > 4 and LIKE_A_WORKER.fullmatch(word)
    )


def _inflected(lemma: str, wordnet: WordNet) -> Iterable[str]:
    """The forms of a lemma that the regular endings give."""
    yield lemma
    stem = lemma.removesuffix("e")
    if lemma in wordnet.senses["v"]:
        yield from (f"{stem}ed", f"{stem}ing", f"{lemma}{lemma[-1]}ed", f"{lemma}{lemma[-1]}ing")
        if lemma.endswith("y"):
            yield f"{lemma[:-1]}ied"
    if lemma in wordnet.senses["a"] and len(lemma) < 7 and not lemma.endswith(("ed", "ing", "al", "ent", "ant")):
        yield from (f"{stem}er", f"{stem}est", f"{lemma}ly")
