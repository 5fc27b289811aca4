"""`fair-diffusion pocket export DIR`: the embedded model as a folder for diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fair_diffusion.cli.console import say
from fair_diffusion.cli.usage import usage_errors

pocket = typer.Typer(no_args_is_help=True, help="The embedded model.")


@pocket.callback()
def verbs() -> None:
    """The embedded model."""


@pocket.command()
def export(folder: Annotated[Path, typer.Argument(help="a new folder", metavar="FOLDER")]) -> None:
    """Write the model as StableDiffusionPipeline.from_pretrained reads it."""
    with usage_errors():
        from fair_diffusion.models.pocket import export

        export(folder)
    say(f"wrote {folder}")
