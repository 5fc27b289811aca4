"""A study on a terminal: how far each source is from its target, then the groups that are farthest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fair_diffusion.audit.deviations import Deviation
from fair_diffusion.audit.lines import Line
from fair_diffusion.audit.numbers import Numbers
from fair_diffusion.audit.predictions import Predicted
from fair_diffusion.cli.terminal import Columns, Terminal
from fair_diffusion.report.delivered import besides_of_study, of_study, reasons, refusals, selections
from fair_diffusion.report.headline import default_shares

CONCEPTS = 12
"""Concepts of one source and attribute that are shown in full."""
NAMED = 5
"""Broken images that are named."""
SHARE, CORRECTED = "share (95 %)", "corrected (95 %)"
WORDS = {"as people see it": 9, "verdict": 8}
"""Characters that the longest word of a column takes, so that no word is cut."""
NUMBERS = ("count", SHARE, CORRECTED)
"""Columns that are never broken into lines."""
NAME = 11
"""The least width of the concepts and of the groups, in letters, where one is as long."""


def show(found: Numbers) -> None:
    """Print the lines by source and attribute under their deviation, then quality, fields, notes and what is broken."""
    terminal, study = Terminal(), found.study
    terminal.write(study.title, bold=True)
    for text in selections(found):
        terminal.write(text)
    told: set[str] = set()
    wanted = any(not line.assumed for line in found.lines)
    for deviation in found.deviations:
        key = (deviation.source, deviation.attribute)
        lines = [line for line in found.lines if (line.source, line.attribute) == key]
        for text in of_study(found, deviation.attribute) if deviation.attribute not in told else ():
            terminal.write(text)
        told.add(deviation.attribute)
        terminal.write(_sentence(deviation, lines, wanted=wanted))
        if deviation.source != found.reference:
            terminal.print(_table(lines, found.predicted))
            for reason, many in reasons(lines):
                terminal.write(f"cannot tell, of {many:,} share{'s' if many > 1 else ''}: {reason}")
    for text in (*besides_of_study(found), *refusals(found)):
        terminal.write(text)
    for source in study.sources:
        for name, value in source.quality.items():
            terminal.write(f"{source.name}: {name} {value:.4g}")
    if found.fields:
        terminal.print(_fields(found))
    for note in study.notes:
        terminal.write(f"note: {note}")
    if study.broken:
        terminal.write(f"{len(study.broken)} files could not be read and are in no share:")
        for name in study.broken[:NAMED]:
            terminal.write(f"  {name}")
        if len(study.broken) > NAMED:
            terminal.write(f"  and {len(study.broken) - NAMED} more")


def _fields(found: Numbers) -> Columns:
    """How far each field of concepts is from its targets, on average, by source and attribute."""
    columns = ("field", "source", "attribute", "concepts", "mean deviation")
    shown = Columns(*columns)
    for field, deviations in found.fields.items():
        for one in deviations:
            shown.row(field, one.source, one.attribute, str(one.concepts), f"{one.tv_mean:.3f}")
    return shown


def _sentence(found: Deviation, lines: Sequence[Line], *, wanted: bool) -> str:
    """What was counted, and how far it is from the target; wanted: whether anything was asked in this study."""
    target = f"{default_shares(lines)} (assumed)" if found.assumed else "the target"
    many = f" of {found.concepts:,} concepts" if found.concepts > 1 else ""
    unread = f", of which {found.unknown:,} could not be read" if found.unknown else ""
    counted = f"{found.source}, {found.attribute}: {found.n:,} images{many}{unread}"
    if wanted and all(line.assumed for line in lines):
        return f"{counted}; nothing was asked of it."
    text = (
        f"{counted}. {_percent(found.tv_mean)} of them would have to change to meet {target}; of as many fair draws "
        f"{_percent(found.noise_floor)}."
    )
    if found.process_low is None:  # of few concepts nothing is known of others
        return text
    interval = f"{_percent(found.process_low)} to {_percent(found.process_high)}"
    return f"{text} In the long run it would be {_percent(found.process)} ({interval})."


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}\u00a0%"


def _table(lines: Sequence[Line], predicted: Mapping[tuple[str, str, str, str], Predicted]) -> Columns:
    """The lines of one source and attribute, the concepts farthest from the target first."""
    compared, asked = any(line.likely_relation for line in lines), any(not line.assumed for line in lines)
    corrected = any(line.corrected is not None for line in lines)
    columns = ["concept", "group", *(["target"] if asked else []), "count", CORRECTED if corrected else SHARE]
    people = any(_key(line) in predicted for line in lines)
    columns += [
        *(["as people see it"] if people else []),
        *(["verdict"] if asked else []),
        *(["against reference"] if compared else []),
    ]
    shown = Columns(*columns)
    names = ({line.concept for line in lines}, {line.group for line in lines})
    for column, own in zip(shown.columns, names, strict=False):  # they give way to numbers, and never vanish
        column.overflow, column.min_width = "fold", min(NAME, max(map(len, own)))
    for column in shown.columns[2:]:
        narrow = people and column.header == CORRECTED  # beside what people see, 80 characters are too few for one line
        column.justify, column.no_wrap = "right", column.header in NUMBERS and not narrow
        if column.header in WORDS:
            column.min_width = WORDS[column.header]
    worst: dict[str, float] = {}
    for line in lines:
        worst[line.concept] = max(worst.get(line.concept, 0.0), abs(line.gap))
    chosen = sorted(worst, key=lambda concept: -worst[concept])[:CONCEPTS]
    for concept in chosen:
        for k, line in enumerate(line for line in lines if line.concept == concept):
            if line.count or line.target or compared:
                shown.row(
                    "" if k else concept,
                    *_cells(line, predicted, corrected=corrected, people=people, asked=asked, compared=compared),
                )
        first = next(line for line in lines if line.concept == concept)
        if first.unknown:
            blank = [""] if asked else []
            shown.row("", "unknown", *blank, f"{first.unknown} / {first.n}", f"{first.unknown / first.n:.0%}")
    if len(worst) > len(chosen):
        shown.caption = f"the {len(chosen)} of {len(worst)} concepts that are farthest from the target"
        shown.caption_justify = "left"
    return shown


def _key(line: Line) -> tuple[str, str, str, str]:
    return line.source, line.concept, line.attribute, line.group


def _cells(
    line: Line,
    predicted: Mapping[tuple[str, str, str, str], Predicted],
    *,
    corrected: bool,
    people: bool,
    asked: bool,
    compared: bool,
) -> list[str]:
    target = f"{line.target:.0%}" if not line.assumed else ""
    share = f"{line.share:.0%} ({line.low:.0%} to {line.high:.0%})"
    if line.corrected is not None:
        share = f"{line.corrected:.0%} ({line.corrected_low:.0%} to {line.corrected_high:.0%})"
    elif corrected:
        share = f"{line.share:.0%} as read"
    counts = [f"{line.count:,} / {line.n:,}", share]
    cells = [line.group, *([target] if asked else []), *counts]
    seen = predicted.get(_key(line))
    cells += [f"{seen.estimate:.0%} ({seen.low:.0%} to {seen.high:.0%})" if seen else ""] if people else []
    word = f"{line.verdict} (people)" if line.eyes == "people" else line.verdict
    cells += ["" if line.assumed else word] if asked else []
    relation = "" if line.likely_relation is None else f"{line.likely_relation} ({line.reference:.0%})"
    return [*cells, *([relation] if compared else [])]
