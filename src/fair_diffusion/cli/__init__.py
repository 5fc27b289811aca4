"""The command `fair-diffusion`: one file per verb. Exit codes: 0 done, 2 wrong usage, 3 target missed, 130 stopped."""

import os

import typer

from fair_diffusion.cli.associations import associations
from fair_diffusion.cli.audit import audit
from fair_diffusion.cli.compare import compare
from fair_diffusion.cli.explain import explain
from fair_diffusion.cli.generate import generate
from fair_diffusion.cli.interrupt import interruptible
from fair_diffusion.cli.ledger import ledger
from fair_diffusion.cli.models import models
from fair_diffusion.cli.perceiver import perceiver
from fair_diffusion.cli.pocket import pocket
from fair_diffusion.cli.rebalance import rebalance
from fair_diffusion.cli.report import report

# Model libraries report on their own loading; a person at a terminal reads ours.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.callback()(interruptible)
app.command()(generate)
app.command()(rebalance)
app.command()(explain)
app.command()(associations)
app.command()(audit)
app.command()(compare)
app.add_typer(ledger, name="ledger")
app.add_typer(perceiver, name="perceiver")
app.command()(models)
app.command()(report)
app.add_typer(pocket, name="pocket")

__all__ = ["app"]
