"""`fair-diffusion generate`: images with measured proportions into a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fair_diffusion.cli import model_options as options
from fair_diffusion.cli.progress import loading
from fair_diffusion.cli.show import deviations, table
from fair_diffusion.cli.usage import INTERRUPTED, MISSED, instructed, usage_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from fair_diffusion.backbones import StepInfo
    from fair_diffusion.result import Result


def generate(
    context: typer.Context,
    prompts: Annotated[list[str], typer.Argument(help="one or more prompts", metavar="PROMPT...")],
    out: Annotated[Path, typer.Option(help="a new folder; one sub-folder per prompt if there are several")],
    n: Annotated[int, typer.Option("-n", "--images", help="images per prompt")] = 8,
    instruct: Annotated[str | None, typer.Option(help='such as "firefighter: 50% woman, 50% man"')] = None,
    policy: Annotated[Path | None, typer.Option(help="a policy file (YAML)")] = None,
    model: options.Model = "pocket",
    perceiver: options.Perceiver = None,
    judge: options.Judge = None,
    method: Annotated[
        str,
        typer.Option(
            help="switch (the usual one), semantic, prompt, rejection, hint, embedding, latents, distribution or none; "
            "bottleneck and edit need --file"
        ),
    ] = "switch",
    control: Annotated[
        str, typer.Option(help="natural-first: change few images, repair misses; or all")
    ] = "natural-first",
    repair_budget: Annotated[
        float,
        typer.Option(
            help="for repairs or rejected images, as a share of plain generation (four images at least); 0 for none"
        ),
    ] = 0.25,
    steps: Annotated[int | None, typer.Option(help="denoising steps; as usual for the model if not given")] = None,
    guidance: Annotated[float | None, typer.Option(help="guidance scale; as usual for the model if not given")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="what guidance leads away from")] = None,
    guidance_rescale: Annotated[
        float, typer.Option(help="0 to 1: how far guided predictions keep the spread of unguided ones")
    ] = 0.0,
    file: Annotated[
        Path | None,
        typer.Option(
            help="what was learnt beforehand (safetensors): vectors of the groups, for bottleneck; edited weights or a "
            "LoRA, for edit; heads, for distribution"
        ),
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help="for latents: assigned (the usual one), mean or confident; see docs/latents.md")
    ] = None,
    seed: Annotated[int, typer.Option(help="image i uses seed + i")] = 0,
    ledger: Annotated[Path | None, typer.Option(help="keep proportions across requests in this file")] = None,
    compare_plain: Annotated[bool, typer.Option("--compare-plain", help="also the unsteered twins")] = False,
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
    """Generate images of each PROMPT as instructed, read the groups they show, and say how far from the target.

    What steering takes is learnt as it goes; with --policy it is kept beside the policy, in NAME.strengths.json.
    Exit code 3 if a share is outside its target's tolerance with 95 % confidence, or images that miss could not be
    repaired within the budget; 2 for wrong usage."""
    with usage_errors():
        # Everything that can be wrong is looked at before anything is drawn, most of it before the model is loaded.
        from fair_diffusion.control.strengths import Strengths
        from fair_diffusion.files.new_folder import check_new
        from fair_diffusion.policy import match
        from fair_diffusion.request import Request

        settings: dict[str, Any] = {"n": n, "seed": seed, "method": method, "control": control}
        settings |= {"repair_budget": repair_budget, "guidance_rescale": guidance_rescale}
        told: dict[str, Any] = {"steps": steps, "guidance": guidance, "negative_prompt": negative_prompt}
        told |= {"file": file, "loss": loss}
        settings |= {name: value for name, value in told.items() if value is not None}
        for prompt in prompts:
            Request(prompt=prompt, **settings)
        rules = instructed(instruct, policy)
        check_new(out)
        if file:
            _check_learnt(method, file)
        kept = policy.with_suffix(".strengths.json") if policy else None
        strengths = Strengths.load(kept) if kept else Strengths()
        counts = None
        if ledger:
            from fair_diffusion.allocation.ledger import Ledger

            counts = Ledger(ledger)
        from fair_diffusion.pipeline import FairPipeline

        with loading(model):
            pipe = FairPipeline.from_pretrained(model, **options.given(context))
        for prompt in prompts:
            pipe.check(match(rules, prompt))
    missed = False
    for k, prompt in enumerate(prompts):
        with usage_errors(), progress(n * (1 + compare_plain), steps or pipe.card.steps) as on_step:
            settings |= {"strengths": strengths, "ledger": counts, "on_step": on_step}
            result = pipe(prompt, policy=rules, compare_plain=compare_plain, **settings)
        folder = out if len(prompts) == 1 else out / f"{k:03d}"
        with usage_errors():
            result.save(folder)
        if as_json:
            typer.echo(json.dumps(result.summary()))
        else:
            show(result, folder)
        if kept and strengths.counts:
            try:
                strengths.save(kept)
            except OSError as error:
                typer.echo(f"{kept} cannot be written ({error.strerror}); what steering takes is not kept", err=True)
        if result.interrupted:
            raise typer.Exit(INTERRUPTED)
        missed |= result.missed
    if missed:
        raise typer.Exit(MISSED)


def _check_learnt(method: str, file: Path) -> None:
    """`ValueError` if `file` cannot be what `method` takes: before the model is loaded."""
    from fair_diffusion.models.edits import read
    from fair_diffusion.steering.bottleneck import Directions
    from fair_diffusion.steering.bottleneck_heads import BottleneckHeads

    {"bottleneck": Directions.load, "edit": read, "distribution": BottleneckHeads.load}[method](file)


@contextmanager
def progress(images: int, steps: int) -> Iterator[Callable[[StepInfo], None]]:
    """A bar with the time left on standard error, and the callback that moves it; steps: of each image."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        total, done = images * steps, 0
        task = bar.add_task("denoising", total=total)

        def step(info: StepInfo) -> None:
            nonlocal done
            if info.steps < steps:  # descent looks ahead; how often is not known
                bar.update(task, description="moving the noise")
                return
            done += len(info.images)
            bar.update(task, description="denoising", completed=done, total=max(total, done))  # repairs are steps more

        yield step


def show(result: Result, folder: Path) -> None:
    """Print what was asked and what came out: one table per attribute, for the plain twins and for the images."""
    console = Console(markup=False, highlight=False)
    console.print(f"{result.prompt}: {result.reason}", style="bold")
    for note in result.notes:
        console.print(f"note: {note}")
    parts = [part for part in (result.plain, result) if part]
    for part in parts:
        for attribute in dict.fromkeys(row.attribute for row in part.audit):
            console.print(table(part, attribute))
    for part in parts:
        for line in deviations(part):
            console.print(line)
    if result.verdict:
        console.print(f"verdict: {result.verdict}")
    cost = result.summary()["cost"]
    if result.control == "natural-first" or result.method == "rejection":
        console.print(", ".join(f"{count} {what}" for what, count in result.counts().items()))
    if result.twins and result.twins.steered:
        away = f"{result.twins.pixel_distance:.1%} of a pixel's range"
        if result.twins.feature_distance is not None:
            away += f" and {result.twins.feature_distance:.3f} in features"
        console.print(
            f"steered images are {away} from their plain twins, untouched ones {result.twins.untouched_difference:.1%}"
        )
    spent = f"{cost['ratio']}x the evaluations of plain generation" if result.images else "no image was finished"
    console.print(f"{spent}, {cost['seconds']} s; see {folder}")
