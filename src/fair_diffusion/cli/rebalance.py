"""`fair-diffusion rebalance`: existing images, the fewest of them moved, into a new folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from fair_diffusion.cli import model_options as options
from fair_diffusion.cli.progress import loading
from fair_diffusion.cli.show import deviations, table
from fair_diffusion.cli.usage import INTERRUPTED, MISSED, instructed, usage_errors

if TYPE_CHECKING:
    from fair_diffusion.rebalance import RebalancedResult


def rebalance(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="a folder of images, made by anything; it stays as it is")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="a new folder; a sub-folder per prompt if there are several")
    ],
    instruct: Annotated[str | None, typer.Option(help='such as "firefighter: 50% woman, 50% man"')] = None,
    policy: Annotated[Path | None, typer.Option(help="a policy file (YAML)")] = None,
    prompt: Annotated[str | None, typer.Option(help="what all images are pictures of")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="a table file,prompt; without either, records inside PNGs tell")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", "--images", help="take only the first so many images")] = None,
    model: options.Model = "pocket",
    perceiver: options.Perceiver = None,
    judge: options.Judge = None,
    way: Annotated[str, typer.Option(help="how an image is taken back to noise: inversion or sdedit")] = "inversion",
    depth: Annotated[
        float | None,
        typer.Option(help="how far back at first, a share of the trajectory; else the way's usual"),
    ] = None,
    method: Annotated[str, typer.Option(help="switch or semantic")] = "switch",
    repair_budget: Annotated[
        float,
        typer.Option(help="for further attempts, as a share of drawing all anew (four at least); 0 for none"),
    ] = 0.25,
    steps: Annotated[int | None, typer.Option(help="of the whole trajectory; as usual for the model")] = None,
    guidance: Annotated[float | None, typer.Option(help="guidance scale; as usual for the model")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="what guidance leads away from")] = None,
    guidance_rescale: Annotated[
        float, typer.Option(help="0 to 1: how far guided predictions keep the spread of unguided ones")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="image i uses seed + i")] = 0,
    dtype: options.Dtype = None,
    device: options.Device = None,
    offload: options.Offload = None,
    vae_slicing: options.VaeSlicing = False,
    vae_tiling: options.VaeTiling = False,
    attention: options.Attention = None,
    compile: options.Compile = False,
    lora: options.Lora = None,
    textual_inversion: options.TextualInversion = None,
    config: options.Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object per prompt")] = False,
) -> None:
    """Move the fewest images of FOLDER that make the groups they show what was asked, and write all to a new folder.

    Images that fit are copied byte for byte; FOLDER is only read. Exit code 3 if a share is outside its target's
    tolerance with 95 % confidence, or images that miss could not be moved within the budget; 2 for wrong usage; 130 if
    interrupted, and then nothing is written."""
    with usage_errors():
        from fair_diffusion.rebalance import Rebalance, check_apart, find_originals, read_prompts
        from fair_diffusion.rebalance import rebalance as run

        rules = instructed(instruct, policy)
        check_apart(folder, out)
        settings: dict[str, Any] = {"method": method, "way": way, "depth": depth, "repair_budget": repair_budget}
        settings |= {"seed": seed, "guidance_rescale": guidance_rescale}
        told: dict[str, Any] = {"steps": steps, "guidance": guidance, "negative_prompt": negative_prompt}
        settings |= {name: value for name, value in told.items() if value is not None}
        Rebalance(prompt="-", **settings)
        named = read_prompts(prompts) if prompts else None
        which: dict[str, Any] = {"prompt": prompt, "prompts": named, "n": n}
        find_originals(folder, **which)
        from fair_diffusion.pipeline import FairPipeline

        with loading(model):
            pipe = FairPipeline.from_pretrained(model, **options.given(context))
        try:
            with progress() as move:
                results = run(pipe, folder, out, policy=rules, progress=move, **which, **settings)
        except KeyboardInterrupt:
            typer.echo("interrupted; nothing is written", err=True)
            raise typer.Exit(INTERRUPTED) from None
    for result in results:
        if as_json:
            typer.echo(json.dumps(result.summary()))
        else:
            show(result)
    if not as_json:
        typer.echo(f"see {out}")
    if any(result.missed for result in results):
        raise typer.Exit(MISSED)


@contextmanager
def progress() -> Iterator[Callable[[str, float, float], None]]:
    """A bar for each thing that is done, with the time left, on standard error; and the callback that moves them."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def move(what: str, done: float, total: float) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield move


def show(result: RebalancedResult) -> None:
    """Print what was asked, the originals' counts and those of the new folder, and what moving did."""
    console = Console(markup=False, highlight=False)
    console.print(f"{result.prompt}: {result.reason}", style="bold")
    for note in result.notes:
        console.print(f"note: {note}")
    for broken in result.broken:
        console.print(f"left out: {broken}")
    parts = (result.before, result)
    for part in parts:
        for attribute in dict.fromkeys(row.attribute for row in part.audit):
            console.print(table(part, attribute))
    for line in (line for part in parts for line in deviations(part)):
        console.print(line)
    if result.verdict:
        missed = result.counts()["missed"]
        why = f" ({missed} of the images do not surely show what was assigned)" if missed else ""
        console.print(f"verdict: {result.verdict}{why}")
    console.print(", ".join(f"{count} {what}" for what, count in result.counts().items()))
    moved, cost = result.moved(), result.summary()["cost"]
    if moved["images"]:
        features = "" if moved["feature_distance"] is None else f" and {moved['feature_distance']:.3f} in features"
        console.print(
            f"moved images are {moved['pixel_distance']:.1%} of a pixel's range{features} from their originals"
        )
    if moved["reconstructed"]:
        console.print(
            f"without an edit they come back within {moved['reconstruction_error']:.1%} of a pixel's range, of which "
            f"the image encoder alone makes {moved['encoder_error']:.1%} ({moved['reconstructed']} measured)"
        )
    console.print(f"{cost['ratio']}x the evaluations of drawing all anew, {cost['seconds']} s")
