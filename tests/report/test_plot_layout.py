"""Where dots, ticks and names of a figure lie."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.report.plot import _LETTER, BOTTOM, LEFT, RIGHT, TOP, WIDTH, Point, _labels, _mistakes, _round, plot

SHARES = st.floats(0, 1)


def test_dots_and_ticks_lie_at_their_values() -> None:
    found = plot([Point("a", 1.0, 0.3, 0.2, 0.41), Point("b", 2.2, 0.1)], across="x", up="y", log=True, floor=0.05)
    heights = {float(tick.text): tick.at for tick in found.ticks_up}
    assert (heights[0], min(heights.values())) == (BOTTOM, TOP)
    ends = {tick.text: tick.at for tick in found.ticks_across}
    assert list(ends) == ["1×", "2×", "4×"]
    first, second = found.dots
    for dot in found.dots:
        assert (BOTTOM - dot.y) / (BOTTOM - TOP) == pytest.approx(dot.point.up / max(heights))
        assert (dot.x - ends["1×"]) / (ends["2×"] - ends["1×"]) == pytest.approx(math.log2(dot.point.across))
    assert first.high < first.y < first.low
    assert (second.low, second.high) == (second.y, second.y)
    assert found.floor == pytest.approx(BOTTOM - (BOTTOM - TOP) * 0.05 / max(heights))
    assert plot([Point("a", 1.0, 0.3)], across="x", up="y", floor=0.9).floor is None


@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=6), st.booleans())
def test_axes_of_shares_end_at_1_and_hold_all(values: list[tuple[float, float]], zero: bool) -> None:
    found = plot([Point(f"s{k}", *both) for k, both in enumerate(values)], across="x", up="y", zero=zero)
    for ticks in (found.ticks_across, found.ticks_up):
        ends = [float(tick.text.replace("−", "-")) for tick in ticks]
        assert min(ends) >= 0
        assert max(ends) <= 1
    assert all(LEFT - 1e-6 <= dot.x <= RIGHT + 1e-6 and TOP - 1e-6 <= dot.y <= BOTTOM for dot in found.dots)
    assert all(LEFT - 1e-6 <= tick.at <= RIGHT + 1e-6 for tick in found.ticks_across)


@given(st.floats(-3, 3), st.floats(0, 5))
def test_ticks_are_round_and_hold_the_values(low: float, span: float) -> None:
    first, last, ticks = _round(low, low + span)
    assert first <= low + 1e-6
    assert last >= low + span - 1e-6
    assert 2 <= len(ticks) <= 10
    steps = {round(b - a, 9) for a, b in itertools.pairwise(ticks)}
    assert len(steps) == 1


@given(st.lists(st.tuples(st.floats(LEFT, RIGHT), st.floats(TOP, BOTTOM)), min_size=1, max_size=8))
def test_names_do_not_lie_on_each_other(points: list[tuple[float, float]]) -> None:
    names = [f"way-{k}" for k in range(len(points))]
    found = _labels(points, names, BOTTOM)
    width = _LETTER * len(names[0])
    for (x, y), (u, v) in itertools.combinations(found, 2):
        assert abs(x - u) >= width or abs(y - v) >= 13 - 1e-6
    assert all(LEFT <= x <= WIDTH - width and TOP - 14 <= y <= BOTTOM + 4 for x, y in found)


def test_names_with_room_beside_their_dots_come_before_those_that_must_give_way() -> None:
    dots = {"semantic-coin": (386, 395), "semantic-quota": (386, 399), "semantic": (222, 414), "switch": (148, 417)}
    found = dict(zip(dots, _labels(list(dots.values()), list(dots), 418), strict=True))
    for name in ("semantic", "switch"):  # else the quota's, above them, pushes one to the other's dot
        assert found[name] == (dots[name][0] + 10, dots[name][1] + 4)


def test_what_a_name_may_be_mistaken_for_is_counted() -> None:
    own, other = (94.0, 94.0, 106.0, 106.0), (94.0, 154.0, 106.0, 166.0)
    beside, below, beyond = (107.0, 94.0, 160.0, 107.0), (107.0, 154.0, 160.0, 167.0), (107.0, 200.0, 160.0, 213.0)
    assert _mistakes(own, beside, [other], []) == 0
    assert _mistakes(own, below, [other], []) == 2  # a stranger would read it as the lower dot's
    assert _mistakes(own, below, [], []) == 0
    wide = (90.0, 154.0, 110.0, 166.0)
    assert _mistakes(own, beyond, [wide], []) == 1  # its line goes through the lower dot
    assert _mistakes(own, beyond, [wide], [(90.0, 120.0, 130.0, 133.0)]) == 2  # and through a name


def test_many_dots_make_the_frame_higher() -> None:
    few, many = (plot([Point(f"s{k}", 1.0, 0.02 * k) for k in range(n)], across="x", up="y") for n in (8, 20))
    assert (few.bottom, few.dots[0].y) == (BOTTOM, BOTTOM)
    assert many.bottom == many.dots[0].y == many.height - (few.height - few.bottom) > BOTTOM
    assert all(dot.label_y <= many.bottom + 4 for dot in many.dots)
