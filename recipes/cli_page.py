"""docs/reference/cli.md: the help of every verb, as the command prints it.

python -m recipes.cli_page        write the page anew
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from fair_diffusion.cli import app

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "cli.md"
COMMAND = "python -m recipes.cli_page"
NAME = "fair-diffusion"
WIDTH = 100
HEAD = f"""# The command line

Every verb with its options, as `{NAME} VERB --help` prints them. This page is made by `{COMMAND}`.
"""


def page() -> str:
    """The text of the page."""
    return "\n".join([HEAD, *(f"## {name}\n\n```text\n{text}\n```\n" for name, text in helps())])


def helps() -> Iterator[tuple[str, str]]:
    """The name and the help of the command, of each verb, and of each verb of a verb."""
    yield from _helps(typer.main.get_command(app), NAME, None)


def _helps(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    context = command.make_context(
        name.split()[-1], [], parent=parent, resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH
    )
    yield name, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    for verb, inner in getattr(command, "commands", {}).items():
        yield from _helps(inner, f"{name} {verb}", context)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
