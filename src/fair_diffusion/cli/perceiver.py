"""`fair-diffusion perceiver train FOLDER`: a reader of your own groups, from pictures labelled by sub-folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fair_diffusion.cli.console import say_json
from fair_diffusion.cli.options import Defining, grouped
from fair_diffusion.cli.progress import counting
from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.cli.usage import defined, usage_errors

if TYPE_CHECKING:
    from fair_diffusion.perception.confusion import Confusion

perceiver = typer.Typer(no_args_is_help=True, help="Readers of groups in pictures.")


@perceiver.callback()
def verbs() -> None:
    """Readers of groups in pictures."""


@perceiver.command()
@grouped
def train(
    folder: Annotated[
        Path, typer.Argument(help='pictures, one sub-folder per group; "unknown" may be one', metavar="FOLDER")
    ],
    out: Annotated[Path, typer.Option(help="a new folder for weights and confusion matrix")],
    defining: Defining,
    attribute: Annotated[str, typer.Option(help="what the groups are groups of")] = "gender",
    side: Annotated[int, typer.Option(min=16, max=512, help="pixels to which pictures are reduced")] = 64,
    epochs: Annotated[int, typer.Option(min=1, help="passes over the pictures")] = 20,
    held_out: Annotated[float, typer.Option(help="share of every group that is held out")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="of the split, the start and the order")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Train a small network on FOLDER and show how it errs on pictures that it did not see."""
    with usage_errors():
        from fair_diffusion.files.new_folder import check_new
        from fair_diffusion.perception.trained import train
        from fair_diffusion.readers.labelled_folder import read_labelled

        check_new(out)
        own = defined(defining)
        with counting("reading") as progress:
            images, groups, names, broken = read_labelled(
                folder, attribute=attribute, side=side, defined=own, progress=progress
            )
        with counting("training") as progress:
            found = train(
                images,
                groups,
                attribute=attribute,
                names=names,
                held_out=held_out,
                epochs=epochs,
                seed=seed,
                on_step=progress,
            )
        found.save(out)
    if as_json:
        shown = {"attribute": attribute, "groups": names, "confusion": found.confusion.counts, "broken": broken}
        say_json(shown)
        return
    terminal = Terminal()
    terminal.print(_table(found.confusion))
    for name in broken[:5]:
        terminal.write(f"left out: {name}")
    if len(broken) > 5:
        terminal.write(f"and {len(broken) - 5} more")
    terminal.write(f"see {out}; use it with --perceiver trained:{out}")


def _table(confusion: Confusion) -> Columns:
    title = f"{confusion.attribute}: rows are true, columns read, on {confusion.measured_on}"
    shown = Columns("", *confusion.groups, "unknown", title=title)
    for group, row in zip(confusion.groups, confusion.counts, strict=True):
        shown.row(group, *map(str, row))
    return shown
