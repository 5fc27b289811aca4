"""The heat table: a row per concept, a column per group, the farthest from its target first. Exports `heat`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fair_diffusion.audit.lines import Line

LEVELS = 5
_FULL = 0.5


@dataclass(frozen=True)
class HeatCell:
    """One group of one concept from one source; `level` is from −5 (far too few) to 5 (far too many)."""

    line: Line
    level: int


@dataclass(frozen=True)
class HeatRow:
    """One concept: the cells of each source in the order of the groups; None for a missing group or source."""

    concept: str
    sources: list[list[HeatCell | None] | None]


@dataclass(frozen=True)
class Heat:
    """The table of one attribute; `by` is the source that sorts its rows."""

    attribute: str
    groups: list[str]
    rows: list[HeatRow]
    by: str


def heat(lines: Sequence[Line], sources: Sequence[str]) -> list[Heat]:
    """One table per attribute, sorted by the largest gap of the last source that has the attribute.

    Args:
        lines: every share.
        sources: names of the sources in order, from left to right.
    """
    return [
        _table(attribute, [line for line in lines if line.attribute == attribute], sources)
        for attribute in dict.fromkeys(line.attribute for line in lines)
    ]


def level(gap: float) -> int:
    """A gap in steps from −5 to 5. The last step is a gap of one half or more; 0 is no gap at all."""
    steps = min(LEVELS, -int(-abs(gap) * LEVELS // _FULL))
    return steps if gap > 0 else -steps


def _table(attribute: str, lines: Sequence[Line], sources: Sequence[str]) -> Heat:
    by_concept: dict[str, dict[str, dict[str, Line]]] = {}
    for line in lines:
        by_concept.setdefault(line.concept, {}).setdefault(line.source, {})[line.group] = line
    groups = list(dict.fromkeys(line.group for line in lines))
    by = next(source for source in reversed(sources) if any(source in row for row in by_concept.values()))
    order = sorted(by_concept, key=lambda concept: (-largest_gap(by_concept[concept].get(by, {})), concept))
    rows = [
        HeatRow(concept, [_cells(by_concept[concept].get(source), groups) for source in sources]) for concept in order
    ]
    return Heat(attribute, groups, rows, by)


def largest_gap(lines: Mapping[str, Line]) -> float:
    """The largest distance from target among the groups; −1 if there are none."""
    return max((abs(line.gap) for line in lines.values()), default=-1.0)


def _cells(lines: Mapping[str, Line] | None, groups: Sequence[str]) -> list[HeatCell | None] | None:
    if lines is None:
        return None
    return [HeatCell(lines[group], level(lines[group].gap)) if group in lines else None for group in groups]
