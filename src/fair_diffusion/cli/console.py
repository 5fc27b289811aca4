"""The terminal: text and tables in which names from outside are printable."""

from __future__ import annotations

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from fair_diffusion.files.text import printable


def say(text: str, *, err: bool = False) -> None:
    """Print `text`, of one or more lines, to standard output, or to standard error."""
    typer.echo("\n".join(map(printable, text.split("\n"))), err=err)


class Terminal(Console):
    """Standard output, on which square brackets are text."""

    def __init__(self) -> None:
        super().__init__(markup=False, highlight=False)

    def write(self, text: str, *, bold: bool = False) -> None:
        """Print one line, wrapped at words."""
        self.print(printable(text), style="bold" if bold else None)


class Columns(Table):
    """A table in the one look that all verbs have."""

    def __init__(self, *heads: str, title: str | None = None) -> None:
        shown = None if title is None else printable(title)
        super().__init__(*map(printable, heads), title=shown, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)

    def row(self, *cells: str) -> None:
        """Add a row."""
        self.add_row(*map(printable, cells))
