"""What the verbs share: the instruction, exit codes, and wrong usage as one clear line for each mistake, and code 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from fair_diffusion.policy import Policy

MISSED, INTERRUPTED = 3, 130
"""Exit codes: what was asked for is not met; ended from the keyboard."""


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn a `ValueError` or `OSError` of the library into its message and exit code 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


def instructed(sentence: str | None, file: Path | None) -> Policy:
    """The policy that --instruct or --policy says; empty without either. `ValueError` for both or a wrong one."""
    if sentence is not None and file is not None:
        raise ValueError("both --instruct and --policy are given; give one")
    if file is not None:
        return Policy.from_file(file)
    return Policy() if sentence is None else Policy.from_sentence(sentence)
