"""The command `fair-diffusion`: one file per verb."""

import os
from typing import Annotated

import typer

from fair_diffusion.cli.associations import associations
from fair_diffusion.cli.audit import ReadingCommand, audit
from fair_diffusion.cli.audit_suite import audit_suite
from fair_diffusion.cli.compare import compare
from fair_diffusion.cli.explain import explain
from fair_diffusion.cli.generate import generate
from fair_diffusion.cli.interrupt import interruptible
from fair_diffusion.cli.ledger import ledger
from fair_diffusion.cli.models import models
from fair_diffusion.cli.perceiver import perceiver
from fair_diffusion.cli.plan import plan
from fair_diffusion.cli.pocket import pocket
from fair_diffusion.cli.rebalance import rebalance
from fair_diffusion.cli.report import report

# Model libraries report on their own loading; a person at a terminal reads ours.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def print_version(asked: bool) -> None:
    """Print the name and version of the package, and end."""
    if asked:
        from fair_diffusion import __version__

        typer.echo(f"fair-diffusion {__version__}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Instruct text-to-image models on fairness, and measure what they draw.

    Exit codes: 0 done, 2 wrong usage, 3 a target is missed, 130 interrupted."""
    interruptible()


app.command()(generate)
app.command()(rebalance)
app.command()(explain)
app.command()(associations)
app.command(cls=ReadingCommand)(audit)
app.command()(audit_suite)
app.command()(compare)
app.command()(plan)
app.add_typer(ledger, name="ledger")
app.add_typer(perceiver, name="perceiver")
app.command()(models)
app.command()(report)
app.add_typer(pocket, name="pocket")

__all__ = ["app"]
