"""Tables and styled lines on the terminal, in which names from outside are printable."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from fair_diffusion.cli.console import visible

WIDEST = 10_000
"""Characters of a line, for measuring how wide a table would be."""


class Terminal(Console):
    """Standard output, or standard error. Square brackets and colons are text."""

    def __init__(self, *, error: bool = False) -> None:
        super().__init__(stderr=error, markup=False, emoji=False, highlight=False)

    def write(self, text: str, *, bold: bool = False, wrap: bool = True) -> None:
        """Print one line, wrapped at words unless the terminal is to wrap it."""
        self.print(visible(text), style="bold" if bold else None, soft_wrap=not wrap)

    def lines_of(self, table: Table) -> None:
        """Print a table whose rows are lines, however long. A terminal that is too narrow wraps them."""
        self.width = max(self.width, self.measure(table, options=self.options.update(width=WIDEST)).maximum)
        self.print(table)


class Columns(Table):
    """A table in the one look that all verbs have.

    Args:
        heads: of the columns.
        title: above the table.
        whole: the first column is for other commands, such as an id: it stays in one piece, however narrow the
            terminal is.
    """

    def __init__(self, *heads: str, title: str | None = None, whole: bool = False) -> None:
        shown = None if title is None else visible(title)
        super().__init__(*map(visible, heads), title=shown, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for first in self.columns[:1]:
            first.no_wrap = whole

    def row(self, *cells: str) -> None:
        """Add a row."""
        self.add_row(*map(visible, cells))
