"""The terminal: text and tables in which names from outside are printable."""

from __future__ import annotations

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from fair_diffusion.files.text import printable


def visible(text: str) -> str:
    """One line of text as `printable` gives it, but with the no-break spaces that our own numbers hold."""
    return "\u00a0".join(map(printable, text.split("\u00a0")))


def say(text: str, *, err: bool = False) -> None:
    """Print `text`, of one or more lines, to standard output, or to standard error."""
    typer.echo("\n".join(map(visible, text.split("\n"))), err=err)


class Terminal(Console):
    """Standard output, on which square brackets are text."""

    def __init__(self) -> None:
        super().__init__(markup=False, highlight=False)

    def write(self, text: str, *, bold: bool = False, wrap: bool = True) -> None:
        """Print one line, wrapped at words unless the terminal is to wrap it."""
        self.print(visible(text), style="bold" if bold else None, soft_wrap=not wrap)


class Columns(Table):
    """A table in the one look that all verbs have."""

    def __init__(self, *heads: str, title: str | None = None) -> None:
        shown = None if title is None else visible(title)
        super().__init__(*map(visible, heads), title=shown, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)

    def row(self, *cells: str) -> None:
        """Add a row."""
        self.add_row(*map(visible, cells))
