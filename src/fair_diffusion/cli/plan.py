"""`fair-diffusion plan`: how many images, prompts and labels an audit needs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from fair_diffusion.cli.console import say_json
from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.cli.usage import usage_errors

if TYPE_CHECKING:
    from fair_diffusion.statistics.power import Plan


def plan(
    target: Annotated[float, typer.Option(min=0, max=100, help="share asked for, in percent")] = 50.0,
    tolerance: Annotated[
        float, typer.Option(min=0, max=100, help="points to either side of it that still meet it")
    ] = 5.0,
    power: Annotated[
        float, typer.Option(min=0, max=1, help="the probability with which the audit is to show it")
    ] = 0.8,
    groups: Annotated[int, typer.Option(min=2, help="number of groups; intervals of more than two are wider")] = 2,
    reader_error: Annotated[
        float, typer.Option(min=0, max=50, help="percent of images that the reader reads otherwise than people")
    ] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Say how many images, prompts and labels an audit needs to show that a target is met.

    The images are independent draws of one prompt: images that are assigned by quota are as asked or not, and need no
    such number."""
    with usage_errors():
        from fair_diffusion.statistics.power import plan as made

        found = made(target / 100, tolerance / 100, power=power, groups=groups, reader_error=reader_error / 100)
    if as_json:
        say_json(asdict(found))
    else:
        show(found)


def show(found: Plan) -> None:
    """Print a plan."""
    from fair_diffusion.report.headline import percent
    from fair_diffusion.statistics.power import RATE

    terminal, band = Terminal(), f"{percent(found.target)} ± {100 * found.tolerance:g} points"
    several = f", {found.groups} groups" if found.groups > 2 else ""
    terminal.write(f"Target {band}{several}; with probability {found.power:g}:", bold=True)
    table = Columns("what the audit is to show", "what it takes")
    table.row("“meets”, of a prompt that is exactly on target", _many(found.images_on_target, "images"))
    table.row(f"“meets”, of a prompt at {percent(found.near)}", _many(found.images_near, "images"))
    if found.far is not None:
        table.row(f"“misses”, of a prompt at {percent(found.far)}", _many(found.images_far, "images"))
    table.row(f"that prompts fail, if 1 in {1 / RATE:.0f} does", _many(found.prompts_to_see, "prompts"))
    within = f"{100 * found.tolerance:g} points"
    for images, prompts in found.prompts_to_bound.items():
        shown = "no number: the noise is larger" if prompts is None else _many(prompts, "prompts")
        table.row(f"a mean deviation within {within}, by {images:,} images each", shown)
    table.row(f"shares as people see them ± {within}, by labels alone", _many(found.labels_alone, "labels"))
    table.row(f"the same beside a reader that errs in {percent(found.reader_error)}", _many(found.labels, "labels"))
    terminal.print(table)


def _many(number: int | None, what: str) -> str:
    return f"no number of {what} up to a million" if number is None else f"{number:,} {what}"
