"""The command `fair-diffusion`: one file per verb."""

import os
from collections import UserDict
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fair_diffusion.cli.console import printable_usage, say
from fair_diffusion.cli.interrupt import interruptible

VERBS = (
    *("generate", "rebalance", "explain", "associations", "audit", "audit-suite", "compare", "plan", "calibrate"),
    *(
        "models",
        "report",
        "ledger",
        "serve",
        "studio",
        "label",
        "worker",
        "keys",
        "jobs",
        "trail",
        "perceiver",
        "pocket",
        "doctor",
    ),
)
"""Each has a file and in it a function, or a group of verbs, of its name."""
# Model libraries report on their own loading; a person at a terminal reads ours.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


class _Files(UserDict[str, Any]):
    """The commands of the verbs. A verb's file is imported when it is asked for, so no verb waits for the others."""

    def __getitem__(self, verb: str) -> Any:
        if self.data[verb] is None:
            name = verb.replace("-", "_")
            module = import_module(f"fair_diffusion.cli.{name}")
            named = getattr(module, name)
            alone = typer.Typer(callback=lambda: None, rich_markup_mode=None)
            if isinstance(named, typer.Typer):
                alone.add_typer(named, name=verb)
            else:
                alone.command(verb, cls=getattr(module, "COMMAND", None))(named)
            group: Any = typer.main.get_command(alone)
            self.data[verb] = group.commands[verb]
        return self.data[verb]


class _Verbs(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Files(dict.fromkeys(VERBS))

    def make_context(self, *given: Any, **settings: Any) -> Any:
        with printable_usage():
            return super().make_context(*given, **settings)

    def invoke(self, context: Any) -> Any:
        with printable_usage():
            return super().invoke(context)


app = typer.Typer(
    cls=_Verbs, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)


def print_version(asked: bool) -> None:
    """Print the name and version of the package, and end."""
    if asked:
        from fair_diffusion import __version__

        say(f"fair-diffusion {__version__}")
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


__all__ = ["app"]
