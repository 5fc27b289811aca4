"""`fair-diffusion explain`: what an instruction would do with a prompt, and why, without running the model."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fair_diffusion.allocation import plan
from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.options import Holding, Instruction, grouped
from fair_diffusion.cli.usage import instructed, usage_errors
from fair_diffusion.policy import Match, match
from fair_diffusion.policy.holding import attributes_in, held
from fair_diffusion.policy.match_told import fixed_phrases, taught, without_rules
from fair_diffusion.policy.placing import language
from fair_diffusion.policy.target import percent
from fair_diffusion.request import check_prompt, check_seed


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
