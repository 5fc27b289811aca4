"""Names that say a style or a make and nobody who is depicted: artists, cameras, cars, prizes."""

from __future__ import annotations

from collections.abc import Collection

from mimesis.datasets.int import hardware, transport

from fair_diffusion.policy.words import Phrase, phrase
from recipes.vocabulary.own import own
from recipes.vocabulary.wordnet import WordNet

ARTISTS = ("painter", "sculptor", "photographer", "architect", "illustrator", "printmaker", "engraver", "film director")


def makes(wordnet: WordNet, common: Collection[str]) -> list[Phrase]:
    """WordNet's artists, makes of cars and computers from mimesis, and our own.

    Args:
        wordnet: the database.
        common: English words and first names; an artist's or a maker's name of one such word is left out ("Turner").
    """
    nouns = wordnet.synsets("n")
    names = [n for offset in wordnet.below(*ARTISTS) if nouns[offset].instance for n in nouns[offset].lemmas]
    names += [*transport.AUTO_MANUFACTURERS, *hardware.MANUFACTURERS]
    names += [" ".join(car.split()[:2]) for car in transport.CARS]
    names = [name for name in names if name.lower() not in common]
    found = {words for name in (*names, *own("makes")) if (words := phrase(name))}
    return sorted(words for words in found if len("".join(words)) > 2 and not any(w.isdigit() for w in words))
