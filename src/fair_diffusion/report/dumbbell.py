"""The dumbbell figure: one row per concept with a mark and its 95 % interval per source, over the target and its band.

    nurse      |        ◆───────■══════●        |        data → plain → instructed

This file computes the geometry: shares of 0 to 1 across, pixels down from the middle of a row. The template draws it.
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
"""Largest number of lanes, one per source; the style sheet has a row height for each number of lanes."""


@dataclass(frozen=True)
class Mark:
    """One source in one row.

    Attributes:
        line: its share.
        source: its place among the sources.
        y: its distance below the middle of the row, in pixels.
    """

    line: Line
    source: int
    y: float


@dataclass(frozen=True)
class DumbbellRow:
    """One row: a concept, or a group if there is only one concept.

    Attributes:
        label: name of the concept or group.
        field: field of the concept; "" if it has none.
        target: share asked for.
        low: lower end of the tolerance band.
        high: upper end of the tolerance band.
        marks: one for each source that has a share here.
    """

    label: str
    field: str
    target: float
    low: float
    high: float
    marks: list[Mark]

    @property
    def joins(self) -> list[tuple[Mark, Mark]]:
        """Pairs of neighbouring marks, which a line joins."""
        return list(pairwise(self.marks))


@dataclass(frozen=True)
class Dumbbell:
    """One figure.

    Attributes:
        attribute: what was read.
        group: the group whose shares are shown; None if each row has its own group.
        rows: the rows from top to bottom.
        lanes: number of lanes in every row.
    """

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

    A study of one concept has one figure whose rows are the groups. A study of several concepts has one figure per
    group; if only two groups are asked for, it has one figure of the rarer group, because the other mirrors it. Rows
    are sorted by the share in source `by`, the smallest first, within each field if concepts have fields.

    Args:
        lines: every share.
        sources: names of the sources in order, from top to bottom in each row.
        by: name of the source that sorts the rows.
        tolerance: half the width of the band, as a share.
        fields: the field of each concept.
    """
    figures = []
    for attribute in dict.fromkeys(line.attribute for line in lines):
        own = [line for line in lines if line.attribute == attribute]
        groups = [None] if len({line.concept for line in own}) == 1 else shown(own)
        figures += [_figure(attribute, group, own, sources, by, tolerance, fields) for group in groups]
    return figures


def shown(lines: Sequence[Line]) -> list[str]:
    """The groups of one attribute that figures show: the rarer one if only two are asked for, else all."""
    asked = {line.group for line in lines if line.target > 0}
    counts: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        counts[line.group] += line.count
    groups = [group for group in counts if group in asked or counts[group]]
    if len(asked) == 2:
        return [min((group for group in groups if group in asked), key=lambda group: counts[group])]
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
    by_label: defaultdict[str, dict[str, Line]] = defaultdict(dict)
    for line in lines:
        if group is None:
            by_label[line.group][line.source] = line
        elif line.group == group:
            by_label[line.concept][line.source] = line
    named = list(by_label.items())
    if group is not None:
        named.sort(key=lambda item: (fields.get(item[0], ""), item[1][by].share if by in item[1] else 2, item[0]))
    else:
        fields = {}
    rows = [_row(label, fields.get(label, ""), own, sources, tolerance) for label, own in named]
    return Dumbbell(attribute, group, rows, min(len(sources), MOST_LANES))


def _row(label: str, field: str, by_source: dict[str, Line], sources: Sequence[str], tolerance: float) -> DumbbellRow:
    target = _last(by_source[source].target for source in sources if source in by_source)
    lanes = min(len(sources), MOST_LANES)
    marks = [
        Mark(by_source[source], k, LANE * (k % MOST_LANES - (lanes - 1) / 2))
        for k, source in enumerate(sources)
        if source in by_source
    ]
    return DumbbellRow(label, field, target, max(0.0, target - tolerance), min(1.0, target + tolerance), marks)


def _last(values: Iterable[float]) -> float:
    """The target of the last source: if sources differ, this is the target of the instruction."""
    return list(values)[-1]
