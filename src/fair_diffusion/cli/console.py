"""All output of the command goes through here and through `terminal`, which hold names from outside printable.

This module imports little, so that `explain` is quick.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from fair_diffusion.files.text import printable

_Refusal: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""What the parser of the command line raises for wrong arguments; typer exports only kinds of it."""


def visible(text: str) -> str:
    """One line of text as `printable` gives it, but with the no-break spaces that our own numbers hold."""
    return "\u00a0".join(map(printable, text.split("\u00a0")))


def lines(text: str) -> str:
    """One or more lines of text, each `visible`."""
    return "\n".join(map(visible, text.split("\n")))


def say(text: str, *, err: bool = False) -> None:
    """Print `text`, of one or more lines, to standard output, or to standard error."""
    typer.echo(lines(text), err=err)


def say_json(value: Any) -> None:
    """Print a value as one line of JSON, in which every character that is not ASCII is an escape."""
    typer.echo(json.dumps(value, default=float, allow_nan=False))


def confirmed(question: str) -> bool:
    """Whether the person at the terminal agrees."""
    return typer.confirm(visible(question))


@contextmanager
def printable_usage() -> Iterator[None]:
    """Make what the parser of the command line says of wrong arguments printable: it repeats them."""
    try:
        yield
    except _Refusal as error:
        vars(error)["message"] = lines(str(vars(error).get("message", "")))
        raise
