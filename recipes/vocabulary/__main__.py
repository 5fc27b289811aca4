"""Make the lists of the vocabulary: `python -m recipes.vocabulary [FOLDER OF WORDNET]`.

The sources are WordNet 3.0 (Debian package `wordnet-base`), faker, mimesis and babel, and the files beside this one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import fair_diffusion.policy
from fair_diffusion.policy.lexicon import identity_words
from fair_diffusion.policy.meaning import SHIPPED
from fair_diffusion.policy.words import Phrase
from recipes.vocabulary import english, languages, makes, meanings, names, occupations, places
from recipes.vocabulary.own import own
from recipes.vocabulary.wordnet import FOLDER, WordNet

LISTS = Path(fair_diffusion.policy.__file__).parent / "lists"


def main(folder: Path) -> None:
    """Write every list."""
    wordnet = WordNet(folder)
    first_names = names.first_names(wordnet.common)
    free, capital = places.demonyms(wordnet)
    surnames = names.surnames(wordnet.common)
    entries = occupations.occupations(wordnet, {*first_names, *surnames})
    _write("occupations.txt", _sections(entries))
    _write("first_names.txt", _by_gender(first_names))
    _write("surnames.txt", surnames)
    _write_phrases("demonyms.txt", free)
    _write_phrases("capital_demonyms.txt", capital)
    _write_phrases("countries.txt", places.countries(wordnet))
    _write_phrases("cities.txt", places.cities(wordnet))
    _write("territories.txt", _by_language())
    things, others = english.nouns(wordnet)
    phrases = {" ".join(entry.words) for entry in entries if entry.language == "en"} | _base()
    usual, rare = _targets(phrases)
    misspelt = set(own("misspelt"))
    _write("things.txt", things)
    _write("nouns.txt", others)
    _write("verbs.txt", (word for word in things if word in wordnet.senses["v"]))
    _write("phrases_of_things.txt", english.phrases_of_things(wordnet, phrases))
    _write("misspelt.txt", [*sorted(usual), *(f"{word} rare" for word in sorted(rare))])
    listed = {*things, *others, *{*first_names, *surnames} - wordnet.common} - misspelt
    no_typos = (english.no_typos(wordnet, meant, listed) for meant in (usual | rare, identity_words()))
    _write("no_typos.txt", sorted(set().union(*no_typos)))
    _write("ordinary.txt", english.ordinary(wordnet, {*things, *others}))
    _write("unbroken.txt", own("unbroken"))
    _write_phrases("people.txt", occupations.people(wordnet))
    _write_phrases("makes.txt", makes.makes(wordnet, {*wordnet.common, *first_names}))
    meanings.write(LISTS / SHIPPED)


def _sections(entries: Iterable[occupations.Entry]) -> Iterator[str]:
    """The entries by what they share: a line "[language relation group ambiguous]", and a line for each phrase."""

    def shared(entry: occupations.Entry) -> tuple[str, str, str, str]:
        return entry.language, entry.relation, entry.group or "-", "ambiguous" if entry.ambiguous else "-"

    for key, group in groupby(sorted(entries, key=lambda entry: (shared(entry), entry.words)), shared):
        yield f"[{' '.join(key)}]"
        for entry in group:
            words = " ".join(entry.words)
            yield words if entry.name == words else f"{words}={entry.name}"


def _by_gender(first_names: dict[str, str]) -> Iterator[str]:
    """The names below a line "[woman]", "[man]" or "[-]"."""
    for gender in ("woman", "man", ""):
        yield f"[{gender or '-'}]"
        yield from (name for name in sorted(first_names) if first_names[name] == gender)


def _by_language() -> Iterator[str]:
    """The countries in each language below a line "[de]"."""
    for language in languages.FAKER:
        yield f"[{language}]"
        yield from places.territories(language)


def _base() -> set[str]:
    """The phrases of `concepts.yaml` for an occupation."""
    return {" ".join(words) for words in occupations.base()}


def _targets(phrases: set[str]) -> tuple[set[str], set[str]]:
    """Words as which a misspelt word may be read: the last words of known phrases, usual and rare."""
    usual = {word for text in _base() if len(word := text.split()[-1]) > 4 and word.isalpha()}
    rare = {text.split()[-1] for text in phrases}
    return usual, {word for word in rare - usual if len(word) > 6 and word.isalpha()}


def _write_phrases(name: str, phrases: Iterable[Phrase]) -> None:
    _write(name, (" ".join(words) for words in phrases))


def _write(name: str, lines: Iterable[str]) -> None:
    (LISTS / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
