"""`fair-diffusion calibrate`: what people's labels say of the errors of perceiver and judge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fair_diffusion.cli.console import say, say_json
from fair_diffusion.cli.options import Defining, grouped
from fair_diffusion.cli.service_place import DATA, FILE, Data, Where, opened
from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.cli.usage import defined, usage_errors

if TYPE_CHECKING:
    from fair_diffusion.perception.calibration import Calibration
    from fair_diffusion.perception.reader_calibration import ReaderCalibration
    from fair_diffusion.policy import Attributes


@grouped
def calibrate(
    *,
    labels: Annotated[
        Path | None, typer.Argument(help="a table file,attribute,group[,rater][,probability][,guideline]")
    ] = None,
    runs: Annotated[list[Path] | None, typer.Argument(help="what generate or audit-suite wrote", metavar="RUN")] = None,
    out: Annotated[Path, typer.Option(help="the file of the calibration")],
    label_set: Annotated[
        list[str] | None,
        typer.Option("--set", help="a label set of the service, by name or id; all if not given; repeatable"),
    ] = None,
    data: Data = DATA,
    database: Where = None,
    defining: Defining,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Learn from LABELS, which people gave to images of each RUN, how its perceiver and its judge err.

    Without LABELS, learn from those that people gave in the service whose database --data or --database names.

    The images must have been drawn at random, or with the probability that the table says. What comes out is a file
    for --calibration; its version is a hash of its content. The same labels give the same version, and the file stays
    as it is."""
    with usage_errors():
        from fair_diffusion.perception.calibrating import calibrated
        from fair_diffusion.perception.calibration import Calibration
        from fair_diffusion.perception.chance import no_better_than_chance
        from fair_diffusion.perception.unlabelled import unlabelled
        from fair_diffusion.policy import built_in
        from fair_diffusion.readers.labelled_runs import labelled_images

        attributes = defined(defining)
        before = Calibration.replaced_in(out)
        if labels is None:
            found, notes = _of_service(data, database, label_set or [], attributes, out)
        else:
            if not runs or label_set:
                wrong = "--set is for the labels of a service" if runs else "RUN is missing"
                raise ValueError(f"{wrong}; give a table of labels with its runs, or neither and --data DIR")
            attributes = attributes or built_in()
            rows, notes = labelled_images(labels, runs, attributes)
            found = calibrated(rows, attributes)
            found.save(out)
            notes += [*unlabelled(found, attributes), *no_better_than_chance(found, rows)]
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


def _of_service(
    data: Path, database: str | None, sets: Sequence[str], attributes: Attributes | None, out: Path
) -> tuple[Calibration, list[str]]:
    """Save the calibration by the labels of a service. Returns it, and what was left out."""
    if database is None and not (data / FILE).exists():
        raise ValueError(f"no labels are given, and no service is in {data}; give a table and its runs, or --data DIR")
    from fair_diffusion.service.calibrations import Calibrations
    from fair_diffusion.service.label_calibration import calibration_of

    with opened(data, database) as place:
        told = calibration_of(place, sets, defined=attributes)
        if told.calibration.save(out):
            Calibrations(place).keep(told)
    notes = [f"from {told.pictures} labelled pictures of the service", *told.notes, *told.warnings]
    return told.calibration, notes


def _show(found: Calibration) -> None:
    """Print how often each reader is right where people see a group, and what it reads instead."""
    table = Columns("reader", "attribute", "people see", "labels", "read so (95 %)", "most often instead")
    for each in found.readers:
        for k, group in enumerate(each.groups):
            if (own := sum(each.counts[k])) > 0:
                low, high = each.low[k][k], each.high[k][k]
                right = f"{each.counts[k][k] / own:.0%} ({low:.0%} to {high:.0%})"
                table.row(each.reader, each.attribute, group, f"{own:.0f}", right, _instead(each, k))
    if any(sum(row) for each in found.readers for row in each.counts[:-1]):
        Terminal().print(table)


def _instead(each: ReaderCalibration, k: int) -> str:
    """What the reader reads most often where people see group k, besides it."""
    others = [(count, j) for j, count in enumerate(each.counts[k]) if j != k and count > 0]
    return "" if not others else (*each.groups, "unknown")[max(others)[1]]
