"""`fair-diffusion explain`: what an instruction would do with a prompt, and why, without running the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from fair_diffusion.allocation import plan
from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.options import Holding, Instruction, grouped
from fair_diffusion.cli.usage import instructed, usage_errors
from fair_diffusion.policy import Match, Policy, match
from fair_diffusion.policy.concepts import lists
from fair_diffusion.policy.holding import attributes_in, held
from fair_diffusion.policy.placing import language
from fair_diffusion.policy.target import percent
from fair_diffusion.policy.words import spans, words
from fair_diffusion.request import check_prompt, check_seed

EVERY = "every occupation: gender equal"
"""What is asked for where no rule is given, to say what a rule would be about."""


@grouped
def explain(
    prompt: Annotated[str, typer.Argument(help="the prompt", metavar="PROMPT")],
    instruction: Instruction,
    holding: Holding,
    n: Annotated[int, typer.Option("-n", "--images", min=1, help="images to share out")] = 64,
    seed: Annotated[int, typer.Option(help="breaks ties in rounding")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Say which rule PROMPT triggers with which target and quotas, or why none does."""
    with usage_errors():
        check_prompt(prompt)
        check_seed(seed)
        rules = instructed(instruction)
        hold = attributes_in(holding["hold"], rules.attributes) if "hold" in holding else None
    found = match(rules, prompt, last=True) if rules.rules else without_rules(prompt)
    planned, kept = plan(found.targets, n, seed, prompt), held(found, hold)
    if as_json:
        told = plain(found, prompt, planned) | {"held": kept}
        say_json({**told, "warnings": rules.warnings, "fixed": fixed_phrases(prompt)})
        return
    say(found.reason)
    for line in taught(found, prompt):
        say(line)
    for target, counts in zip(found.targets, planned, strict=True):
        say(f"target: {target}")
        for (cell, share), count in zip(target.shares.items(), counts, strict=True):
            if share:
                say(f"  {' + '.join(cell)}: {percent(share)}, {count} of {n} images")
        if target.note:
            say(f"  note: {target.note}")
    if kept:
        say(f"held in steered images, where the perceiver reads it: {', '.join(kept)}")


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


def plain(found: Match, prompt: str, planned: list[list[int]]) -> dict[str, Any]:
    """A match with its quotas as plain data."""
    return {
        "rule": found.rule.name if found.rule else None,
        "concept": found.concept,
        "how": found.how,
        "score": found.score,
        "reason": found.reason,
        "language": language(prompt, found.start),
        "losing": [{"rule": rule.name, "concept": concept, "why": why} for rule, concept, why in found.losing],
        "unsure": found.unsure,
        "stated": [stated._asdict() for stated in found.stated],
        "nearest": dict(zip(("concept", "score"), found.nearest, strict=True)) if found.nearest else None,
        "read_as": dict(found.read_as),
        "targets": [
            {
                "attributes": target.attributes,
                "shares": {" + ".join(cell): float(share) for cell, share in target.shares.items()},
                "quotas": {" + ".join(cell): count for cell, count in zip(target.shares, counts, strict=True)},
                "note": target.note,
            }
            for target, counts in zip(found.targets, planned, strict=True)
        ],
    }
