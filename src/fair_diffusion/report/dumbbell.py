"""The dumbbell figure: one row per concept, one dot with its 95 % interval per source, the target and its band behind.

    nurse      |        ◆───────■══════●        |        data → plain → instructed

Geometry only: shares in 0…1 across, pixels down from the middle of a row. The template draws it.
Exports `Dumbbell`, `dumbbells` and `shown`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from fair_diffusion.audit.lines import Line

LANE = 9
MOST_LANES = 8
"""Sources that have lanes of their own; the template's style has a height of row for each number of lanes."""


@dataclass(frozen=True)
class Mark:
    """One source in one row: its line, the source's place, and how far below the middle it lies, in pixels."""

    line: Line
    source: int
    y: float


@dataclass(frozen=True)
class DumbbellRow:
    """One concept, or one group where there is only one concept; `low` to `high` is the tolerance band.

    `field` is that of the concept, "" where it has none."""

    label: str
    field: str
    target: float
    low: float
    high: float
    marks: list[Mark]

    @property
    def joins(self) -> list[tuple[Mark, Mark]]:
        """Marks that a line joins."""
        return list(pairwise(self.marks))


@dataclass(frozen=True)
class Dumbbell:
    """One figure: `group` is what its shares are of, None if each row has its own; `lanes` lie in every row."""

    attribute: str
    group: str | None
    rows: list[DumbbellRow]
    lanes: int


def dumbbells(
    lines: Sequence[Line],
    sources: Sequence[str],
    *,
    by: str,
    tolerance: float,
    fields: Mapping[str, str] = MappingProxyType({}),
) -> list[Dumbbell]:
    """The figures of every attribute.

    With one concept: one figure whose rows are the groups. With several: a figure of one group, if only two are asked
    for (the rarer one; the other mirrors it), else one figure for each group. Rows go from the smallest share
    of source `by` to its largest, field by field where concepts have fields.

    Args:
        lines: every share.
        sources: their order, from left to right and from top to bottom.
        by: the source that sorts the rows.
        tolerance: half the width of the band, in share.
        fields: the field of each concept.
    """
    figures = []
    for attribute in dict.fromkeys(line.attribute for line in lines):
        own = [line for line in lines if line.attribute == attribute]
        groups = [None] if len({line.concept for line in own}) == 1 else shown(own)
        figures += [_figure(attribute, group, own, sources, by, tolerance, fields) for group in groups]
    return figures


def shown(lines: Sequence[Line]) -> list[str]:
    """The groups of one attribute that are shown: the rarer one where just two are asked for, else each."""
    asked = {line.group for line in lines if line.target > 0}
    found: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        found[line.group] += line.count
    groups = [group for group in found if group in asked or found[group]]
    if len(asked) == 2:
        return [min((group for group in groups if group in asked), key=lambda group: found[group])]
    return groups


def _figure(
    attribute: str,
    group: str | None,
    lines: Sequence[Line],
    sources: Sequence[str],
    by: str,
    tolerance: float,
    fields: Mapping[str, str],
) -> Dumbbell:
    found: defaultdict[str, dict[str, Line]] = defaultdict(dict)
    for line in lines:
        if group is None:
            found[line.group][line.source] = line
        elif line.group == group:
            found[line.concept][line.source] = line
    named = list(found.items())
    if group is not None:
        named.sort(key=lambda item: (fields.get(item[0], ""), item[1][by].share if by in item[1] else 2, item[0]))
    else:
        fields = {}
    rows = [_row(label, fields.get(label, ""), own, sources, tolerance) for label, own in named]
    return Dumbbell(attribute, group, rows, min(len(sources), MOST_LANES))


def _row(label: str, field: str, found: dict[str, Line], sources: Sequence[str], tolerance: float) -> DumbbellRow:
    target = _last(found[source].target for source in sources if source in found)
    lanes = min(len(sources), MOST_LANES)
    marks = [
        Mark(found[source], k, LANE * (k % MOST_LANES - (lanes - 1) / 2))
        for k, source in enumerate(sources)
        if source in found
    ]
    return DumbbellRow(label, field, target, max(0.0, target - tolerance), min(1.0, target + tolerance), marks)


def _last(values: Iterable[float]) -> float:
    """The target of the last source: that of the instruction, where sources differ."""
    return list(values)[-1]
