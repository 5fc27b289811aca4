"""The prompt-quota baseline: each image's prompt names its assigned group. Sampling does not change."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from fair_diffusion.backbones import Guide
from fair_diffusion.policy import Assignment, Attributes
from fair_diffusion.policy.attributes import AFTER, LAST
from fair_diffusion.policy.placing import language, place
from fair_diffusion.steering import plain
from fair_diffusion.steering.brief import Aimed, Brief

# words whose first sound is not what their first letter suggests
_SOUNDS_VOWEL = re.compile(r"hour|honest|hono|heir", re.IGNORECASE)
_ARTICLE = re.compile(r"(?<![^\W_])(an?)([\s_]+[(\[{\"'“*]*)$", re.IGNORECASE)
_SOUNDS_CONSONANT = re.compile(r"uni(?!n|m)|use|usu|uto|eu|one\b|once\b", re.IGNORECASE)


def guide(images: Sequence[Aimed]) -> Guide:
    """Guide each image by the prompt that names its group, from the first step on."""
    return guide_by(images, used_prompt)


def guide_by(images: Sequence[Aimed], prompt_of: Callable[[Brief, Assignment], str]) -> Guide:
    """Guide each steered image by another prompt, which `prompt_of` makes from its brief and its groups."""
    unsteered = plain.guide(images)
    if not any(aim.strength for _, aim in images):
        return unsteered
    other = images[0].brief.encode([prompt_of(brief, aim.assigned) for brief, aim in images])
    strength = torch.tensor([aim.strength for _, aim in images])
    return replace(unsteered, cond=unsteered.cond.towards(other, strength))


def used_prompt(brief: Brief, assigned: Assignment) -> str:
    """The prompt with the adjectives of the assigned groups, with gender last, as in English.

    A prompt in another language gets the policy's words of that language.
    """
    return naming(brief.request.prompt, brief.start, brief.words, brief.definitions, assigned)


def naming(
    prompt: str,
    start: int | None,
    words: Mapping[str, Mapping[str, str]],
    defined: Attributes,
    assigned: Assignment,
) -> str:
    """The same for a prompt whose concept begins at `start`.

    Args:
        prompt: the prompt.
        start: as in `with_group`.
        words: the policy's words for groups, by language and group.
        defined: the definitions of the attributes.
        assigned: the groups, by attribute.
    """
    order = sorted((defined[name] for name in assigned), key=lambda each: each.stands == LAST)
    groups = [each.group(assigned[each.name]) for each in order]
    tongue = language(prompt, start)
    given = [words.get(tongue, {}).get(group.name, group.words.get(tongue)) for group in groups]
    foreign = tongue != "en" and None not in given
    put = [str(word) for word in given] if foreign else [group.adjective for group in groups]
    before = [word for each, word in zip(order, put, strict=True) if each.stands != AFTER]
    behind = [word for each, word in zip(order, put, strict=True) if each.stands == AFTER]
    return with_group(prompt, start, [] if foreign else before, before if foreign else [], behind, foreign=foreign)


def with_group(
    prompt: str,
    start: int | None,
    adjectives: Sequence[str],
    translated: Sequence[str] = (),
    behind: Sequence[str] = (),
    *,
    foreign: bool = False,
) -> str:
    """The prompt with adjectives before the concept, and an article that fits them, and with other words after it.

    "a photo of an engineer", 14, ["female"] → "a photo of a female engineer".

    Where the prompt is in another language, the translated words are put there; without them ", female person" is added
    at the end.

    Args:
        prompt: the prompt.
        start: the character at which the concept begins; None if the prompt does not name it: then ", female person"
            is added at the end too.
        adjectives: the adjectives, in order; without any words the prompt does not change.
        translated: the same in the language of the prompt, if it is another one.
        behind: words after the concept, such as "with glasses".
        foreign: whether `behind` is in the language of the prompt, and that is another one than English.
    """
    phrase = " ".join(word for adjective in adjectives for word in adjective.split())
    if not phrase and not translated and not behind:
        return prompt
    found = None if start is None else place(prompt, start)
    if found is None or (found.language != "en" and not translated and not foreign):
        return append(prompt, " ".join(filter(None, (phrase, "person", *behind))))
    if behind and prompt[found.stop : found.stop + 2] in ("'s", "’s"):  # "the nurse's hat"
        return append(with_group(prompt, start, adjectives), f"person {' '.join(behind)}")
    if behind:
        prompt = f"{prompt[: found.stop]}{found.blank}{found.blank.join(behind)}{prompt[found.stop :]}"
    put = phrase.replace(" ", found.blank) if found.language == "en" else found.blank.join(translated)
    if not put:
        return prompt
    before, after = prompt[: found.at], prompt[found.at :]
    if found.language == "en":
        before = _mend_article(before, phrase)
    return f"{before}{put}{found.blank}{after}" if found.before else f"{before}{found.blank}{put}{after}"


def _mend_article(before: str, phrase: str) -> str:
    """The text `before`, whose last word "a" or "an" is made to fit the phrase that follows; capitals are kept."""
    article = _ARTICLE.search(before)
    if article is None:
        return before
    letter = article[1][0]
    ending = ("N" if article[1].isupper() and len(article[1]) > 1 else "n") if _vowel_sound(phrase) else ""
    return f"{before[: article.start()]}{letter}{ending}{article[2]}"


def _vowel_sound(phrase: str) -> bool:
    if _SOUNDS_VOWEL.match(phrase):
        return True
    return phrase[0].lower() in "aeiou" and not _SOUNDS_CONSONANT.match(phrase)


def append(prompt: str, text: str) -> str:
    """The prompt with ", text" instead of its closing punctuation."""
    stem = prompt.rstrip(" \t\n.,;:")
    return f"{stem}, {text}" if stem else text
