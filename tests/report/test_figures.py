"""What the figures of a report show: dumbbells, heat tables and scatters, as geometry."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.audit.deviations import deviations
from fair_diffusion.audit.lines import summarize
from fair_diffusion.audit.study import Source
from fair_diffusion.audit.tally import Tally
from fair_diffusion.report.dumbbell import LANE, MOST_LANES, dumbbells
from fair_diffusion.report.heat import heat, level
from fair_diffusion.report.scatter import scatters


def tally(source: str, concept: str, *counts: int, **changes: Any) -> Tally:
    groups = dict(zip("xyz", counts, strict=False))
    return Tally(**{"source": source, "concept": concept, "attribute": "look", "counts": groups, **changes})


TWO = [tally("a", "p", 6, 4), tally("a", "q", 2, 8), tally("b", "p", 3, 7), tally("b", "q", 4, 6)]


def test_of_two_groups_the_rarer_is_shown_sorted_by_one_source() -> None:
    (figure,) = dumbbells(summarize(TWO), ["a", "b"], by="a", tolerance=0.05)
    assert (figure.group, figure.lanes) == ("x", 2)
    assert [row.label for row in figure.rows] == ["q", "p"]
    shares = [[mark.line.share for mark in row.marks] for row in figure.rows]
    assert shares == [[0.2, 0.4], [0.6, 0.3]]
    (figure,) = dumbbells(summarize(TWO), ["a", "b"], by="b", tolerance=0.05)
    assert [row.label for row in figure.rows] == ["p", "q"]
    row = figure.rows[0]
    assert (row.target, row.low, row.high) == (0.5, 0.45, 0.55)
    assert [mark.y for mark in row.marks] == [-LANE / 2, LANE / 2]
    assert row.joins == [(row.marks[0], row.marks[1])]


def test_rows_stand_field_by_field() -> None:
    given = [tally("a", concept, k, 10 - k) for k, concept in enumerate(["p", "q", "r", "s"], start=1)]
    fields = {"p": "health", "r": "arts", "s": "health"}
    (figure,) = dumbbells(summarize(given), ["a"], by="a", tolerance=0.05, fields=fields)
    assert [(row.field, row.label) for row in figure.rows] == [
        ("", "q"),
        ("arts", "r"),
        ("health", "p"),
        ("health", "s"),
    ]
    (alone,) = dumbbells(summarize(given[:1]), ["a"], by="a", tolerance=0.05, fields={"x": "a group is no concept"})
    assert {row.field for row in alone.rows} == {""}


def test_one_concept_has_a_row_for_each_group() -> None:
    (figure,) = dumbbells(summarize([tally("a", "p", 6, 3, 1)]), ["a"], by="a", tolerance=0.4)
    assert (figure.group, [row.label for row in figure.rows]) == (None, ["x", "y", "z"])
    assert figure.rows[0].low == 0
    assert figure.rows[0].high == pytest.approx(1 / 3 + 0.4)


def test_three_groups_have_a_figure_each_and_missing_sources_leave_a_gap() -> None:
    given = [tally("a", "p", 6, 3, 1), tally("a", "q", 1, 1, 8), tally("b", "q", 2, 2, 6)]
    figures = dumbbells(summarize(given), ["a", "b"], by="b", tolerance=0.05)
    assert [figure.group for figure in figures] == ["x", "y", "z"]
    assert [row.label for row in figures[0].rows] == ["q", "p"]
    assert [[mark.source for mark in row.marks] for row in figures[0].rows] == [[0, 1], [0]]


def test_groups_that_nobody_asked_for_and_nobody_shows_have_no_figure() -> None:
    target = {"x": 0.5, "y": 0.5, "z": 0.0}
    given = [tally("a", "p", 6, 4, 0, target=target), tally("a", "q", 5, 5, 0, target=target)]
    assert [figure.group for figure in dumbbells(summarize(given), ["a"], by="a", tolerance=0)] == ["y"]


def test_many_sources_stay_inside_their_row() -> None:
    names = [f"s{k}" for k in range(12)]
    (figure,) = dumbbells(summarize([tally(name, "p", 1, 1) for name in names]), names, by=names[0], tolerance=0.05)
    assert figure.lanes == MOST_LANES
    assert max(abs(mark.y) for mark in figure.rows[0].marks) <= LANE * MOST_LANES / 2


def test_heat_stands_by_the_largest_gap_of_the_last_source() -> None:
    (table,) = heat(summarize(TWO), ["a", "b"])
    assert (table.by, [row.concept for row in table.rows]) == ("b", ["p", "q"])
    (table,) = heat(summarize([*TWO, tally("a", "only", 9, 1)]), ["b", "a"])
    assert (table.by, [row.concept for row in table.rows]) == ("a", ["only", "q", "p"])
    assert table.rows[0].sources[0] is None
    cells = table.rows[0].sources[1]
    assert cells is not None
    assert [(cell.line.group, cell.level) for cell in cells if cell] == [("x", 4), ("y", -4)]


def test_heat_keeps_columns_where_groups_differ() -> None:
    (table,) = heat(summarize([tally("a", "p", 1, 1), tally("b", "p", 1, 1, 1)]), ["a", "b"])
    assert table.groups == ["x", "y", "z"]
    cells = table.rows[0].sources[0]
    assert cells is not None
    assert [cell is None for cell in cells] == [False, False, True]


@given(st.floats(-1, 1))
def test_levels(gap: float) -> None:
    assert level(-gap) == -level(gap)
    assert abs(level(gap)) <= 5
    assert (level(gap) == 0) == (gap == 0)


def test_levels_are_steps_of_ten_points() -> None:
    assert [level(gap) for gap in (0.01, 0.1, 0.11, 0.35, 0.5, 0.9)] == [1, 1, 2, 4, 5, 5]


def test_scatters_have_a_dot_for_every_source_with_a_quality() -> None:
    found = deviations(TWO)
    sources = [Source(name="a", quality={"KID": 0.1}), Source(name="b", quality={"KID": 0.3, "FID": 20.0})]
    figures = scatters(sources, found)  # what is known of one source alone is against nothing
    assert [(figure.name, [dot.point.name for dot in figure.plot.dots]) for figure in figures] == [("KID", ["a", "b"])]
    means = {one.source: (one.process, one.process_low, one.process_high) for one in found}
    for figure in figures:
        for point in (dot.point for dot in figure.plot.dots):
            assert (point.up, point.low, point.high) == means[point.name]
    assert [dot.point.across for dot in figures[0].plot.dots] == [0.1, 0.3]
    assert scatters([Source(name="a")], found) == []
