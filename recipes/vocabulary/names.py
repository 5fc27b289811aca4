"""First names and surnames from the lists of faker and mimesis, in Latin letters.

A name is kept if lists of three countries hold it, or one of the `TRUSTED` lists. A name that is an English word too
("jail", "grace") is kept only if it is usual in English.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import faker.providers.person
import mimesis

from fair_diffusion.policy.words import phrase
from recipes.vocabulary.own import own

TRUSTED = frozenset(
    "en_US en_GB en_IN en_KE en_NG en_PK en_IE ja_JP zh_CN es_ES es_MX fr_FR de_DE it_IT pl_PL zu_ZA sw tw_GH ig_NG "
    "ha_NG vi_VN".split()
)
ENGLISH = frozenset({"en_US", "en_GB"})

Lists = dict[str, dict[str, frozenset[str]]]


def first_names(english: Collection[str]) -> dict[str, str]:
    """Each first name with the gender on which the sources agree, or with "" where they do not.

    Args:
        english: the words of an English dictionary, in lower case.
    """
    lists = _lists(("first_names_female", "first_names_male", "first_names", "first_romanized_names"))
    women, men = (_counts(lists, key) for key in ("first_names_female", "first_names_male"))
    return {name: _gender(women[name], men[name]) for name in _kept(lists, english)}


def _gender(women: int, men: int) -> str:
    """The gender on which nearly all lists agree, or ""."""
    return "woman" if women > 3 * men else "man" if men > 3 * women else ""


def surnames(english: Collection[str]) -> list[str]:
    """Surnames, sorted. `english` as for `first_names`."""
    return _kept(
        _lists(("last_names", "last_names_male", "last_names_female", "last_romanized_names")), english, least=4
    )


def _kept(lists: Lists, english: Collection[str], least: int = 3) -> list[str]:
    countries = {place: frozenset[str]().union(*listed.values()) for place, listed in lists.items()}
    seen = Counter(name for names in countries.values() for name in names)
    trusted = frozenset[str]().union(*(names for place, names in countries.items() if place in TRUSTED))
    usual = frozenset[str]().union(*(names for place, names in countries.items() if place in ENGLISH))
    left_out = set(own("no_names"))
    kept = (name for name in seen if (seen[name] >= least or name in trusted) and name not in left_out)
    return sorted(name for name in kept if name in usual or name not in english)


def _counts(lists: Lists, key: str) -> Counter[str]:
    return Counter(name for listed in lists.values() for name in listed[key])


def _lists(keys: tuple[str, ...]) -> Lists:
    """For each country the names below each of `keys`."""
    found = {place: {key: _words(_listed(provider, key)) for key in keys} for place, provider in _providers()}
    for place, data in _mimesis():
        names, plain = data.get("names", {}), data.get("surnames", ())
        everyone = [name for listed in plain.values() for name in listed] if isinstance(plain, dict) else plain
        raw = {"first_names_female": names.get("female", ()), "first_names_male": names.get("male", ())}
        raw["last_names"] = everyone
        found[f"mimesis {place}"] = {key: _words(tuple(raw.get(key, ()))) for key in keys}
    return found


def _providers() -> Iterator[tuple[str, Any]]:
    for module in pkgutil.iter_modules(faker.providers.person.__path__):
        yield module.name, importlib.import_module(f"faker.providers.person.{module.name}").Provider


def _listed(provider: Any, key: str) -> tuple[str, ...]:
    listed = getattr(provider, key, ())
    return () if isinstance(listed, property) else tuple(listed)


def _mimesis() -> list[tuple[str, dict[str, Any]]]:
    folder = Path(mimesis.__file__).parent / "datasets"
    paths = sorted(folder.glob("*/person.json"))
    return [(path.parent.name, json.loads(path.read_text(encoding="utf-8"))) for path in paths]


def _words(names: Iterable[str]) -> frozenset[str]:
    """Names of one word in Latin letters, in comparable form, as written and without accents."""
    return frozenset(word for name in names for word in _spellings(name))


@cache
def _spellings(name: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = [phrase(spelt) for spelt in dict.fromkeys((name, plain))]
    return tuple(w[0] for w in words if len(w) == 1 and len(w[0]) > 2 and unicodedata.name(w[0][0]).startswith("LATIN"))
