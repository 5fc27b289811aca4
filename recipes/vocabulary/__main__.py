"""Make the lists of the vocabulary: `python -m recipes.vocabulary [FOLDER OF WORDNET]`.

The sources are WordNet 3.0 (Debian package `wordnet-base`), faker, mimesis and babel, and the files beside this one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import fair_diffusion.policy
from fair_diffusion.policy.words import Phrase
from recipes.vocabulary import makes, names, occupations, places
from recipes.vocabulary.wordnet import FOLDER, WordNet

LISTS = Path(fair_diffusion.policy.__file__).parent / "lists"


def main(folder: Path) -> None:
    """Write every list."""
    wordnet = WordNet(folder)
    first_names = names.first_names(wordnet.common)
    free, capital = places.demonyms(wordnet)
    _write("first_names.tsv", ("\t".join(item) for item in first_names.items()))
    _write("surnames.txt", names.surnames(wordnet.common))
    _write_phrases("demonyms.txt", free)
    _write_phrases("capital_demonyms.txt", capital)
    _write_phrases("countries.txt", places.countries(wordnet))
    _write_phrases("cities.txt", places.cities(wordnet))
    _write_phrases("people.txt", occupations.people(wordnet))
    _write_phrases("makes.txt", makes.makes(wordnet, {*wordnet.common, *first_names}))


def _write_phrases(name: str, phrases: Iterable[Phrase]) -> None:
    _write(name, (" ".join(words) for words in phrases))


def _write(name: str, lines: Iterable[str]) -> None:
    (LISTS / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
