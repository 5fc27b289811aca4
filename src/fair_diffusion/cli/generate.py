"""`fair-diffusion generate`: images with measured proportions into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.options import Instruction, Loading, Sampling, Steering, grouped
from fair_diffusion.cli.progress import denoising
from fair_diffusion.cli.show import outcome, show
from fair_diffusion.cli.signing import C2pa, signature
from fair_diffusion.cli.terminal import Terminal
from fair_diffusion.cli.usage import INTERRUPTED, MISSED, check_requests, instructed, loaded, usage_errors
from fair_diffusion.runs.format import SHEET

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
    verbose: Annotated[bool, typer.Option("--verbose", help="also intervals, deviations and distances")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object per prompt")] = False,
    c2pa: C2pa = None,
) -> None:
    """Generate images of each PROMPT as instructed, count the groups they show, and say whether that is as asked.

    The strengths that steering needs are learnt as it goes; with --policy they are kept beside the policy, in
    NAME.strengths.json. Exit code 3 if the images are not as asked: a group is more than 5 points of them from its
    quota, whatever the judge's known errors and unread images hide; 2 for wrong usage; 130 if interrupted: finished
    images are kept."""
    with usage_errors():
        # Everything that can be wrong is looked at before anything is drawn, most of it before the model is loaded.
        from fair_diffusion.control.strengths import Strengths
        from fair_diffusion.files.new_folder import check_new, scratch_for
        from fair_diffusion.policy import match
        from fair_diffusion.request import Request

        settings: dict[str, Any] = {"n": n, "seed": seed, **steering, **sampling}
        check_requests(prompts, settings)
        rules = instructed(instruction)
        check_new(out)
        sign = signature(c2pa)
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
    together = max(1, TOGETHER // n)
    for first in range(0, len(requests), together):
        some = requests[first : first + together]
        images, steps = n * len(some) * (1 + compare_plain), settings.get("steps", pipe.card.steps)
        folders: dict[int, Path] = {}

        def save(k: int, result: Result, *, first: int = first, folders: dict[int, Path] = folders) -> None:
            if not result.images:  # interrupted before one was finished
                say(f"{result.prompt}: no image was finished, so nothing is written", err=True)
                return
            folder = out / f"{first + k:03d}" if several else out
            result.save(folder, sign)
            folders[k] = folder

        # Some prompts share batches, and are saved before the next ones are drawn.
        with usage_errors(), scratch_for(out) as scratch:
            try:
                with denoising(images, steps) as on_step:
                    drawn = pipe.many(
                        some,
                        strengths=strengths,
                        ledger=counts,
                        compare_plain=compare_plain,
                        on_step=on_step,
                        keep=save,
                        scratch=scratch,
                    )
            except BaseException:
                for folder in folders.values():
                    say(f"{folder} was saved before that", err=True)
                raise
        for k, folder in folders.items():
            if as_json:
                say_json(drawn[k].summary())
            else:
                tell(drawn[k], folder, verbose=verbose)
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


def tell(result: Result, folder: Path, *, verbose: bool) -> None:
    """Print what was asked and what came out, beside the plain twins if there are any."""
    show(result, result.plain, verbose=verbose)
    terminal = Terminal()
    if verbose and result.twins and result.twins.steered:
        away = f"{result.twins.pixel_distance:.1%} of a pixel's range"
        if result.twins.feature_distance is not None:
            away += f" and {result.twins.feature_distance:.3f} in features"
        terminal.write(
            f"steered images are {away} from their plain twins, untouched ones {result.twins.untouched_difference:.1%}"
        )
    seconds = f"{result.seconds:,.0f} s"
    if result.plain:
        seconds = f"{result.seconds + result.plain.seconds:,.0f} s with the plain twins"
    terminal.write(f"{outcome(result, result.plain, cost='plain', seconds=seconds)} See {folder / SHEET}")
