"""`fair-diffusion audit`: proportions, with intervals, of anything that shows or counts people."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fair_diffusion.cli.progress import counting
from fair_diffusion.cli.usage import usage_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fair_diffusion.audit.study import Study
    from fair_diffusion.audit.summary import Deviation, Line

MISSED = 3


def audit(
    target: Annotated[
        Path, typer.Argument(help="a run, a study, a folder of images, a CSV of counts, or a dataset with captions")
    ],
    perceiver: Annotated[
        str | None, typer.Option(help="who reads the images: pocket, judge, clip:MODEL, faces, classifier:MODEL, …")
    ] = None,
    concepts: Annotated[Path | None, typer.Option(help="a table file,concept[,source] for a folder of images")] = None,
    reference: Annotated[
        str | None, typer.Option(help="shares to compare with: counts, a study or a run, as PATH or PATH:SOURCE")
    ] = None,
    attribute: Annotated[
        list[str] | None, typer.Option(help='count only this, such as gender or "gender × skin_tone"; repeatable')
    ] = None,
    out: Annotated[Path | None, typer.Option(help="a new folder for the study")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Count the groups that TARGET shows for each concept, say how sure that is, and how far from target or reference.

    Exit code 3 if a share is outside its target's tolerance with 95 % confidence; 2 for wrong usage."""
    with usage_errors(), TemporaryDirectory() as scratch:
        from fair_diffusion.audit.sources.reference import aligned, read_reference
        from fair_diffusion.audit.sources.target import read_target
        from fair_diffusion.audit.study_folder import save_study
        from fair_diffusion.audit.summary import deviations, summarize
        from fair_diffusion.new_folder import check_new

        if out is not None:
            check_new(out)
        compared = read_reference(reference, scratch=Path(scratch)) if reference else []
        with counting("reading") as progress:
            findings = read_target(
                target,
                scratch=Path(scratch),
                perceiver=perceiver,
                concepts=concepts,
                attributes=attribute or None,
                progress=progress,
            )
        study = findings.study
        lines = summarize(study.tallies, reference=aligned(compared, study.tallies))
        found = deviations(study.tallies)
        if out is not None:
            save_study(study, out, findings.images)
    if as_json:
        typer.echo(json.dumps(plain(study, lines, found)))
    else:
        from fair_diffusion.cli.study_table import show

        show(study, lines, found)
        if out is not None:
            typer.echo(f"see {out}")
    if any(line.verdict == "misses" and not line.assumed for line in lines):
        raise typer.Exit(MISSED)


def plain(study: Study, lines: Sequence[Line], found: Sequence[Deviation]) -> dict[str, Any]:
    """An audit as plain data, ready for JSON; a divergence that is infinite is left out."""
    return {
        "title": study.title,
        "lines": [asdict(line) for line in lines],
        "deviations": [
            {key: value for key, value in asdict(one).items() if not (isinstance(value, float) and math.isinf(value))}
            for one in found
        ],
        "broken": list(study.broken),
        "notes": list(study.notes),
    }
