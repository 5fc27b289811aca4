"""A match in words, for people: how the prompt was read, what was left aside, and what a rule would be about."""

from __future__ import annotations

from collections.abc import Iterator

from fair_diffusion.policy.concepts import lists
from fair_diffusion.policy.matching import Match, match
from fair_diffusion.policy.placing import language
from fair_diffusion.policy.rules import Policy
from fair_diffusion.policy.words import spans, words

EVERY = "every occupation: gender equal"
"""What is asked for where no rule is given, to say what a rule would be about."""


def without_rules(prompt: str) -> Match:
    """The match of a prompt for which no rule is given. Its reason says what a rule would be about."""
    found = match(Policy.from_sentence(EVERY), prompt, last=True)
    would = (
        f"one for every occupation would fire for {found.concept!r}"
        if found.rule
        else f"none would fire: {found.reason}"
    )
    return Match(
        None, (), None, "none", 0.0, f"no rule is given (--instruct or --policy); {would}", nearest=found.nearest
    )


def fixed_phrases(prompt: str) -> list[str]:
    """The phrases of a prompt that hold the word for an occupation and mean no person, such as "nurse shark"."""
    text = words(prompt)
    places = spans(text, lists()["never"].__contains__)
    return [prompt[text[first].start : text[stop - 1].end] for first, stop in places]


def taught(found: Match, prompt: str) -> Iterator[str]:
    """What else is to be known of a match, line by line: how words were read, and what was left aside."""
    if found.rule:
        yield f"matched: {found.concept!r} ({found.how}, score {found.score:.2f})"
    for written, read in found.read_as:
        yield f"read {written!r} as {read!r}"
    for attribute, said, whose in found.stated:
        yield f"stated: {attribute} by {said!r}, of {whose!r}"
    if found.unsure and found.unsure not in found.reason:
        yield f"unsure: {found.unsure}"
    for rule, concept, why in found.losing:
        yield f"rule {rule.name!r} fits {concept!r} and does not act: {why}"
    if found.rule and (tongue := language(prompt, found.start)) != "en":
        yield spoken(found, tongue)
    for text in fixed_phrases(prompt):
        yield f"fixed phrase: {text!r} means no person"
    if found.nearest and not found.rule:
        concept, score = found.nearest
        near = f"nearest in meaning is {concept!r} (score {score:.2f})" if score > 0 else "all are nearer to a thing"
        yield f"no word for an occupation is known; {near}"


def spoken(found: Match, tongue: str) -> str:
    """In which words steering names the groups in a prompt of another language than English."""
    groups = {group for target in found.targets for cell, share in target.shares.items() if share for group in cell}
    lacking = sorted(groups - found.words.get(tongue, {}).keys())
    if not lacking:
        return f"language: {tongue!r}, with the policy's words for the groups"
    wanted = ", ".join(f"{group}: …" for group in lacking)
    return (
        f"language: {tongue!r}; words for the groups are added to the prompt's end in English; "
        f"a policy file may give those of the language: words: {{{tongue}: {{{wanted}}}}}"
    )
