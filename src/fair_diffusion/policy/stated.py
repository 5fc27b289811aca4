"""Which identity a prompt states itself, so that no rule may change it.

Some words state an attribute wherever they stand ("female", "her", "in his seventies"). Others only where they say
something about the person ("black", "old"): just before the concept ("a black doctor"), after a verb or a comma ("the
doctor is old", "a nurse, Black"), or before a word for descent ("of Asian descent"). "A black-clad doctor" and "a nurse
with a black bag" say nothing about anybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fair_diffusion.policy.attributes import ATTRIBUTES, Attribute
from fair_diffusion.policy.concepts import Mention, known, lists
from fair_diffusion.policy.words import Phrase, Word, phrase, spans

REACH = 3
"""How many words before a concept may say something about it."""


def stated_words(name: str, prompt: str, text: Sequence[Word], mention: Mention) -> str | None:
    """The words by which `prompt`, whose words are `text`, states attribute `name` of the mentioned person, or None."""
    entry = known().get(mention.words)
    if name == "gender" and entry and entry.relation == "gendered":
        return " ".join(mention.words)
    return next(_statements(ATTRIBUTES[name], prompt, text, mention), None)


def stated_groups(name: str, prompt: str, text: Sequence[Word], mention: Mention) -> set[str]:
    """Every group of attribute `name` that `prompt` states of the mentioned person, by words that belong to a group.

    A gendered word for the occupation itself ("fireman") decides alone. Empty if nothing is stated, or only that
    something is ("a Kenyan nurse" says no skin tone, "aged 70" no group of ages)."""
    attribute = ATTRIBUTES[name]
    entry = known().get(mention.words)
    if name == "gender" and entry and entry.relation == "gendered":
        statements = [" ".join(mention.words)]
    else:
        statements = list(_statements(attribute, prompt, text, mention))
    if any(character.isdigit() for said in statements for character in said):
        return set()
    return {group for said in statements if (group := _group(attribute, phrase(said)))}


def _group(attribute: Attribute, said: Phrase) -> str | None:
    """The group that the words `said` belong to; of words that are gendered by their ending, the ending's."""
    for group in attribute.groups:
        if said in {phrase(word) for word in (*group.words, *group.qualifiers)}:
            return group.name
    if attribute.name != "gender" or not said:
        return None
    if said[-1].endswith(("woman", "ess", "trix", "maid", "wife")) or "lady" in said:
        return "woman"
    return "man" if said[-1].endswith("man") else None


def _statements(attribute: Attribute, prompt: str, text: Sequence[Word], mention: Mention) -> Iterator[str]:
    """The words by which `attribute` is stated, one statement after the other."""
    ignored = {phrase(p) for p in attribute.ignore}
    for first, stop in spans(text, lambda p: p in attribute.stated_by or p in ignored):
        found = tuple(word.normal for word in text[first:stop])
        if found not in ignored:
            yield " ".join(found)
    for pattern in attribute.patterns:
        if written := pattern.search(prompt):
            yield written.group()
    yield from _qualified(attribute, prompt, text, mention, ignored)


def _qualified(
    attribute: Attribute, prompt: str, text: Sequence[Word], mention: Mention, ignored: set[Phrase]
) -> Iterator[str]:
    for first, stop in spans(text, lambda p: p in attribute.qualified_by or p in ignored):
        if tuple(word.normal for word in text[first:stop]) in ignored:
            continue
        written = prompt[text[first].start : text[stop - 1].end]
        follower = text[stop] if stop < len(text) else None
        if follower and follower.joined and (follower.normal,) in lists()["descent"]:
            yield f"{written} {follower.text}"
        elif mention.first - REACH <= first < mention.first:
            if not _says_dress(prompt, text, stop, mention.first):
                yield written
        elif first >= mention.stop and _is_said_of(text, first, mention.stop) and _ends(follower):
            yield written


def _ends(follower: Word | None) -> bool:
    """Whether nothing follows that a qualifier could belong to instead: "a nurse, black bag in hand"."""
    return follower is None or not follower.joined or (follower.normal,) in lists()["frame"]


def _says_dress(prompt: str, text: Sequence[Word], stop: int, concept: int) -> bool:
    """Whether the qualifier that ends before word `stop` belongs to another word than the concept: "black-clad"."""
    if stop >= concept:
        return False
    hyphen = prompt[text[stop - 1].end : text[stop].start].strip() != ""
    return (hyphen and text[stop].normal != "looking") or (text[stop].normal,) in lists()["dress"]


def _is_said_of(text: Sequence[Word], first: int, after: int) -> bool:
    """Whether word `first` is said of a concept that ends before word `after`: "… is old", "…, black"."""
    between = text[after:first]
    if all((word.normal,) in lists()["copulas"] for word in between):
        return bool(between) or not text[first].joined
    return False
