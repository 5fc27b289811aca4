"""What a definition's words mean already: every sentence must mean one thing.

Exports `ambiguities`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fair_diffusion.policy.attributes import Attribute, Attributes
from fair_diffusion.policy.concepts import known
from fair_diffusion.policy.share import SPELLED
from fair_diffusion.policy.spelling import plain
from fair_diffusion.policy.tokens import lexicon, said_groups
from fair_diffusion.policy.words import Phrase, phrase

_NUMBER = re.compile(r"[\d.,]+")
_MEND = "choose other words for it, such as 'dark hair' for 'dark'"
_UNREAD = "no attribute that pictures are read for"
"""What instructions say of words such as "ethnicity", until a definition has them."""

Ambiguity = tuple[str, str, str]
"""The name of a group or of the attribute, what is wrong with a word for it, and the mend."""


def ambiguities(attribute: Attribute, others: Attributes) -> Iterator[Ambiguity]:
    """What is wrong with the words for an attribute and its groups.

    Args:
        attribute: the definition.
        others: those that it is added to; one of its name does not count.
    """
    rest = Attributes(each for name, each in others.items() if name != attribute.name)
    for text in dict.fromkeys([attribute.name, attribute.label, *attribute.called]):
        words = phrase(text)
        if words in _further_names(rest):  # "complexion", of skin tone: the definition of that name has it now
            continue
        if (taken := _taken(words, rest)) and _UNREAD not in taken:
            yield attribute.name, taken, "choose another name for the attribute"
    yield from _numbers(attribute)
    for words, (_, group) in said_groups(attribute).items():
        if not words:
            yield group, "a word for this group has no letters", "write words"
        elif taken := _taken(words, rest):
            yield group, taken, _MEND
    yield from _twice(attribute)


def _further_names(rest: Attributes) -> set[Phrase]:
    """What attributes are called beside their names and labels."""
    own = {phrase(text) for each in rest.values() for text in (each.name, each.label)}
    return {phrase(text) for each in rest.values() for text in each.called} - own


def _taken(words: Phrase, rest: Attributes) -> str | None:
    """What words mean already; None if they mean nothing."""
    text = " ".join(words)
    kind, value = lexicon(rest).get(words, ("", None))
    if kind == "G":
        return f"{text!r} names {value[1]!r} of {rest[value[0]].label} already"
    if kind == "L":
        return f"{text!r} names the attribute {value} already"
    if kind == "!":
        return f"{text!r} is a word of instructions: {value.partition(';')[0]}"
    if kind:
        return f"{text!r} is a word of instructions"
    return f"{text!r} names an occupation" if words in known() else None


def _numbers(attribute: Attribute) -> Iterator[Ambiguity]:
    for group in attribute.groups:
        texts = (group.name, group.adjective, *group.phrases, *group.called)
        if number := next((text for text in texts if text.lower() in SPELLED or _NUMBER.fullmatch(text)), None):
            yield group.name, f"{number!r} is a number", "choose other words for it"


def _twice(attribute: Attribute) -> Iterator[Ambiguity]:
    """Words that name two groups. Tables compare names by `spelling.plain`, sentences by `phrase`."""
    owners: dict[str | Phrase, str] = {}
    for group in attribute.groups:
        for text in dict.fromkeys([group.name, group.adjective, *group.phrases, *group.called, *group.written]):
            for form in (plain(text), phrase(text)):
                owner = owners.setdefault(form, group.name)
                if owner != group.name:
                    yield group.name, f"{text!r} names {owner!r} too", "choose other words for one of the two"
                    break
