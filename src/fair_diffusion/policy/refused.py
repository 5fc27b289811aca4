"""Why words for an occupation depict no such person.

A word counts only if it means a person in the picture. "A doctor's bag", "pilot episode", "mason jar", "judge a book",
"statue of a soldier" and "a robot chef" contain such words but depict no such person.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from fair_diffusion.policy import vocabulary
from fair_diffusion.policy.concepts import known, lists
from fair_diffusion.policy.sentence import is_content
from fair_diffusion.policy.words import Phrase, Word, phrase

ARTICLES = frozenset(["a", "an", "the", "any", "single"])
_ONE = frozenset("a an the one this that each every his her my our their your".split())
_WHO = frozenset("he she it who".split())
_LONGEST = 4
"""The number of nouns behind an occupation that may make a thing of it."""
_ABSTRACT = re.compile(r"[a-z]{3,}(?:tion|sion|ment|ance|ence|ship|ity|ness|ism)")
"""Nouns of events and states: "teacher appreciation card"."""
_USHERED = frozenset("theatre theater cinema church wedding stadium concert opera movie hall".split())
"""Where ushers work."""
_DETERMINERS = frozenset("a an the of one two three every each my our your his her their".split())


def refusal(text: Sequence[Word], first: int, stop: int, words: Phrase) -> str | None:
    """The reason, in plain words, why a mention depicts no person; None if it depicts one.

    Args:
        text: the words of the prompt.
        first: the first word of the mention.
        stop: the word past it.
        words: the known phrase that it stands for.
    """
    before = [word.normal for word in text[max(0, first - 5) : first]]
    after = text[stop] if stop < len(text) else None
    follower = after if after is not None and after.joined else None
    entry = known().get(words)
    occupation = entry.occupation if entry else ""
    if text[stop - 1].possessive and (follower is None or not _shows(text, stop)):
        return "it only says whose something is"
    if follower and not text[stop - 1].possessive and _makes_thing(text, first, stop, follower, occupation):
        return f"'{follower.text}' follows, so a thing is meant"
    if words in lists()["plural_things"] and text[stop - 1].text.lower().endswith("s"):
        return "it may mean a thing"
    faced = words in lists()["faced"] and "face" in before
    if words in lists()["heads"] and not faced and not _has_modifier(text, first):
        return "it names no occupation by itself"
    if words in lists()["verbs"] and _is_verb(text, first, stop, before, follower):
        return "it is a verb here"
    nouns = [word for word in before if word not in ARTICLES]
    if nouns and (nouns[-1],) in lists()["absent"]:
        return f"'{nouns[-1]}' says that there is none"
    if name := _name(text, first, stop):
        return f"{name!r} is a name"
    if entry and _is_foreign(text, words, entry.language):
        return "it is a name or an English word here"
    if "by" in nouns[-3:] and lists()["occupations"].get(occupation, {}).get("maker"):
        return "it names who made the picture"
    return None


def _shows(text: Sequence[Word], at: int) -> bool:
    """Whether a possession shows its owner: "a doctor's portrait", and no "doctor's drawing of a house"."""
    one = (text[at].normal,)
    of = at + 1 < len(text) and text[at + 1].joined and text[at + 1].normal == "of"
    return one in lists()["shown"] and not (of and one in lists()["styles"])


def _makes_thing(text: Sequence[Word], first: int, stop: int, follower: Word, occupation: str) -> bool:
    """Whether the word after an occupation makes a thing of it: "doctor bag", "chef salad"."""
    word = follower.normal
    plural = text[stop - 1].text.lower().endswith("s")
    deed = plural and stop + 1 < len(text) and text[stop + 1].joined and text[stop + 1].normal in _ONE
    if deed or (plural and word.endswith("ing")):  # "judges award a medal", "teachers training children"
        return False
    if (word,) in lists()["things"] or (word,) in _not_before(occupation):
        return True
    if "".join(after.text for after in text[stop : stop + 2]).lstrip("の的").startswith(_unbroken_things()):
        return True
    if word == "who" and text[stop - 1].normal == "doctor":
        return _is_doctor_who(text, first, follower)
    if (word,) in known() or (word,) in lists()["people"] or (word,) in lists()["shown"]:
        return False
    if word.endswith("ing") and (word,) not in lists()["thing_parts"]:  # "a plumber fixing"
        return False
    acts = (follower.text.endswith("s") and not plural) or (plural and not follower.text.endswith("s"))
    if word in vocabulary.things():
        return not (acts and _may_be_verb(text, first, word, plural))
    part = word in vocabulary.nouns() or (word,) in lists()["thing_parts"] or _ABSTRACT.fullmatch(word)
    return bool(part) and (word,) not in lists()["styles"] and not acts and _thing_follows(text, stop)


def _thing_follows(text: Sequence[Word], at: int) -> bool:
    """Whether the noun `text[at]` is only the first part of a thing's name: "appreciation card", "TV show screen"."""
    last = at
    while last + 1 < len(text) and text[last + 1].joined and not text[last].possessive and last - at < _LONGEST:
        word = text[last + 1]
        verb = word.normal.endswith(("ing", "ed")) and (word.normal,) not in lists()["thing_parts"]
        if verb or not is_content(word.text.lower()):
            break
        last += 1
    head = text[last].normal
    return last > at and (head in vocabulary.things() or (head,) in lists()["things"] | lists()["thing_heads"])


@cache
def _not_before(occupation: str) -> frozenset[Phrase]:
    """The words that make something else of one occupation when they follow."""
    return frozenset(phrase(word) for word in lists()["occupations"].get(occupation, {}).get("not_before", ()))


def _may_be_verb(text: Sequence[Word], first: int, word: str, plural: bool) -> bool:
    """Whether the noun after an occupation may say what the person does: "a nurse bandages", "chefs plate"."""
    one = first > 0 and text[first].joined and text[first - 1].normal in _ONE
    return word in vocabulary.verbs() and (plural or one)


def _is_doctor_who(text: Sequence[Word], first: int, who: Word) -> bool:
    """Whether the series is meant. "A doctor who smiles" is a doctor."""
    alone = first == 0 or not text[first].joined or text[first - 1].normal in {"of", "from", "by", "as"}
    return alone or (who.text[0].isupper() and text[first].text[0].isupper())


@cache
def _unbroken_things() -> tuple[str, ...]:
    """What makes a thing of a Chinese or Japanese word before it, alone or after the word for "of"."""
    return tuple(word for words in lists()["unbroken_things"] for word in words)


def _has_modifier(text: Sequence[Word], first: int) -> bool:
    """Whether a noun, or a word of known occupations, stands before the words, as in "umbrella maker"."""
    if first == 0 or not text[first].joined:
        return False
    before = text[first - 1].normal
    return before in vocabulary.nouns() or (is_content(before) and before in vocabulary.words_of_occupations("en"))


def _is_verb(text: Sequence[Word], first: int, stop: int, before: list[str], follower: Word | None) -> bool:
    joined = first > 0 and text[first].joined
    if joined and (before[-1],) in lists()["auxiliaries"]:
        return True
    if joined and stop - first == 1 and not text[first].text.lower().endswith("s") and _is_plural(text[first - 1]):
        return True
    said = before[-1] if joined else ""
    third = stop - first == 1 and text[first].text.lower().endswith("s")
    if said in _WHO and third and not (follower and follower.normal in {"and", "or"}):  # "she doctors the photo"
        return True
    if (
        third and follower and follower.normal == "in" and text[first].normal == "usher"
    ):  # "spring ushers in", "ushers in a hall"
        return said in vocabulary.nouns() and (said,) not in lists()["shown"] and said not in _USHERED
    determined = bool(before) and before[-1] in _DETERMINERS
    return not determined and follower is not None and (follower.normal,) in lists()["objects"]


def _is_plural(word: Word) -> bool:
    """Whether several people may be meant by the word, who then do something: "friends cook"."""
    one = (word.normal,)
    people = one in lists()["people"] or one in known() or one in vocabulary.people()
    return people and word.text.lower() != word.normal and not word.possessive


def _name(text: Sequence[Word], first: int, stop: int) -> str | None:
    """The first name and surname that an occupation's word ends, as in "gerard butler"; None if it ends none."""
    if first == 0 or stop - first > 1 or not text[first].joined or text[first].normal not in vocabulary.surnames():
        return None
    name = text[first - 1]
    if name.normal not in vocabulary.first_names() or name.normal in vocabulary.nouns():
        return None
    if first > 1 and name.joined and text[first - 2].normal in _DETERMINERS - {"of"}:
        return None
    return f"{name.text} {text[first].text}"


def _is_foreign(text: Sequence[Word], words: Phrase, language: str) -> bool:
    """Whether a word of another language is a name or an English word too, and nothing shows that language."""
    shipped = vocabulary.occupations().get(words)
    if language == "en" or shipped is None or not shipped.ambiguous:
        return False
    return not any((word.normal,) in lists()[f"words_{language}"] for word in text)
