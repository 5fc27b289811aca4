"""What the figures of a comparison show."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest

from fair_diffusion.audit.deviations import deviations
from fair_diffusion.audit.tally import Tally
from fair_diffusion.compare.outcome import Facts, Outcome
from fair_diffusion.compare.page import svg
from fair_diffusion.compare.plot import figures
from fair_diffusion.report.plot import LEFT, RIGHT, Point

FACTS = Facts(
    images=20,
    fidelity=0.9,
    fidelity_low=None,
    fidelity_high=None,
    kid=None,
    kid_std=None,
    pixels=None,
    features=None,
    moved={},
    steered=0.0,
    repaired=0.0,
    without_twin=0.0,
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


def line(way: str, women: int, **facts: Any) -> Outcome:
    tallies = [
        Tally(source=way, concept=c, attribute="look", counts={"x": women + k, "y": 10 - women - k}, target=HALF)
        for k, c in enumerate(("p", "q"))
    ]
    found = deviations(tallies)[0]
    return Outcome(
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


def test_every_way_has_a_dot_at_its_deviation() -> None:
    cost, quality = figures(THREE, "drawings")
    assert (cost.name, quality.name) == ("cost", "quality")
    assert [tick.text for tick in cost.plot.ticks_across] == ["1×", "2×"]
    assert cost.trained == {"coin"}
    assert cost.plot.floor is not None
    for dot, own in zip(cost.plot.dots, THREE, strict=True):
        assert own.judge is not None
        assert own.facts is not None
        assert dot.point == Point(own.way, own.facts.ratio, own.judge.tv_mean, own.judge.tv_low, own.judge.tv_high)
    assert [dot.point.across for dot in quality.plot.dots] == pytest.approx([0.1, 0.1, 0.1])


def test_quality_is_the_kernel_distance_where_there_is_one() -> None:
    measured = [replace(one, facts=replace(one.facts or FACTS, kid=0.1 * k - 0.1)) for k, one in enumerate(THREE)]
    _, quality = figures(measured, "drawings")
    assert quality.plot.across.startswith("KID to drawings")
    assert [dot.point.across for dot in quality.plot.dots] == pytest.approx([-0.1, 0.0, 0.1])
    assert all(LEFT <= dot.x <= RIGHT for dot in quality.plot.dots)


def test_without_any_quality_there_is_one_figure_and_failures_are_in_none() -> None:
    failed = Outcome(instruction="i", attribute="look", way="gone", failed="why", floors={})
    (cost,) = figures([replace(one, facts=replace(one.facts or FACTS, fidelity=None)) for one in THREE] + [failed], "x")
    assert [dot.point.name for dot in cost.plot.dots] == ["plain", "switch", "coin"]


def test_a_figure_is_a_file_of_its_own_and_escapes_names() -> None:
    strange = [replace(one, way=f"<b>{one.way}&") for one in THREE]
    (cost, _) = figures(strange, "drawings")
    tree = ET.fromstring(svg(cost))
    texts = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert "<b>plain&" in texts
    circles = list(tree.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 2
    assert len(list(tree.iter("{http://www.w3.org/2000/svg}style"))) == 1
