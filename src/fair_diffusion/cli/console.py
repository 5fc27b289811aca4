"""Text on the terminal, in which names from outside are printable. It imports little, so that `explain` is quick."""

from __future__ import annotations

import typer

from fair_diffusion.files.text import printable


def visible(text: str) -> str:
    """One line of text as `printable` gives it, but with the no-break spaces that our own numbers hold."""
    return "\u00a0".join(map(printable, text.split("\u00a0")))


def say(text: str, *, err: bool = False) -> None:
    """Print `text`, of one or more lines, to standard output, or to standard error."""
    typer.echo("\n".join(map(visible, text.split("\n"))), err=err)
