"""The words that the package ships: occupations, peoples, places, names. `recipes/vocabulary` makes the lists.

Every list is a text file in `lists/`, one entry a line, in comparable form (`words.phrase`), and is read when it is
first asked for. NOTICE names the sources.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

Phrase = tuple[str, ...]


@cache
def demonyms() -> frozenset[Phrase]:
    """Words for a people, as noun or adjective: "kenyan", "west african", "thai"."""
    return _phrases("demonyms.txt")


@cache
def capital_demonyms() -> frozenset[Phrase]:
    """Words for a people that are common words too, and count only with a capital: "polish", "turk"."""
    return _phrases("capital_demonyms.txt")


@cache
def countries() -> frozenset[Phrase]:
    """Countries, continents and large regions: "nigeria", "west africa"."""
    return _phrases("countries.txt")


@cache
def cities() -> frozenset[Phrase]:
    """Cities, states and provinces: "mumbai", "new york", "texas"."""
    return _phrases("cities.txt")


@cache
def first_names() -> dict[str, str]:
    """First names with "woman" or "man" where the sources agree on one, and "" where they do not."""
    return {row[0]: row[1] for row in _rows("first_names.tsv")}


@cache
def surnames() -> frozenset[str]:
    """Surnames of many countries. Some are common words too ("cook", "black")."""
    return frozenset(line for (line,) in _rows("surnames.txt"))


@cache
def people() -> frozenset[Phrase]:
    """Words for a person that name no occupation: "neighbour", "customer", "grandmother"."""
    return _phrases("people.txt")


@cache
def artists_and_brands() -> frozenset[Phrase]:
    """Names that say a style or a make and nobody who is depicted: "frida kahlo", "ford mustang", "nobel prize"."""
    return _phrases("makes.txt")


def typo(word: str) -> str | None:
    """The known word that `word`, in comparable form, was meant to be: "docter" gives "doctor"."""
    return None


def _phrases(name: str) -> frozenset[Phrase]:
    return frozenset(_phrase(line) for (line,) in _rows(name))


def _phrase(text: str) -> Phrase:
    return tuple(text.split(" "))


def _rows(name: str) -> list[tuple[str, ...]]:
    text = resources.files("fair_diffusion.policy").joinpath("lists", name).read_text(encoding="utf-8")
    return [tuple(line.split("\t")) for line in text.splitlines()]
