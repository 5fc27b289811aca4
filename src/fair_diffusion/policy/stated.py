"""Which identity a prompt states itself. No rule may change it.

Some words state an attribute wherever they stand ("female", "her", "in his seventies"). Others ("black", "old") state
it only if they describe the person: just before the concept ("a black doctor"), after a verb or a comma ("the doctor is
old", "a nurse, Black"), or before a word for descent ("of Asian descent"). "A black-clad doctor" and "a nurse with a
black bag" describe nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fair_diffusion.policy.attributes import ATTRIBUTES, Attribute
from fair_diffusion.policy.concepts import Mention, known, lists
from fair_diffusion.policy.words import Phrase, Word, phrase, spans

REACH = 3
"""The number of words before a concept that may describe it."""


def stated_words(name: str, prompt: str, text: Sequence[Word], mention: Mention) -> str | None:
    """The words of `prompt` that state attribute `name` of the mentioned person; None if there are none.

    Args:
        name: of the attribute.
        prompt: as written.
        text: the words of the prompt.
        mention: the words for the person.
    """
    entry = known().get(mention.words)
    if name == "gender" and entry and entry.relation == "gendered":
        return " ".join(mention.words)
    return next(_statements(ATTRIBUTES[name], prompt, text, mention), None)


def stated_groups(name: str, prompt: str, text: Sequence[Word], mention: Mention) -> set[str]:
    """Every group of attribute `name` that `prompt` states of the mentioned person.

    A gendered word for the occupation itself ("fireman") decides alone. The set is empty if the prompt states nothing,
    or states the attribute without a group: "a Kenyan nurse" has no skin tone, and "aged 70" no group of ages.

    Args:
        name: of the attribute.
        prompt: as written.
        text: the words of the prompt.
        mention: the words for the person.
    """
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
    """The group that the words `said` belong to. The ending decides for words that are gendered by it."""
    for group in attribute.groups:
        if said in {phrase(word) for word in (*group.words, *group.qualifiers)}:
            return group.name
    if attribute.name != "gender" or not said:
        return None
    if said[-1].endswith(("woman", "ess", "trix", "maid", "wife")) or "lady" in said:
        return "woman"
    return "man" if said[-1].endswith("man") else None


def _statements(attribute: Attribute, prompt: str, text: Sequence[Word], mention: Mention) -> Iterator[str]:
    """The words that state `attribute`, one statement after the other."""
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
    """Whether no other word follows that the qualifier could describe: "a nurse, black bag in hand"."""
    return follower is None or not follower.joined or (follower.normal,) in lists()["frame"]


def _says_dress(prompt: str, text: Sequence[Word], stop: int, concept: int) -> bool:
    """Whether the qualifier that ends before word `stop` belongs to another word than the concept: "black-clad"."""
    if stop >= concept:
        return False
    hyphen = prompt[text[stop - 1].end : text[stop].start].strip() != ""
    return (hyphen and text[stop].normal != "looking") or (text[stop].normal,) in lists()["dress"]


def _is_said_of(text: Sequence[Word], first: int, after: int) -> bool:
    """Whether word `first` describes a concept that ends before word `after`: "… is old", "…, black"."""
    between = text[after:first]
    if all((word.normal,) in lists()["copulas"] for word in between):
        return bool(between) or not text[first].joined
    return False
