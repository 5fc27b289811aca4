"""`fair-diffusion ledger show|reset FILE`: what was asked and what came out across requests."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fair_diffusion.cli.console import confirmed, say, say_json
from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.cli.usage import usage_errors
from fair_diffusion.policy.target import percent

if TYPE_CHECKING:
    from fair_diffusion.allocation.ledger import Row

ledger = typer.Typer(no_args_is_help=True, help="Counts across requests.")
File = Annotated[Path, typer.Argument(help="the file that generate --ledger names", metavar="FILE")]


@ledger.callback()
def verbs() -> None:
    """Counts across requests."""


@ledger.command()
def show(file: File, as_json: Annotated[bool, typer.Option("--json", help="print one JSON array")] = False) -> None:
    """Print for each rule, target and model which groups were asked for, and which came out."""
    with usage_errors():
        from fair_diffusion.allocation.ledger import Ledger

        rows = Ledger(file, create=False).rows()
    if as_json:
        say_json([asdict(row) for row in rows])
        return
    terminal = Terminal()
    for _, stream in groupby(rows, key=lambda row: row.stream):
        terminal.print(table(list(stream)))
    if not rows:
        say("no images yet")


@ledger.command()
def reset(
    file: File,
    rule: Annotated[str | None, typer.Option(help="only the counts of this rule")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Forget the counts of FILE, or those of one rule."""
    with usage_errors():
        from fair_diffusion.allocation.ledger import Ledger

        kept = Ledger(file, create=False)
        if not yes:
            if not sys.stdin.isatty():
                raise ValueError("nobody is there to ask; add --yes to forget the counts")
            if not confirmed(f"Forget the counts of {'every rule' if rule is None else repr(rule)} in {file}?"):
                say("nothing was forgotten")
                return
        streams = kept.reset(rule)
    say(f"forgot {streams} stream{'' if streams == 1 else 's'} of {file}")


def table(rows: Sequence[Row]) -> Columns:
    """One stream: images per group as asked, perceived and judged, and how many each group still lacks."""
    columns = ("group", "target", "asked", "perceived", "judged", "judged share", "under way", "lacks")
    first = rows[0]
    title = f"{first.rule}: {first.attributes} by {first.model}, {first.n:,} image{'' if first.n == 1 else 's'}"
    shown = Columns(*columns, title=title)
    for row in rows:
        if row.share or row.asked or row.perceived or row.judged or row.pending:
            counts = (row.asked, row.perceived, row.judged)
            share = f"{row.judged / row.n:.1%}" if row.n else ""
            lacks = f"{float(row.deficit):+.1f}"
            shown.row(row.group, percent(row.share), *map(str, counts), share, str(row.pending), lacks)
    unknown = [first.n - sum(counts) for counts in zip(*((row.perceived, row.judged) for row in rows), strict=True)]
    if any(unknown):
        shown.row("unknown", "", "", *map(str, unknown), f"{unknown[1] / first.n:.1%}")
    return shown
