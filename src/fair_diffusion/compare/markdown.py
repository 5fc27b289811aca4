"""The table as Markdown, for documentation. Exports `markdown`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from fair_diffusion.compare.columns import COST, DEVIATION, QUALITY, Column, cells, coin, filled
from fair_diffusion.compare.outcome import Outcome
from fair_diffusion.report.headline import spoken


def markdown(lines: Sequence[Outcome], *, level: int = 2) -> str:
    """Three tables for each instruction and attribute: deviation, quality and cost.

    Columns of the first one in which no way has a value are left out.

    Args:
        lines: the lines of the table.
        level: the level of the headings.
    """
    parts = []
    for (instruction, attribute), own in groupby(lines, key=lambda line: (line.instruction, line.attribute)):
        group = list(own)
        deviation = filled(group, DEVIATION)
        rows = _table(group, deviation)
        rows.append(_row(["*a perfect coin*", *coin(group[0], deviation)]))
        parts += [
            f"{'#' * level} {instruction}: {spoken(attribute)}",
            "",
            *rows,
            "",
            *_table(group, QUALITY),
            "",
            *_table(group, COST),
            "",
        ]
        parts += [f"{line.way} is not measured: {line.failed}" for line in group if line.failed]
    return "\n".join(parts).rstrip() + "\n"


def _table(lines: Sequence[Outcome], columns: Sequence[Column]) -> list[str]:
    head = [_row(["way", *(column.head for column in columns)]), "|" + "---|" * (len(columns) + 1)]
    return head + [
        _row([line.way, *(cells(line, columns) if line.judge else ["not measured", *[""] * (len(columns) - 1)])])
        for line in lines
    ]


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in texts)} |"
