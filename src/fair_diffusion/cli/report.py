"""`fair-diffusion report`: studies, runs and tables of counts as one HTML page."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.usage import usage_errors
from fair_diffusion.files.whole_file import whole_file

if TYPE_CHECKING:
    from fair_diffusion.readers.findings import Findings

PAGE = Path("report.html")


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="folders of audits or of generate, or CSV files of counts", metavar="RUN")
    ],
    out: Annotated[
        Path | None, typer.Option(help=f"the page to write; {PAGE} if neither this nor --json is given")
    ] = None,
    title: Annotated[str | None, typer.Option(help="title of the page")] = None,
    reference: Annotated[str | None, typer.Option(help="the source to compare the others with")] = None,
    tolerance: Annotated[float, typer.Option(help="half the width of the band around a target, in share")] = 0.05,
    force: Annotated[bool, typer.Option("--force", help="write over a page that exists")] = False,
    tables: Annotated[
        Path | None, typer.Option(help="a new folder for its lines and deviations, as Parquet and CSV")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the numbers as one JSON object")] = False,
) -> None:
    """Show each RUN, several side by side, in one HTML page that needs no network.

    Exit code 2 for wrong usage; a page that exists is left alone unless --force is given."""
    with usage_errors(), TemporaryDirectory() as scratch:
        page = out if out or as_json else PAGE
        if page is not None and page.exists() and not force:
            raise ValueError(f"{page} exists; name another with --out, or write over it with --force")
        from fair_diffusion.files.new_folder import check_new, new_folder

        if tables is not None:
            check_new(tables)
        from fair_diffusion.audit.combine import combine, combined_images
        from fair_diffusion.audit.copies import without_copies
        from fair_diffusion.audit.numbers import numbers
        from fair_diffusion.report.line_tables import write_lines
        from fair_diffusion.report.report import report as html

        names, loaded = _names(runs), [_load(run, Path(scratch)) for run in runs]
        named = [(name, findings.study) for name, findings in zip(names, loaded, strict=True)]
        named, rows, notes = without_copies(named, [findings.images for findings in loaded])
        images, study = combined_images(named, rows), combine(named, title=title)
        study = replace(study, notes=[*study.notes, *notes], audited=study.audited or date.today().isoformat())
        found = numbers(study, images=images, reference=reference, tolerance=tolerance)
        if tables is not None:
            with new_folder(tables) as part:
                write_lines(found, part)
        if page is not None:
            _write(page, html(found))
    if as_json:
        say_json(found.plain())
    elif page is not None:
        say(f"wrote {page}")


def _load(run: Path, scratch: Path) -> Findings:
    from fair_diffusion.readers.target import kind_of_target, read_target

    if kind_of_target(run) in ("folder", "dataset"):
        raise ValueError(f"{run} is no study and no run; `fair-diffusion audit` makes a study of images or captions")
    return read_target(run, scratch=scratch)


def _names(runs: list[Path]) -> list[str]:
    """The last parts of the paths that tell them apart; `ValueError` if one is given twice."""
    whole = [run.resolve() for run in runs]
    twice = [str(run) for run, path in zip(runs, whole, strict=True) if whole.count(path) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is given twice; name each run once")
    for parts in range(1, max(len(path.parts) for path in whole) + 1):
        names = ["/".join(path.parts[-parts:]).removesuffix(".csv") for path in whole]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in whole]


def _write(page: Path, html: str) -> None:
    """Write the page whole or not at all."""
    try:
        with whole_file(page) as part:
            part.write_text(html, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{page} cannot be written ({error.strerror}); name a file where you may write") from error
