"""`fair-diffusion calibrate`: what people's labels say of the errors of perceiver and judge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.options import Defining, grouped
from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.cli.usage import defined, usage_errors

if TYPE_CHECKING:
    from fair_diffusion.perception.calibration import Calibration, ReaderCalibration


@grouped
def calibrate(
    labels: Annotated[Path, typer.Argument(help="a table file,attribute,group[,rater][,probability][,guideline]")],
    runs: Annotated[list[Path], typer.Argument(help="what generate or audit-suite wrote", metavar="RUN")],
    out: Annotated[Path, typer.Option(help="the file of the calibration")],
    defining: Defining,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Learn from LABELS, which people gave to images of each RUN, how its perceiver and its judge err.

    The images must have been drawn at random, or with the probability that the table says. What comes out is a file
    for --calibration; its version is a hash of its content. The same labels give the same version, and the file stays
    as it is."""
    with usage_errors():
        from fair_diffusion.perception.calibration import Calibration, calibrated
        from fair_diffusion.policy import built_in
        from fair_diffusion.readers.labelled_runs import labelled_images

        attributes = defined(defining) or built_in()
        before = Calibration.load(out).version if out.exists() else None
        rows, notes = labelled_images(labels, runs, attributes)
        found = calibrated(rows, attributes)
        found.save(out)
    if as_json:
        say_json({**found.plain(), "before": before, "notes": notes})
        return
    _show(found)
    for note in notes:
        say(note, err=True)
    if before == found.version:
        say(f"version {found.version}, as before: {out} stays as it is")
    else:
        say(f"version {found.version} in {out}" + (f", in the place of {before}" if before else ""))


def _show(found: Calibration) -> None:
    """Print how often each reader is right where people see a group, and what it reads instead."""
    table = Columns("reader", "attribute", "labels", "people see", "read so (95 %)", "most often instead")
    for each in found.readers:
        for k, group in enumerate(each.groups):
            if sum(each.counts[k]) > 0:
                low, high = each.low[k][k], each.high[k][k]
                right = f"{each.rates[k][k]:.0%} ({low:.0%} to {high:.0%})"
                table.row(each.reader, each.attribute, str(each.labels), group, right, _instead(each, k))
    Terminal().print(table)


def _instead(each: ReaderCalibration, k: int) -> str:
    """What the reader reads most often where people see group k, besides it."""
    others = [(count, j) for j, count in enumerate(each.counts[k]) if j != k and count > 0]
    return "" if not others else (*each.groups, "unknown")[max(others)[1]]
