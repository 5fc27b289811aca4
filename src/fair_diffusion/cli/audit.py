"""`fair-diffusion audit`: proportions, with intervals, of anything that shows or counts people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from fair_diffusion.cli.audit_options import check_options
from fair_diffusion.cli.auditing import Subject, run
from fair_diffusion.cli.console import say
from fair_diffusion.cli.options import Auditing, Defining, grouped
from fair_diffusion.cli.usage import defined, usage_errors

MOVED = (
    "audit takes no --model: the verb that audits a model is now audit-suite, as in "
    "fair-diffusion audit-suite --model pocket --suite occupations --out out"
)


class ReadingCommand(TyperCommand):
    """A command that says where the models have gone: before `audit-suite`, this verb drew as well."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as typer does, without `--model`."""
        if any(word.partition("=")[0] == "--model" for word in args):
            say(MOVED, err=True)
            raise typer.Exit(2)
        return super().parse_args(ctx, args)


COMMAND = ReadingCommand
"""The class of this verb's command."""


@grouped
def audit(
    target: Annotated[
        Path,
        typer.Argument(
            help="a run, a study, a folder of images, a CSV of counts, or a dataset with captions", metavar="TARGET"
        ),
    ],
    auditing: Auditing,
    defining: Defining,
    perceiver: Annotated[
        str | None,
        typer.Option(help="who reads the images: pocket, judge, clip:MODEL, faces, skin_tone, human:CSV, …"),
    ] = None,
    concepts: Annotated[Path | None, typer.Option(help="a table file,concept[,source] for a folder of images")] = None,
) -> None:
    """Count the groups that TARGET shows for each concept, say how sure that is, and how far from target or reference.

    Exit code 3 if a share is outside the tolerance of a target that was asked of its images, with 95 % confidence; 2
    for wrong usage."""
    with usage_errors():
        from fair_diffusion.readers.target import kind_of_target

        own = defined(defining)
        told = {"perceiver": perceiver, "concepts": concepts, **auditing}
        if not {"human_labels", "reference"} & auditing.keys():  # they are tables too
            told["define"] = own
        given = [name for name, value in told.items() if value is not None]
        check_options(
            given, kind_of_target(target, named=concepts is not None, reads=perceiver is not None, defined=own)
        )

    def opened(scratch: Path) -> Subject:
        return Subject.target(
            target,
            perceiver=perceiver,
            concepts=concepts,
            attributes=auditing.get("attribute"),
            defined=own,
            scratch=scratch,
        )

    run(auditing, opened, own_sources=True, defined=own)
