"""`fair-diffusion rebalance`: existing images, the fewest of them moved, into a new folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.options import Holding, Instruction, Loading, Sampling, grouped
from fair_diffusion.cli.progress import working
from fair_diffusion.cli.show import outcome, show
from fair_diffusion.cli.terminal import Terminal
from fair_diffusion.cli.usage import INTERRUPTED, MISSED, instructed, loaded, usage_errors
from fair_diffusion.methods import METHODS, USUAL

if TYPE_CHECKING:
    from fair_diffusion.rebalance import RebalancedResult

_MIDWAY = " or ".join(row.name for row in METHODS.values() if row.midway)


@grouped
def rebalance(
    folder: Annotated[
        Path, typer.Argument(help="a folder of images, made by anything; it stays as it is", metavar="FOLDER")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="a new folder; a sub-folder per prompt if there are several")
    ],
    instruction: Instruction,
    holding: Holding,
    sampling: Sampling,
    loading: Loading,
    prompt: Annotated[str | None, typer.Option(help="the prompt of all images")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="a table file,prompt; without either, the records inside PNGs are read")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", "--images", help="take only the first so many images")] = None,
    way: Annotated[str, typer.Option(help="how an image is taken back to noise: inversion or sdedit")] = "inversion",
    depth: Annotated[
        float | None,
        typer.Option(help="how far back at first, as a share of the trajectory; as usual for the way if not given"),
    ] = None,
    method: Annotated[str, typer.Option(help=_MIDWAY)] = USUAL,
    seed: Annotated[int, typer.Option(help="image i uses seed + i")] = 0,
    verbose: Annotated[bool, typer.Option("--verbose", help="also intervals, deviations and distances")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object per prompt")] = False,
) -> None:
    """Move the fewest images of FOLDER that make the groups they show what was asked, and write all to a new folder.

    Images that fit are copied byte for byte; FOLDER is only read. Exit code 3 if the images are not as asked: a group
    is more than 5 points of them from its quota, whatever the judge's known errors and unread images hide; 2 for wrong
    usage; 130 if interrupted, and then nothing is written."""
    with usage_errors():
        from fair_diffusion.rebalance import Rebalance, check_apart, find_originals, read_prompts
        from fair_diffusion.rebalance import rebalance as run

        rules = instructed(instruction)
        check_apart(folder, out)
        settings: dict[str, Any] = {"method": method, "way": way, "depth": depth, "seed": seed, **sampling, **holding}
        Rebalance(prompt="-", **settings)
        named = read_prompts(prompts) if prompts else None
        which: dict[str, Any] = {"prompt": prompt, "prompts": named, "n": n}
        find_originals(folder, **which)
        pipe = loaded(loading)
        try:
            with working() as move:
                results = run(pipe, folder, out, policy=rules, progress=move, **which, **settings)
        except KeyboardInterrupt:
            say("interrupted; nothing is written", err=True)
            raise typer.Exit(INTERRUPTED) from None
    for result in results:
        if as_json:
            say_json(result.summary())
        else:
            tell(result, verbose=verbose)
    if not as_json:
        say(f"see {out}")
    if any(result.missed for result in results):
        raise typer.Exit(MISSED)


def tell(result: RebalancedResult, *, verbose: bool) -> None:
    """Print what was asked, the originals' counts and those of the new folder, and what moving did."""
    terminal = Terminal()
    show(result, result.before, verbose=verbose)
    for broken in result.broken:
        terminal.write(f"left out: {broken}")
    moved = result.moved()
    if verbose and moved["images"]:
        features = "" if moved["feature_distance"] is None else f" and {moved['feature_distance']:.3f} in features"
        terminal.write(
            f"moved images are {moved['pixel_distance']:.1%} of a pixel's range{features} from their originals"
        )
    if verbose and moved["reconstructed"]:
        terminal.write(
            f"without an edit they come back within {moved['reconstruction_error']:.1%} of a pixel's range, of which "
            f"the image encoder alone makes {moved['encoder_error']:.1%} ({moved['reconstructed']} measured)"
        )
    terminal.write(outcome(result, result.before, cost="drawing all anew", seconds=f"{result.seconds:,.0f} s"))
