"""`fair-diffusion explain`: what an instruction would do with a prompt, and why, without running the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from fair_diffusion.allocation import quotas
from fair_diffusion.cli.usage import usage_errors
from fair_diffusion.policy import Match, Policy, match
from fair_diffusion.policy.target import percent


def explain(
    prompt: Annotated[str, typer.Argument(help="the prompt")],
    instruct: Annotated[str | None, typer.Option(help='such as "firefighter: half women"')] = None,
    policy: Annotated[Path | None, typer.Option(help="a policy file (YAML)")] = None,
    n: Annotated[int, typer.Option("-n", "--images", min=1, help="images to share out")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="breaks ties in rounding")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Say which rule PROMPT triggers with which target and quotas, or why none does."""
    with usage_errors():
        if not prompt.strip():
            raise ValueError("the prompt is empty; say what to draw")
        if len(prompt) > 32_000:
            raise ValueError(f"the prompt has {len(prompt)} characters; shorten it to 32000")
        if instruct is not None and policy is not None:
            raise ValueError("both --instruct and --policy are given; give one")
        rules = Policy.from_file(policy) if policy else Policy.from_sentence(instruct) if instruct else Policy()
    found = match(rules, prompt)
    if as_json:
        typer.echo(json.dumps(plain(found, n, seed)))
        return
    typer.echo(found.reason)
    if found.rule:
        typer.echo(f"matched: {found.concept!r} ({found.how}, score {found.score:.2f})")
    for k, target in enumerate(found.targets):
        typer.echo(f"target: {target}")
        shares = list(target.shares.values())
        for cell, share, count in zip(target.shares, shares, quotas(shares, n, seed + k), strict=True):
            if share:
                typer.echo(f"  {' + '.join(cell)}: {percent(share)}, {count} of {n} images")
        if target.note:
            typer.echo(f"  note: {target.note}")


def plain(found: Match, n: int, seed: int) -> dict[str, Any]:
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
                "quotas": dict(
                    zip(
                        (" + ".join(c) for c in target.shares),
                        quotas(list(target.shares.values()), n, seed + k),
                        strict=True,
                    )
                ),
                "note": target.note,
            }
            for k, target in enumerate(found.targets)
        ],
    }
