"""A small reader of the WordNet 3.0 database files (Debian package `wordnet-base`, format: wndb(5WN)).

A *lemma* is a word or phrase in lower case. A *synset* is a set of lemmas with one meaning. The first sense of a lemma
is its most frequent one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

FOLDER = Path("/usr/share/wordnet")
FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
PARTS = {1: "n", 2: "v", 3: "a", 4: "r", 5: "a"}
"""The part of speech of each `ss_type` in a sense key."""
PLACE, PERSON = 15, 18
"""The numbers of the lexicographers' files "noun.location" and "noun.person"."""


@dataclass(frozen=True)
class Synset:
    """One meaning.

    Attributes:
        offset: its place in the data file, which names it.
        file: the number of its lexicographer's file.
        lemmas: as written, with blanks for underscores.
        above: offsets of its hypernyms; of an instance, of what it is one of.
        instance: whether it is one particular thing or person, such as "Einstein".
        pertains: (lemma, offset) of the nouns that an adjective belongs to.
        gloss: the definition.
    """

    offset: int
    file: int
    lemmas: tuple[str, ...]
    above: tuple[int, ...]
    instance: bool
    pertains: tuple[int, ...]
    gloss: str


@dataclass(frozen=True)
class WordNet:
    """The nouns, verbs, adjectives and adverbs of the database in `folder`."""

    folder: Path = FOLDER
    _synsets: dict[str, dict[int, Synset]] = field(default_factory=dict)

    def synsets(self, part: str) -> dict[int, Synset]:
        """Every synset of one part of speech ("n", "v", "a" or "r"), by offset."""
        if part not in self._synsets:
            lines = _lines(self.folder / f"data.{FILES[part]}")
            self._synsets[part] = {s.offset: s for s in map(_synset, lines)}
        return self._synsets[part]

    @cached_property
    def senses(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """For each part of speech the offsets of each lemma's synsets, the most frequent one first."""
        found: dict[str, dict[str, tuple[int, ...]]] = {}
        for part, name in FILES.items():
            found[part] = {}
            for line in _lines(self.folder / f"index.{name}"):
                fields = line.split()
                at = 6 + int(fields[3])
                found[part][fields[0].replace("_", " ")] = tuple(int(offset) for offset in fields[at:])
        return found

    @cached_property
    def uses(self) -> Counter[tuple[str, str]]:
        """How often (lemma, part of speech) was seen in the tagged texts."""
        counts: Counter[tuple[str, str]] = Counter()
        for line in (self.folder / "cntlist.rev").read_text(encoding="latin-1").splitlines():
            key, _, count = line.split()
            lemma, _, rest = key.partition("%")
            counts[lemma.replace("_", " "), PARTS[int(rest.split(":")[0])]] += int(count)
        return counts

    @cached_property
    def common(self) -> frozenset[str]:
        """Every lemma that is written in lower case, of all parts of speech."""
        lemmas = (lemma for part in FILES for synset in self.synsets(part).values() for lemma in synset.lemmas)
        return frozenset(lemma for lemma in lemmas if lemma.islower())

    def below(self, *tops: str) -> set[int]:
        """The noun synsets of the first senses of `tops` and all their hyponyms. A top may be "lemma#2"."""
        ahead = [self.sense(top) for top in tops]
        found: set[int] = set()
        while ahead:
            offset = ahead.pop()
            if offset not in found:
                found.add(offset)
                ahead += self._narrower.get(offset, [])
        return found

    @cached_property
    def _narrower(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for synset in self.synsets("n").values():
            for offset in synset.above:
                found.setdefault(offset, []).append(synset.offset)
        return found

    def sense(self, name: str) -> int:
        """The offset of a noun's sense: "worker" is the first one, "worker#2" the second."""
        lemma, _, number = name.partition("#")
        return self.senses["n"][lemma][int(number or 1) - 1]


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="latin-1") as file:
        yield from (line for line in file if not line.startswith("  "))


def _synset(line: str) -> Synset:
    data, _, gloss = line.partition(" | ")
    fields = data.split()
    count = int(fields[3], 16)
    lemmas = tuple(_plain(word) for word in fields[4 : 4 + 2 * count : 2])
    at = 5 + 2 * count
    pointers = [(fields[i], int(fields[i + 1])) for i in range(at, at + 4 * int(fields[at - 1]), 4)]
    return Synset(
        offset=int(fields[0]),
        file=int(fields[1]),
        lemmas=lemmas,
        above=tuple(offset for symbol, offset in pointers if symbol in {"@", "@i"}),
        instance=any(symbol == "@i" for symbol, _ in pointers),
        pertains=tuple(offset for symbol, offset in pointers if symbol in {"\\", "+"}),
        gloss=gloss.strip(),
    )


def _plain(lemma: str) -> str:
    """A lemma of a data file without underscores and without an adjective's marker, "(p)"."""
    return lemma.partition("(")[0].replace("_", " ")
