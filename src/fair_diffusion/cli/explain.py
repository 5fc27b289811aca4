"""`fair-diffusion explain`: what an instruction would do with a prompt, and why, without running the model."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from fair_diffusion.allocation import plan
from fair_diffusion.cli.console import say
from fair_diffusion.cli.options import Instruction, grouped
from fair_diffusion.cli.usage import instructed, usage_errors
from fair_diffusion.policy import Match, match
from fair_diffusion.policy.target import percent
from fair_diffusion.request import check_prompt, check_seed


@grouped
def explain(
    prompt: Annotated[str, typer.Argument(help="the prompt", metavar="PROMPT")],
    instruction: Instruction,
    n: Annotated[int, typer.Option("-n", "--images", min=1, help="images to share out")] = 64,
    seed: Annotated[int, typer.Option(help="breaks ties in rounding")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Say which rule PROMPT triggers with which target and quotas, or why none does."""
    with usage_errors():
        check_prompt(prompt)
        check_seed(seed)
        rules = instructed(instruction)
    found = match(rules, prompt)
    planned = plan(found.targets, n, seed, prompt)
    if as_json:
        typer.echo(json.dumps(plain(found, planned)))
        return
    say(found.reason)
    if found.rule:
        say(f"matched: {found.concept!r} ({found.how}, score {found.score:.2f})")
    for target, counts in zip(found.targets, planned, strict=True):
        say(f"target: {target}")
        for (cell, share), count in zip(target.shares.items(), counts, strict=True):
            if share:
                say(f"  {' + '.join(cell)}: {percent(share)}, {count} of {n} images")
        if target.note:
            say(f"  note: {target.note}")


def plain(found: Match, planned: list[list[int]]) -> dict[str, Any]:
    """A match with its quotas as plain data."""
    return {
        "rule": found.rule.name if found.rule else None,
        "concept": found.concept,
        "how": found.how,
        "score": found.score,
        "reason": found.reason,
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
