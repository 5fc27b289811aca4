"""Where dots, ticks and names of the figures lie."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.audit.deviations import deviations
from fair_diffusion.audit.tally import Tally
from fair_diffusion.compare.line import Facts, Line
from fair_diffusion.compare.page import svg
from fair_diffusion.compare.plot import _LETTER, BOTTOM, LEFT, RIGHT, TOP, Plot, _labels, _round, plots

FACTS = Facts(
    images=20,
    fidelity=0.9,
    fidelity_low=None,
    fidelity_high=None,
    kid=None,
    kid_std=None,
    pixels=None,
    features=None,
    without_twin=0,
    steered=0.0,
    repaired=0.0,
    reseeded=0.0,
    missed=0.0,
    training_steps=0,
    training_seconds=0.0,
    evaluations=10.0,
    ratio=1.0,
    seconds=1.0,
    seconds_ratio=1.0,
    memory=1,
    notes=(),
)


def line(way: str, women: int, **facts: Any) -> Line:
    tallies = [
        Tally(source=way, concept=c, attribute="look", counts={"x": women + k, "y": 10 - women - k}, target=HALF)
        for k, c in enumerate(("p", "q"))
    ]
    found = deviations(tallies)[0]
    return Line(
        instruction="i",
        attribute="look",
        way=way,
        judge=found,
        perceiver=found,
        facts=replace(FACTS, **facts),
        floors={"total_variation": 0.1},
    )


HALF = {"x": 0.5, "y": 0.5}
THREE = [line("plain", 0), line("switch", 5, ratio=1.04), line("coin", 2, ratio=2.0, training_steps=9)]


def test_dots_lie_at_their_values() -> None:
    cost, quality = plots(THREE, "drawings")
    assert (cost.name, quality.name) == ("cost", "quality")
    highest = max(float(tick.text) for tick in cost.ticks_up)
    ends = {tick.text: tick.at for tick in cost.ticks_across}
    assert list(ends) == ["1×", "2×"]
    for dot, own in zip(cost.dots, THREE, strict=True):
        assert own.judge is not None
        assert own.facts is not None
        assert dot.up == own.judge.tv_mean
        assert (BOTTOM - dot.y) / (BOTTOM - TOP) == pytest.approx(own.judge.tv_mean / highest)
        assert (dot.x - ends["1×"]) / (ends["2×"] - ends["1×"]) == pytest.approx(math.log2(own.facts.ratio))
        assert dot.high <= dot.y <= dot.low
        assert dot.trained == (own.way == "coin")
    assert cost.floor == pytest.approx(BOTTOM - (BOTTOM - TOP) * 0.1 / highest)
    assert [dot.across for dot in quality.dots] == pytest.approx([0.1, 0.1, 0.1])


def test_quality_is_the_kernel_distance_where_there_is_one() -> None:
    measured = [replace(one, facts=replace(one.facts or FACTS, kid=0.1 * k - 0.1)) for k, one in enumerate(THREE)]
    _, quality = plots(measured, "drawings")
    assert quality.across.startswith("KID to drawings")
    assert [dot.across for dot in quality.dots] == pytest.approx([-0.1, 0.0, 0.1])
    assert all(LEFT <= dot.x <= RIGHT for dot in quality.dots)


def test_without_any_quality_there_is_one_figure_and_failures_are_in_none() -> None:
    failed = Line(instruction="i", attribute="look", way="gone", failed="why", floors={})
    (cost,) = plots([replace(one, facts=replace(one.facts or FACTS, fidelity=None)) for one in THREE] + [failed], "x")
    assert [dot.way for dot in cost.dots] == ["plain", "switch", "coin"]


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
    found = _labels(points, names)
    width = _LETTER * len(names[0])
    for (x, y), (u, v) in itertools.combinations(found, 2):
        assert abs(x - u) >= width or abs(y - v) >= 13 - 1e-6
    assert all(x >= LEFT and TOP - 14 <= y <= BOTTOM for x, y in found)


def test_a_figure_is_a_file_of_its_own_and_escapes_names() -> None:
    strange = [replace(one, way=f"<b>{one.way}&") for one in THREE]
    (cost, _) = plots(strange, "drawings")
    assert isinstance(cost, Plot)
    tree = ET.fromstring(svg(cost))
    texts = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert "<b>plain&" in texts
    circles = list(tree.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 2
    assert len(list(tree.iter("{http://www.w3.org/2000/svg}style"))) == 1
