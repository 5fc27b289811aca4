"""Shares as a person writes them: "40% women, 60% men", "1/3 men", "men and women equally", "skin tone uniform"."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

from fair_diffusion.policy.attributes import ATTRIBUTES, suggestion
from fair_diffusion.policy.errors import Problem
from fair_diffusion.policy.target import UNIFORM_WORDS, Cell, Target, complete, parse_share, uniform
from fair_diffusion.policy.words import Phrase, phrase, spans, words

_SPELLED = r"(?:(?:one|two|three|four|a|an)[ -])?(?:half|halves|thirds?|quarters?|fourths?|fifths?|tenths?)"
_NUMBER = r"-?(?:\d+(?:[.,]\d+)?|\.\d+)"
_SHARE = (
    rf"{_NUMBER}\s*(?:%|percent\b|per cent\b)|\d+\s*/\s*\d+|\d+ (?:in|out of) \d+|{_NUMBER}"
    rf"|\b(?:{_SPELLED}|all|none|no|only|zero)\b"
)
LEADING_SHARE = re.compile(rf"\s*(?:{_SHARE})", re.I)
_ANY_SHARE = re.compile(_SHARE, re.I)
_HALVES = re.compile(r"\b(?:50\s?%?\s?[/:-]\s?50\s?%?|fifty[ -]fifty)")
_EQUAL = re.compile(rf"\b(?:{'|'.join(sorted(UNIFORM_WORDS, key=len, reverse=True))}|as many)\b")
_REST = re.compile(r"\b(?:the )?(?:rest|remainder|remaining|others?)\b")
_PARTS = re.compile(r"(?<!\d),|,(?!\d)|\band\b|&|\+|\bas(?= (?:women|men|woman|man)\b)")
_FILLERS = frozenset(
    (
        "person skin tone skinned should must be of them the is are in number share amount part as many with each a "
        "an image picture show to split distribution proportion at being gender age and all one have group which that "
        "color colour"
    ).split()
)


@dataclass
class _Bucket:
    """The statements of a clause about one attribute, or about one combination of attributes."""

    attributes: tuple[str, ...] = ()
    entries: list[tuple[Cell, Fraction | None]] = field(default_factory=list)
    equal: bool = False
    rest: list[Cell] = field(default_factory=list)
    faulty: bool = False


@cache
def _labels() -> dict[Phrase, str]:
    found = {phrase(text): name for name, a in ATTRIBUTES.items() for text in (a.label, name.replace("_", " "))}
    return {**found, phrase("skin color"): "skin_tone", phrase("skin colour"): "skin_tone"}


@cache
def _aliases() -> dict[Phrase, tuple[str, str]]:
    return {
        phrase(text): (name, group.name)
        for name, a in ATTRIBUTES.items()
        for group in a.groups
        for text in (group.name, group.adjective, *group.phrases)
    }


def attribute_named(text: str) -> str | None:
    """The attribute whose label is the whole of `text` ("skin tone" -> "skin_tone"), or None."""
    return _labels().get(tuple(word for word in phrase(text.replace("_", " ")) if word not in {"the", "their"}))


def groups_in(text: str) -> bool:
    """Whether `text` holds at least one name of a group, and otherwise only words without meaning of their own."""
    found, left = _groups(text)
    return bool(found) and not left


def starts_with_share(text: str) -> bool:
    """Whether `text` begins with a share or a word such as "equal"."""
    return bool(LEADING_SHARE.match(text) or _EQUAL.match(text.strip()))


def read_targets(body: str, line: int | None, problems: list[Problem]) -> list[Target]:
    """The targets that `body` states. Mistakes are added to `problems`, and a target with a mistake is left out."""
    before = len(problems)
    buckets: list[_Bucket] = []
    for part in _PARTS.split(body.lower()):
        if part.strip(" :.-"):
            _read_part(part.strip(" :."), buckets, line, problems)
    targets = []
    for bucket in buckets:
        try:
            if not bucket.faulty:
                targets.append(_target(bucket))
        except ValueError as error:
            message, _, mend = str(error).partition("; ")
            problems.append(Problem(line, body.strip(), message, mend))
    if not targets and len(problems) == before:
        problems.append(Problem(line, body.strip(), "no share is stated", 'say one, such as "half women"'))
    return targets


def _read_part(part: str, buckets: list[_Bucket], line: int | None, problems: list[Problem]) -> None:
    name, part = _strip_label(part)
    if name is not None or not buckets:
        buckets.append(_Bucket((name,) if name else ()))
    bucket = buckets[-1]
    whole, share = part.strip(), None
    if _HALVES.search(part) or _EQUAL.search(part):
        bucket.equal = True
        part = _EQUAL.sub(" ", _HALVES.sub(" ", part))
    elif found := _ANY_SHARE.search(part):
        part = f"{part[: found.start()]} {part[found.end() :]}"
        try:
            share = parse_share(_plain_share(found.group()))
        except ValueError as error:
            bucket.faulty = True
            mend = 'write percent ("50%"), a fraction ("1/3") or a word ("half")'
            problems.append(Problem(line, found.group().strip(), str(error), mend))
    rest = bool(_REST.search(part))
    groups, left = _groups(_REST.sub(" ", part))
    if left or len({name for name, _ in groups}) != len(groups):
        bucket.faulty = True
        _complain(part.strip(), left, bucket, line, problems)
    elif groups:
        _add(groups, share, rest, buckets)
    elif share is not None and not bucket.faulty:
        bucket.faulty = True
        problems.append(Problem(line, whole, "a share without a group", 'name it: "50% women"'))


def _plain_share(text: str) -> str:
    plain = text.strip().replace(",", ".")
    return re.sub(r"^(\d+) (?:in|out of) (\d+)$", r"\1/\2", plain)


def _strip_label(part: str) -> tuple[str | None, str]:
    plain = part.replace("_", " ").strip()
    for label, name in sorted(_labels().items(), key=lambda item: -len(item[0])):
        pattern = r"^(?:the |their )?" + r"[ -]".join(label) + r"s?\b\s*(?:should be|must be|is|are|be)?\s*[:=]?\s*"
        if found := re.match(pattern, plain):
            return name, plain[found.end() :]
    return None, part


def _groups(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The groups that `text` names, as (attribute, group), and its remaining words with a meaning."""
    text_words = words(text)
    aliases = _aliases()
    found: list[tuple[str, str]] = []
    used: set[int] = set()
    for first, stop in spans(text_words, aliases.__contains__):
        found.append(aliases[tuple(word.normal for word in text_words[first:stop])])
        used.update(range(first, stop))
    order = list(ATTRIBUTES)
    left = [w.normal for i, w in enumerate(text_words) if i not in used and w.normal not in _FILLERS]
    return sorted(dict.fromkeys(found), key=lambda item: order.index(item[0])), left


def _complain(part: str, left: list[str], bucket: _Bucket, line: int | None, problems: list[Problem]) -> None:
    if not left:
        problems.append(Problem(line, part, "two groups of one attribute share one number", "give each its share"))
        return
    wanted = [ATTRIBUTES[name] for name in bucket.attributes] or list(ATTRIBUTES.values())
    names = tuple(name for a in wanted for name in a.group_names)
    problems.append(Problem(line, " ".join(left), "unknown group", suggestion(" ".join(left), names)))


def _add(groups: list[tuple[str, str]], share: Fraction | None, rest: bool, buckets: list[_Bucket]) -> None:
    attributes = tuple(name for name, _ in groups)
    cell = tuple(group for _, group in groups)
    bucket = next((b for b in buckets if b.attributes == attributes), None)
    if bucket is None and not buckets[-1].attributes:
        bucket = buckets[-1]
        bucket.attributes = attributes
    elif bucket is None:
        bucket = _Bucket(attributes)
        buckets.append(bucket)
    if rest:
        bucket.rest.append(cell)
    else:
        bucket.entries.append((cell, share))


def _target(bucket: _Bucket) -> Target:
    """The target that one bucket states.

    Raises:
        ValueError: "what is wrong; mend" if it states none.
    """
    if not bucket.attributes:
        raise ValueError('equal shares of what?; name the attribute: "gender: equal"')
    named = [cell for cell, _ in bucket.entries]
    twice = [cell for cell in named + bucket.rest if (named + bucket.rest).count(cell) > 1]
    if twice:
        raise ValueError(f"{' + '.join(twice[0])!r} is named twice; name each group once")
    if bucket.equal and not named:
        return uniform(bucket.attributes[0])
    if bucket.equal:
        if any(share is not None for _, share in bucket.entries):
            raise ValueError("both equal shares and numbers are stated; say one of them")
        return complete(bucket.attributes, {cell: Fraction(1, len(named)) for cell in named})
    missing = [" + ".join(cell) for cell, share in bucket.entries if share is None]
    if missing:
        raise ValueError(f'no share is stated for {", ".join(missing)}; say one, such as "half {missing[0]}"')
    stated = {cell: share for cell, share in bucket.entries if share is not None}
    left = max(Fraction(0), 1 - sum(stated.values(), Fraction(0)))
    stated.update(dict.fromkeys(bucket.rest, left / max(1, len(bucket.rest))))
    if not stated:
        raise ValueError('no share is stated; say one, such as "half women"')
    return complete(bucket.attributes, stated)
