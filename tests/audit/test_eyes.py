"""Whose eyes a verdict is by: the reader's, or people's where their labels tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fair_diffusion.audit.lines import Line
from fair_diffusion.audit.numbers import Numbers, numbers
from fair_diffusion.audit.study import Confusion, Labelled, Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.intervals import verdict
from fair_diffusion.statistics.prediction_powered import predict

HALF = {"woman": 0.5, "man": 0.5}
TALLY = Tally(
    source="run", concept="nurse", attribute="gender", counts={"woman": 1000, "man": 1000}, unknown=0, target=HALF
)
OTHER = replace(TALLY, concept="pilot")
LABELS = Labelled(
    source="run",
    concept="nurse",
    attribute="gender",
    groups=["woman", "man"],
    counts=[[100, 40, 0], [0, 60, 0], [0, 0, 0]],  # of 100 that the reader calls men, people see women in 40
    table="labels.csv",
)


def _study(**changes: object) -> Numbers:
    study = Study(title="eyes", sources=[Source(name="run")], tallies=[TALLY, OTHER], labelled=[LABELS])
    return numbers(replace(study, **changes))  # type: ignore[arg-type]


def _line(found: Numbers, concept: str = "nurse", group: str = "woman") -> Line:
    return next(line for line in found.lines if (line.concept, line.group) == (concept, group))


def test_labels_decide_where_there_are_enough() -> None:
    found = _study()
    line = _line(found)
    share = predict((100, 40, 0, 60), 900, 1800)
    assert line.share == 0.5
    assert (line.verdict, line.eyes) == (verdict(share.low, share.high, 0.5, 0.05), "people")
    assert line.verdict == "misses"
    assert found.missed
    other = _line(found, "pilot")
    assert (other.verdict, other.eyes) == ("meets", "reader")
    assert found.plain()["lines"][0]["eyes"] == "people"


def test_too_few_labels_leave_it_to_the_reader() -> None:
    few = replace(LABELS, counts=[[10, 4, 0], [0, 6, 0], [0, 0, 0]])
    line = _line(_study(labelled=[few]))
    assert (line.verdict, line.eyes) == ("meets", "reader")


def test_a_source_that_was_drawn_until_it_was_narrow_keeps_its_own_intervals() -> None:
    line = _line(_study(sources=[Source(name="run", stopped=0.05)]))
    assert line.eyes == "reader"


def test_three_groups_have_intervals_that_hold_together() -> None:
    target = {"woman": 0.25, "man": 0.5, "androgynous": 0.25}
    counts = {"woman": 500, "man": 1000, "androgynous": 500}
    labels = replace(
        LABELS,
        groups=["woman", "man", "androgynous"],
        counts=[[40, 5, 0, 0], [0, 90, 0, 0], [5, 0, 40, 0], [0, 0, 0, 0]],
    )
    found = _study(tallies=[replace(TALLY, counts=counts, target=target)], labelled=[labels])
    share = predict((40, 5, 5, 130), 455, 1820, level=1 - 0.05 / 3)
    assert _line(found).verdict == verdict(share.low, share.high, 0.25, 0.05)
    # A band that ends between the two lower ends is left by the single interval alone.
    single = predict((40, 5, 5, 130), 455, 1820)
    woman = (single.low + share.low) / 2 - 0.05
    target = {"woman": woman, "man": 0.5, "androgynous": 0.5 - woman}
    found = _study(tallies=[replace(TALLY, counts=counts, target=target)], labelled=[labels])
    assert verdict(single.low, single.high, woman, 0.05) == "misses"
    assert _line(found).verdict == "cannot tell"


@pytest.mark.parametrize(
    ("measured_on", "eyes"), [("drawings", "reader"), ("300 images that people labelled", "people")]
)
def test_a_correction_by_peoples_labels_is_by_their_eyes(measured_on: str, eyes: str) -> None:
    matrix = Confusion(
        attribute="gender",
        groups=["woman", "man"],
        counts=[[600, 200, 0], [0, 600, 0]],
        measured_on=measured_on,
        sources=["run"],
    )
    line = _line(_study(labelled=[], confusions=[matrix]))
    assert line.corrected == pytest.approx(0.5 / 0.75, abs=0.01)
    assert (line.verdict, line.eyes) == ("misses", eyes)
