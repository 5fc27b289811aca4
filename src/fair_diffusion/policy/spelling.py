"""Attributes, groups and "unknown" as people write them in tables, labels and names of folders.

"Women", "F" and "♀" name the group woman, and "N/A" and "not sure" name none. Capitals, plurals, hyphens and blanks do
not matter. An attribute that is not known, or a known one with none of its own groups ("age": "0-2", "3-9"), keeps the
names that it has. What is nearly a known name is a mistake. Exports `UNKNOWN`, `is_unknown`, `plain`, `Named` and
`named`.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from fair_diffusion.policy.attributes import Attribute, Attributes, built_in, read_data
from fair_diffusion.policy.tokens import MOST_KEPT, lexicon
from fair_diffusion.policy.words import phrase, singular

UNKNOWN = "unknown"
"""The name of no group: nobody could tell."""
_JOINED = re.compile(r"\s*×\s*")
_JOINT = " × "
_BREAKS = re.compile(r"[\s_\-‐‑‒–—]+")
_ENCLOSED = re.compile(r"""[(\["'“‘«<{]+\s*(\w.*?)\s*[)\]"'”’»>}]+""")
_PARTS = re.compile(r"\W+")
_NEAR = 0.8
"""A name is a misspelt one if so much of it agrees, as `difflib` counts."""
_NEARLY = 0.85
"""As `_NEAR`, for "unknown": no "uncle" is "unclear"."""
_SHOWN = 8

Pair = tuple[str, str]
"""An attribute and one of its groups."""


@dataclass(frozen=True)
class Named:
    """What a table names.

    Attributes:
        names: for each pair as it is written, the attribute and the group; the group is `UNKNOWN` for no group.
        wrong: for each pair that is a mistake, what is wrong and the mend.
        notes: what was read otherwise than it is written, and groups that are the table's own.
    """

    names: Mapping[Pair, Pair]
    wrong: Mapping[Pair, str]
    notes: list[str]


@cache
def plain(text: str) -> str:
    """A name without what does not matter: "Middle_Aged ", "'middle-aged'" and "(Middle aged)" are the same, "Nurses"
    and "nurse" too."""
    name = unicodedata.normalize("NFKC", text).casefold().strip()
    enclosed = _ENCLOSED.fullmatch(name)
    words = _BREAKS.split(enclosed[1] if enclosed else name)
    return " ".join(singular(word) for word in words if word) or text.strip()


@cache
def is_unknown(text: str) -> bool:
    """Whether a label says that nobody could tell: "unknown", "N/A", "-", "not sure"."""
    return plain(text) in _unknown()


def named(written: Iterable[Pair], defined: Attributes | None = None) -> Named:
    """Read the attributes and groups of one table.

    Args:
        written: every pair of attribute and group that the table has. Parts of joint ones stand around "×".
        defined: the definitions; the built-in ones if None.
    """
    defined = defined or built_in()
    pairs = list(dict.fromkeys(written))
    own: dict[str, dict[str, str]] = {}  # by attribute, how each group of its own is written at first
    attributes = {text: _attributes(text, defined) for text, _ in pairs}
    known = {attribute: _groups(attribute, defined) for parts in attributes.values() for attribute in parts}
    parts = {pair: _parts(pair, attributes[pair[0]]) for pair in pairs}
    met: dict[str, set[str]] = {}
    for row in parts.values():
        for attribute, text in row:
            met.setdefault(attribute, set()).add(text)
    scheme = {attribute: _has_groups_of_its_own(texts, known[attribute]) for attribute, texts in met.items()}
    names: dict[Pair, Pair] = {}
    wrong: dict[Pair, str] = {}
    for pair, row in parts.items():
        if (near := _near_attribute(pair[0], defined)) is not None:
            wrong[pair] = f"attribute is {pair[0]!r}; did you mean {near!r}?"
        elif len(row) != len(attributes[pair[0]]):
            wrong[pair] = f"group {pair[1][:40]!r} is not joint as {pair[0]!r} is; write it as in 'woman × light'"
        found = []
        for attribute, text in row:
            group = known[attribute].get(plain(text)) or (UNKNOWN if is_unknown(text) else None)
            if group is None and attribute in defined and not scheme[attribute]:
                wrong.setdefault(pair, _strange(defined[attribute], text, known[attribute]))
            elif group is None and _seems_unknown(text):
                wrong.setdefault(
                    pair,
                    f"group {text[:40]!r} looks like {UNKNOWN!r}; write so if nobody could tell, else another name",
                )
            elif group is None:
                group = own.setdefault(attribute, {}).setdefault(plain(text), text.strip())
            found.append(group or text)
        if pair not in wrong:
            names[pair] = (_JOINT.join(attributes[pair[0]]), UNKNOWN if UNKNOWN in found else _JOINT.join(found))
    return Named(names, wrong, [*_about_readings(names), *_about_own(own, defined)])


def _attributes(text: str, defined: Attributes) -> list[str]:
    """The attributes that a text names: several if it is a joint one."""
    return [_attribute(part, defined) for part in _JOINED.split(text.strip())]


def _attribute(text: str, defined: Attributes) -> str:
    """The known attribute that a text names, or the text itself: "Perceived gender" gives "gender"."""
    if text in defined:
        return text
    words = tuple(word for word in phrase(text) if word not in ("perceived", "apparent", "label"))
    kind, value = lexicon(defined).get(words, ("", None))
    if kind == "L":
        return str(value)
    return next((name for name in defined if plain(name) == plain(" ".join(words))), text)  # a group may be called so


def _near_attribute(text: str, defined: Attributes) -> str | None:
    """The known attribute of which a text is a misspelling."""
    if "×" in text or _attribute(text, defined) in defined:
        return None
    near = _near(plain(text), {plain(name): name for name in defined})
    return defined[near].name if near else None


def _parts(pair: Pair, attributes: list[str]) -> list[Pair]:
    """Each attribute of a pair with its part of the group. An unknown joint group is unknown in all parts."""
    texts = _JOINED.split(pair[1].strip()) if len(attributes) > 1 else [pair[1]]
    if len(texts) == 1 and is_unknown(texts[0]):
        texts *= len(attributes)
    return list(zip(attributes, texts, strict=False)) if len(texts) == len(attributes) else []


@lru_cache(maxsize=16 * MOST_KEPT)
def _groups(attribute: str, defined: Attributes) -> dict[str, str]:
    """The known groups of an attribute by every name that they have, plain."""
    if attribute not in defined:
        return {}
    found = {
        plain(" ".join(words)): value[1]
        for words, (kind, value) in lexicon(defined).items()
        if kind == "G" and value[0] == attribute
    }
    for group in defined[attribute].groups:
        for text in [group.name, group.adjective, *group.phrases, *group.written]:
            found[plain(str(text))] = group.name
    return {name: group for name, group in found.items() if name not in _unknown()}


def _seems_unknown(text: str) -> bool:
    """Whether a name that is no form of "unknown" seems to be meant so: "Unkonwn", "Other/unknown"."""
    forms = [name for name in _unknown() if name.startswith("un") and len(name) > 6]
    parts = _PARTS.split(plain(text))
    return any(part in forms for part in parts) or bool(
        difflib.get_close_matches(plain(text), forms, n=1, cutoff=_NEARLY)
    )


def _has_groups_of_its_own(texts: Iterable[str], known: Mapping[str, str]) -> bool:
    """Whether a table divides an attribute in its own way: it has none of the known groups, nor one like them."""
    said = [plain(text) for text in texts if not is_unknown(text)]
    return not any(name in known or _near(name, known) for name in said)


def _near(name: str, known: Mapping[str, str]) -> str | None:
    """What the known name means of which a plain name is a misspelling, beginning with the same letter."""
    near = difflib.get_close_matches(name, (each for each in known if each[:1] == name[:1]), n=1, cutoff=_NEAR)
    return known[near[0]] if near else None


def _strange(attribute: Attribute, text: str, known: Mapping[str, str]) -> str:
    """What to say of a group that a known attribute does not have."""
    name, groups = attribute.name, attribute.group_names
    near = _near(plain(text), known)
    nearest = f"did you mean {near!r}? Else " if near else ""
    return (
        f"{name} has no group {text[:40]!r}; {nearest}write {', '.join(groups)} or {UNKNOWN}, or give the "
        f"attribute a name of your own, such as 'my {name}'"
    )


def _about_readings(names: Mapping[Pair, Pair]) -> list[str]:
    """A note on the names that were read as others; capitals, plurals and hyphens are not worth one."""
    said = {old: new for pair, name in names.items() for old, new in zip(pair, name, strict=True)}
    other = {old: new for old, new in said.items() if plain(old) != plain(new) and "×" not in old}
    shown = [f"{old[:40]!r} as {new}" for old, new in other.items()]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return [f"read: {', '.join(shown[:_SHOWN])}{more}"] if shown else []


def _about_own(own: Mapping[str, Mapping[str, str]], defined: Attributes) -> list[str]:
    """Notes on the groups that no known attribute has."""
    notes = []
    for attribute, groups in own.items():
        shown = ", ".join(name[:40] for name in list(groups.values())[:_SHOWN]) + (" …" if len(groups) > _SHOWN else "")
        instead = f", not in {', '.join(defined[attribute].group_names)}" if attribute in defined else ""
        notes.append(f"{attribute[:40]} is divided as it stands there{instead}: {shown}")
        if near := _nearly_the_same(groups):
            notes.append(
                f"{attribute[:40]}: {near[0]!r} and {near[1]!r} count as two groups; spell them alike if they are one"
            )
    return notes


def _nearly_the_same(groups: Mapping[str, str]) -> tuple[str, str] | None:
    """Two groups that look like one and a misspelling of it."""
    names = [name for name in list(groups)[:100] if len(name) > 3 and name.isalpha()]
    for k, name in enumerate(names):
        if near := _near(name, {other: groups[other] for other in names[:k]}):
            return near, groups[name]
    return None


@cache
def _unknown() -> frozenset[str]:
    return frozenset(plain(str(text)) for text in read_data("spelling.yaml")["unknown"])
