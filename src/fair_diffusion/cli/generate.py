"""`fair-diffusion generate`: images with measured proportions into a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fair_diffusion.cli.console import Terminal, say
from fair_diffusion.cli.options import Instruction, Loading, Sampling, Steering, grouped
from fair_diffusion.cli.progress import denoising
from fair_diffusion.cli.show import deviations, table
from fair_diffusion.cli.usage import INTERRUPTED, MISSED, check_requests, instructed, loaded, usage_errors

if TYPE_CHECKING:
    from fair_diffusion.result import Result

TOGETHER = 64
"""Images of several prompts that are drawn together, at most; a single prompt may have more."""


@grouped
def generate(
    prompts: Annotated[list[str], typer.Argument(help="one or more prompts", metavar="PROMPT")],
    out: Annotated[Path, typer.Option(help="a new folder; one sub-folder per prompt if there are several")],
    instruction: Instruction,
    steering: Steering,
    sampling: Sampling,
    loading: Loading,
    n: Annotated[int, typer.Option("-n", "--images", help="images per prompt")] = 8,
    seed: Annotated[int, typer.Option(help="image i uses seed + i")] = 0,
    ledger: Annotated[Path | None, typer.Option(help="keep proportions across requests in this file")] = None,
    compare_plain: Annotated[bool, typer.Option("--compare-plain", help="also the unsteered twins")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object per prompt")] = False,
) -> None:
    """Generate images of each PROMPT as instructed, read the groups they show, and say how far from the target.

    The strengths that steering needs are learnt as it goes; with --policy they are kept beside the policy, in
    NAME.strengths.json. Exit code 3 if a share is outside its target's tolerance with 95 % confidence, or images that
    miss could not be repaired within the budget; 2 for wrong usage; 130 if interrupted: finished images are kept."""
    with usage_errors():
        # Everything that can be wrong is looked at before anything is drawn, most of it before the model is loaded.
        from fair_diffusion.control.strengths import Strengths
        from fair_diffusion.files.new_folder import check_new
        from fair_diffusion.policy import match
        from fair_diffusion.request import Request

        settings: dict[str, Any] = {"n": n, "seed": seed, **steering, **sampling}
        check_requests(prompts, settings)
        rules = instructed(instruction)
        check_new(out)
        kept = instruction["policy"].with_suffix(".strengths.json") if "policy" in instruction else None
        strengths = Strengths.load(kept) if kept else Strengths()
        counts = None
        if ledger:
            from fair_diffusion.allocation.ledger import Ledger

            counts = Ledger(ledger)
        pipe = loaded(loading)
        several = len(prompts) > 1  # ties of rounding even out over the prompts
        requests = [
            Request(prompt=prompt, policy=rules, lot=(seed, k) if several else None, **settings)
            for k, prompt in enumerate(prompts)
        ]
        for request in requests:
            pipe.check(match(rules, request.prompt))
    results: list[Result] = []
    # Some prompts share batches, and are saved before the next ones are drawn.
    together = max(1, TOGETHER // n)
    for first in range(0, len(requests), together):
        some = requests[first : first + together]
        images, steps = n * len(some) * (1 + compare_plain), settings.get("steps", pipe.card.steps)
        with usage_errors(), denoising(images, steps) as on_step:
            drawn = pipe.many(some, strengths=strengths, ledger=counts, compare_plain=compare_plain, on_step=on_step)
        for k, result in enumerate(drawn, first):
            if not result.images and len(prompts) > 1:  # interrupted before its turn
                say(f"{result.prompt}: no image was finished, so nothing is written", err=True)
                continue
            folder = out if len(prompts) == 1 else out / f"{k:03d}"
            with usage_errors():
                result.save(folder)
            if as_json:
                typer.echo(json.dumps(result.summary()))
            else:
                show(result, folder)
        results += drawn
        if kept and strengths.counts:
            try:
                strengths.save(kept)
            except OSError as error:
                say(f"{kept} cannot be written ({error.strerror}); the strengths learnt are not kept", err=True)
        if any(result.interrupted for result in drawn):
            raise typer.Exit(INTERRUPTED)
    if any(result.missed for result in results):
        raise typer.Exit(MISSED)


def show(result: Result, folder: Path) -> None:
    """Print what was asked and what came out: one table per attribute, for the plain twins and for the images."""
    terminal = Terminal()
    terminal.write(f"{result.prompt}: {result.reason}", bold=True)
    for note in result.notes:
        terminal.write(f"note: {note}")
    parts = [part for part in (result.plain, result) if part]
    for part in parts:
        for attribute in dict.fromkeys(row.attribute for row in part.audit):
            terminal.print(table(part, attribute))
    for part in parts:
        for line in deviations(part):
            terminal.write(line)
    if result.verdict:
        terminal.write(f"verdict: {result.verdict}")
    cost = result.summary()["cost"]
    if result.control == "natural-first" or result.method == "rejection":
        terminal.write(", ".join(f"{count} {what}" for what, count in result.counts().items()))
    if result.twins and result.twins.steered:
        away = f"{result.twins.pixel_distance:.1%} of a pixel's range"
        if result.twins.feature_distance is not None:
            away += f" and {result.twins.feature_distance:.3f} in features"
        terminal.write(
            f"steered images are {away} from their plain twins, untouched ones {result.twins.untouched_difference:.1%}"
        )
    spent = f"{cost['ratio']}x the evaluations of plain generation" if result.images else "no image was finished"
    terminal.write(f"{spent}, {cost['seconds']} s; see {folder}")
