"""An instruction as tokens: its numbers, groups, attributes, concepts, and the words that join them.

Every character of the text is part of a token, or is one of the few marks and fillers that say nothing ("the",
"images"). The words are data, in `instruction.yaml`.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

from fair_diffusion.policy.attributes import READY, Attribute, Attributes, built_in, read_data, shipped
from fair_diffusion.policy.concepts import EVERY_OCCUPATION, EVERYONE, known
from fair_diffusion.policy.share import EXACT, NUMBERS, SPELLED
from fair_diffusion.policy.words import Phrase, Word, phrase, words

KINDS = {
    **{"share": "S", "count": "N", "ratio": "R", "times": "T", "group": "G", "attribute": "L", "concept": "C"},
    **{"equal": "Q", "as_many": "M", "rest": "X", "only": "O", "all": "A", "every": "D", "except": "E", "them": "H"},
    **{"verb": "V", "preposition": "P", "and": "&", "or": "|", "as": "a", "to": "t", "each": "e", "comma": ","},
    **{"colon": ":", "filler": "_", "person": "p", "refused": "!", "whole": "d", "noun": "n", "deed": "w"},
}
"""The letter of each kind of token: the shapes of sentences are regular expressions over these letters."""

_MARKS = {",": ",", "(": ",", ")": ",", "[": ",", "]": ",", ":": ":", "=": ":", "|": ":", "→": ":", "&": "&", "+": "&"}
_SILENT = frozenset("\"'`~≈.“”„«»‘’*#")
_LONGEST = 6
MOST_KEPT = 16
"""Sets of attributes of which what was made is kept."""
_MANY = rf"(?:\d{{1,3}}|{'|'.join(SPELLED[:13])})"
_LETTERS = re.compile(
    r"(?<![\w'])[fwm](?:\s?[/:]\s?|-)[fwm](?!\w)|(?<=[\d%])\s?[fwm](?!\w|\s?/\s?[a-z])"
    r"|(?<![\w'])[fwm](?=\s?[:=]?\s?\d{1,3}\s?%)"
)
"""Letters that stand for groups: "f/m 40/60", "60% f", "f: 60%"."""
_ONE_OF = re.compile(
    rf"\b({_MANY}) (wom[ae]n|m[ae]n|females?|males?) (?:in|of|out of) (?:every |each )?({_MANY})\b(?![\s-]*(?:%|per))"
)
"""One woman in every four."""


@dataclass(frozen=True)
class Token:
    """One token.

    Attributes:
        kind: its letter in `KINDS`.
        text: as written.
        start, end: its characters in the clause.
        value: a share, the parts of a ratio, (attribute, group), an attribute, the words of a concept, or why the token
            is refused ("reason; mend").
    """

    kind: str
    text: str
    start: int
    end: int
    value: Any = None


def kinds(tokens: Sequence[Token]) -> str:
    """The letters of the tokens, one each."""
    return "".join(token.kind for token in tokens)


def plain(text: str) -> str:
    """`text` in lower case, with one form of each mark and without markup and invisible characters."""
    text = re.sub(r"(?<=\d)(?=[¼-¾⅐-⅞²³¹⁰-⁹₀-₉])", " ", text)  # "12½" is no "121/2", nor "5²" a "52"
    text = unicodedata.normalize("NFKC", text).lower()
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    for old, new in (("⁄", "/"), ("−", "-"), ("’", "'"), ("、", ","), ("。", ". "), ("_", " "), ("→", ":")):
        text = text.replace(old, new)
    text = re.sub(r"(?<=\d)\s?[–—‐‑]\s?(?=\d)", "-", text)
    text = re.sub(r"[–—]", " - ", text)
    text = re.sub(r"[‐‑]", "-", text)
    text = re.sub(r"(?<!-)-+>", ":", text)
    text = re.sub(r"(?m)^\s*\*\s*:", "every occupation:", text)
    text = re.sub(r"(?m)^\s*(?:[-*•+>]\s+|#+\s*|\d+[.)]\s+)+", "", text)
    text = _LETTERS.sub(_spelled_out, text)
    text = _ONE_OF.sub(r"\1 in \3 \2", text)
    return re.sub(r"(\*\*|`|\*)(?=\S)([^*`]+)(?<=\S)\1", r"\2", text)


def _spelled_out(letters: re.Match[str]) -> str:
    """The groups that letters stand for: "f/m", "60% f"."""
    return re.sub(r"\s?([fwm])", lambda found: " men" if found[1] == "m" else " women", letters.group())


@lru_cache(maxsize=MOST_KEPT)
def lexicon(attributes: Attributes) -> dict[Phrase, tuple[str, Any]]:
    """The kind and the value of every phrase that is no number and no concept."""
    data = _data()
    found: dict[Phrase, tuple[str, Any]] = {}
    for entry in data["refused"]:
        for word in entry["words"]:
            found[phrase(word)] = ("!", f"{entry['why'].format(word=word)}; {entry['mend']}")
    for kind, texts in data["kinds"].items():
        for text in texts:
            found.setdefault(phrase(text) or (text,), (KINDS[kind], None))
    found[("no",)] = found[("none",)] = ("A", 0)
    found[("all",)] = ("A", 1)
    for concept, nouns in data["wildcards"].items():
        found.update({phrase(noun): ("C", concept) for noun in nouns})
    for concept, nouns in data["wildcard_nouns"].items():
        for every in ("every", "all", "each", "any", "all of", "all kind of", "all type of", "every single"):
            found.update({phrase(f"{every} {noun}"): ("C", concept) for noun in nouns})
            found.update({phrase(f"{every} the {noun}"): ("C", concept) for noun in nouns})
    for name, attribute in attributes.items():
        found.update({phrase(label): ("L", name) for label in (name, attribute.label, *attribute.called)})
    for attribute in attributes.values():
        found.update({words: ("G", value) for words, value in said_groups(attribute).items()})
    found.update({("women",): ("G", ("gender", "woman")), ("men",): ("G", ("gender", "man"))})
    return found


@cache
def _data() -> dict[str, Any]:
    """The content of `instruction.yaml`."""
    data: dict[str, Any] = read_data("instruction.yaml")
    return data


def said_groups(attribute: Attribute) -> dict[Phrase, tuple[str, str]]:
    """The attribute and the group that each phrase of an instruction names."""
    unclear = _data()["unclear"]
    found = {}
    for group in attribute.groups:
        texts = [group.name, group.adjective, *group.phrases, *group.called]
        texts += [word for word, _ in group.stating if attribute.stating_names]
        found.update({phrase(text): (attribute.name, group.name) for text in texts if text not in unclear})
    return found


def ready_with(words: Phrase) -> str | None:
    """The shipped definition that has a group, or is called, as these words say; None if none is."""
    for name in READY:
        for attribute in shipped(name):
            if words in said_groups(attribute) or words in map(phrase, (attribute.label, *attribute.called)):
                return name
    return None


@lru_cache(maxsize=MOST_KEPT)
def spelled(attributes: Attributes) -> tuple[str, ...]:
    """The longer words of instructions that say something; words one letter away from them are typos."""
    texts = (
        word
        for words_of, (kind, _) in lexicon(attributes).items()
        if kind not in "!_n" and len(words_of) == 1
        for word in words_of
    )
    return tuple(sorted({word for word in (*texts, *SPELLED, "women") if len(word) > 3 and word.isalpha()}))


def tokenize(text: str, attributes: Attributes | None = None) -> list[Token]:
    """The tokens of one clause that `plain` gave, without those that say nothing."""
    attributes = attributes or built_in()
    return _spoken(_resolved(list(_scanned(text, attributes)), attributes))


def _scanned(text: str, attributes: Attributes) -> Iterator[Token]:
    """The tokens of `text` from left to right, fillers included. A number comes first, then the longest phrase."""
    text_words = words(text)
    places = {word.start: i for i, word in enumerate(text_words)}
    at = 0
    while at < len(text):
        token = _number(text, at)
        if token is None:
            token = _words(text, text_words, places[at], attributes) if at in places else _mark(text, at)
        if token is not None:
            yield token
        at = token.end if token is not None else at + 1


def _number(text: str, at: int) -> Token | None:
    if at and text[at - 1].isalnum() and text[at].isalnum():
        return None
    for kind, pattern, read in NUMBERS:
        if found := pattern.match(text, at):
            written = found.group().strip()
            try:
                value = read(written)
            except ValueError as error:
                return Token("!", written, at, found.end(), str(error))
            decimal = kind == "count" and any(mark in written for mark in ".,")
            kind = "ratio" if isinstance(value, tuple) else "share" if decimal or kind == "ratio" else kind
            return Token(KINDS[kind], written, at, found.end(), value)
    return None


def _words(text: str, text_words: Sequence[Word], first: int, attributes: Attributes) -> Token:
    """The longest phrase that begins at a word; a word that begins none is a concept, known or not."""
    reach = first + 1
    while reach < len(text_words) and reach - first < _LONGEST and text_words[reach].joined:
        reach += 1
    start = text_words[first].start
    for stop in range(reach, first, -1):
        words_here = tuple(word.normal for word in text_words[first:stop])
        end = text_words[stop - 1].end
        if text[start:end] in {"people", "persons", "humans"}:
            return Token("C", text[start:end], start, end, (EVERYONE,))
        if entry := lexicon(attributes).get(words_here):
            value = (entry[1],) if entry[0] == "C" else entry[1]
            return Token(entry[0], text[start:end], start, end, value)
        if words_here in known():
            return Token("C", text[start:end], start, end, words_here)
    return Token("C", text_words[first].text, start, text_words[first].end, (text_words[first].normal,))


def _mark(text: str, at: int) -> Token | None:
    """The mark at `at`; None if it says nothing."""
    mark = text[at]
    if mark.isspace() or mark in _SILENT or (mark == "s" and text[at - 1] == "'"):
        return None
    if mark == "-":
        return Token(":", mark, at, at + 1) if text[at - 1 : at + 2] == " - " else None
    if mark == "/":
        return Token("&", mark, at, at + 1)
    if mark in _MARKS:
        return Token(_MARKS[mark], mark, at, at + 1)
    return Token("!", mark, at, at + 1, f"{mark!r} is not understood; leave it out")


def _resolved(tokens: list[Token], attributes: Attributes) -> list[Token]:
    """The tokens with one kind each: what "every", "all", "only", "for" and "one" mean depends on their neighbours."""
    found: list[Token] = []
    told = [i for i, token in enumerate(tokens) if token.kind not in "_n"]
    for i, token in enumerate(tokens):
        place = bisect_right(told, i)
        later = [tokens[k] for k in told[place : place + 3]]
        after = later[0].kind if later else ""
        before = found[-1].kind if found else ""
        kind, value = token.kind, token.value
        named = i + 1 < len(tokens) and tokens[i + 1].kind in "Cnp" and after == "C"
        if (
            kind in "nwp" and named and not token.text.endswith("s")
        ):  # "picture editor", "set designer", "figure skater"
            kind, value = "C", phrase(token.text)
        elif kind == "G" and re.match("[V:]*Q", kinds(later)) and _is_label(token, attributes):
            kind, value = "L", value[0]  # "glasses: uniform", where one of the groups is called glasses too
        elif token.kind in "DA" and after == "C" and value != 0:
            kind = "d"
        elif kind == "D" and after == "L" and _takes_share(found, later):
            kind = "e"
        elif kind == "D":
            kind = "e" if before == "S" and after != "L" else "_"
        elif kind == "A":
            silent = after in set("LSNRQV") and (token.value or after != "L")
            kind, value = ("_", None) if silent else ("S", Fraction(token.value))
        elif kind == "O":
            kind, value = ("_", None) if after in set("SNRQM") else ("S", Fraction(1))
        elif kind == "X" and after == "S":
            kind = "_"  # "the remaining 60% men"
        elif kind + after == "NL" and value == _number_of_groups(attributes[later[0].value]):
            kind = "_"  # "all five skin tones"
        elif kind == "P" and token.text == "for" and after == "D" and later[1:2] and later[1].kind in "NG":
            kind = "t"
        elif kind == "P" and token.text == "over" and after in set("SN"):
            kind, value = "!", f"{token.text!r} is a bound; {EXACT}"
        elif kind == "p":
            kind, value = ("_", None) if before == "G" or after == "G" else ("C", phrase(token.text))
        elif kind in "nw":
            kind = "_" if kind == "n" else "V"
        elif kind == "L" and before == "G" and after != "Q" and found[-1].value[0] == token.value:
            kind = "_"
        found.append(replace(token, kind=kind, value=value))
    return found


def _is_label(token: Token, attributes: Attributes) -> bool:
    """Whether the word for a group is a name of its attribute too."""
    attribute = attributes[token.value[0]]
    return phrase(token.text) in {phrase(text) for text in (attribute.label, *attribute.called)}


def _takes_share(before: Sequence[Token], later: Sequence[Token]) -> bool:
    """Whether a share is that of each group of an attribute: "each skin tone 20%", "20% for each skin tone"."""
    letters = kinds(before).replace("_", "")
    return bool(re.search("SP?$", letters)) or kinds(later[1:2]) == "S" or kinds(later[1:3]) in {"VS", ":S"}


def _number_of_groups(attribute: Attribute) -> int:
    """The number of groups that "all" means: those with a default share."""
    return sum(share > 0 for share in attribute.default_shares.values())


def _spoken(tokens: Sequence[Token]) -> list[Token]:
    """The tokens without fillers; neighbouring words of one concept, and runs of verbs or marks, become one token."""
    found: list[Token] = []
    joined = False
    for token in tokens:
        last = found[-1].kind if found else ""
        if token.kind == "_":
            joined = False
            continue
        both = last + token.kind
        if both == "CC" and joined and not {EVERY_OCCUPATION, EVERYONE} & {*found[-1].value, *token.value}:
            found[-1] = replace(found[-1], text=f"{found[-1].text} {token.text}", end=token.end)
            found[-1] = replace(found[-1], value=(*found[-1].value, *token.value))
        elif both in {"VV", "Va", "Vt", "PP", ",,", "&&", ",&", "::", "V:", ":V"}:
            found[-1] = replace(found[-1], end=token.end)
        elif both in {"tV", "&,"}:
            found[-1] = replace(token, start=found[-1].start)
        else:
            found.append(token)
        joined = token.kind == "C"
    return found
