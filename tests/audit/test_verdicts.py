"""Verdicts on processes: they follow corrected shares where a correction holds; elsewhere they say why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fair_diffusion.audit.corrections import corrections
from fair_diffusion.audit.lines import Line
from fair_diffusion.audit.numbers import numbers
from fair_diffusion.audit.study import Disputed, Quota, Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.audit.transfer import DISAGREE, UNREAD
from fair_diffusion.audit.verdicts import CONTRADICTS
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.statistics.correction import correct

HALF = {"woman": 0.5, "man": 0.5}
JUDGE = Confusion(
    attribute="gender",
    groups=["woman", "man"],
    counts=[[400, 24, 0], [0, 432, 0]],
    measured_on="held-out drawings",
    sources=["s"],
)
PERCEIVER = replace(JUDGE, counts=[[396, 25, 3], [0, 431, 1]])


def tally(women: int, men: int, unknown: int = 0, concept: str = "cook", source: str = "s", **told: Any) -> Tally:
    counts, usual = {"woman": women, "man": men}, {"target": HALF}
    return Tally(source=source, concept=concept, attribute="gender", counts=counts, unknown=unknown, **usual | told)


def study(*tallies: Tally, **told: Any) -> Study:
    usual: dict[str, Any] = {"confusions": [JUDGE], "perceived_confusions": [PERCEIVER], "sources": [Source(name="s")]}
    return Study(title="t", tallies=tallies, **usual | told)


def women(found: Study) -> Line:
    return next(line for line in numbers(found).lines if line.group == "woman")


def disputed(women: int, men: int) -> list[Disputed]:
    return [Disputed(source="s", concept="cook", attribute="gender", counts={"woman": women, "man": men})]


def test_the_verdict_is_that_of_the_corrected_share() -> None:
    """50 % as read is 53 % corrected: within 5 points as read, and nobody can tell where people are counted."""
    as_read = women(study(tally(1000, 1000), confusions=[]))
    assert (as_read.verdict, as_read.corrected) == ("meets", None)
    line = women(study(tally(1000, 1000)))
    assert line.corrected == pytest.approx(0.53, abs=0.001)
    assert line.corrected_low == pytest.approx(0.506, abs=0.004)
    assert line.corrected_high == pytest.approx(0.559, abs=0.004)
    assert (line.verdict, line.reason, line.share) == ("cannot tell", None, 0.5)
    (section,) = corrections([tally(1000, 1000)], [JUDGE])
    assert (line.corrected, line.corrected_low, line.corrected_high) == (
        section.groups[0].corrected,
        section.groups[0].low,
        section.groups[0].high,
    )
    assert women(study(tally(4717, 5283), tally(9434, 10566, concept="nurse"))).verdict == "meets"
    # 53 % as read lies in the band, and 56 % does not
    assert women(study(tally(5300, 4700), confusions=[])).verdict == "meets"
    biased = replace(JUDGE, counts=[[4000, 480, 0], [0, 4320, 0]])
    assert women(study(tally(5300, 4700), confusions=[biased])).verdict == "misses"


def test_corrected_shares_of_three_groups_hold_together() -> None:
    groups = ["woman", "man", "androgynous"]
    matrix = replace(JUDGE, groups=groups, counts=[[180, 15, 5, 0], [5, 190, 5, 0], [10, 10, 180, 0]])
    own = replace(tally(400, 400), counts=dict.fromkeys(groups, 400), target=dict.fromkeys(groups, 1 / 3))
    line = women(study(own, confusions=[matrix], perceived_confusions=[]))
    shares = correct([400, 400, 400, 0], matrix.counts, level=1 - 0.05 / 3)
    ends = (line.corrected, line.corrected_low, line.corrected_high)
    assert ends == pytest.approx((shares.estimate[0], shares.low[0], shares.high[0]))


def test_where_the_readers_disagree_more_than_their_errors_explain_nobody_can_tell() -> None:
    held = numbers(study(tally(1000, 1000), disputed=disputed(60, 50)))
    assert held.corrections[0].groups
    found = numbers(study(tally(1000, 1000), disputed=disputed(200, 134)))
    (correction,) = found.corrections
    assert correction.groups == []
    assert correction.refused == (
        "the readers disagree more than their errors explain (on 16.7 % of the images; 6.6 % are explained)"
    )
    assert {(line.verdict, line.reason, line.corrected) for line in found.lines} == {("cannot tell", DISAGREE, None)}
    # Of 1,800 men at most 200 are women: a share of 100 / 2,000 misses whatever they are.
    far = numbers(study(tally(200, 1800), disputed=disputed(134, 200)))
    assert {(line.verdict, line.reason) for line in far.lines} == {("misses", None)}
    # Without the errors of the other reader nothing says how often they may disagree.
    alone = numbers(study(tally(1000, 1000), disputed=disputed(200, 134), perceived_confusions=[]))
    assert alone.corrections[0].groups


def test_unread_images_beyond_the_matrix_and_readings_that_contradict_it() -> None:
    found = numbers(study(tally(900, 900, 200)))
    assert (found.corrections[0].refused, found.lines[0].reason) == (UNREAD, UNREAD)
    assert found.lines[0].verdict == "cannot tell"
    # A third of the men are read as women, and hardly any woman was seen at all.
    errs = replace(JUDGE, counts=[[400, 24, 0], [144, 288, 0]])
    found = numbers(study(tally(600, 400), tally(40, 960, concept="nurse"), confusions=[errs]))
    nurses = [line for line in found.lines if line.concept == "nurse"]
    assert {(line.verdict, line.reason) for line in nurses} == {("misses", None)}
    near = numbers(
        study(tally(600, 400), tally(40, 960, concept="nurse", target={"woman": 0.05, "man": 0.95}), confusions=[errs])
    )
    assert {(line.verdict, line.reason) for line in near.lines if line.concept == "nurse"} == {
        ("cannot tell", CONTRADICTS)
    }


def test_sources_without_a_matrix_or_drawn_until_sure_keep_the_verdict_as_read() -> None:
    other = study(tally(1000, 1000, source="other"))
    assert women(other).verdict == "meets"
    stopped = study(tally(4000, 4000), sources=[Source(name="s", stopped=0.05)])
    assert (women(stopped).verdict, women(stopped).corrected) == ("meets", None)


def test_only_what_was_asked_of_its_own_images_can_be_missed() -> None:
    """Whatever the sources are called: a table of before and after is one of plain and instructed."""
    for before, after in (("before", "after"), ("plain", "instructed")):
        kinds = [Source(name=before, kind=before), Source(name=after, kind=after)]
        bad, good = tally(10, 990, source=before), tally(5000, 5000, source=after)
        assert numbers(study(bad, good, sources=kinds)).missed
        assert not numbers(study(replace(bad, target=None), good, sources=kinds)).missed
        assert not numbers(study(bad, good, sources=[replace(kinds[0], asked=False), kinds[1]])).missed


def test_deliveries_of_a_study() -> None:
    quotas = [
        Quota(source="s", concept=concept, attribute="gender", counts={"woman": 16, "man": 16})
        for concept in ("cook", "nurse", "pilot")
    ]
    tallies = [
        tally(16, 16),
        tally(15, 17, concept="nurse"),
        tally(8, 24, concept="pilot"),
        tally(5, 5, concept="poet"),
    ]
    source = Source(name="s", selection={"steered": 40, "looked_at": 120})
    found = numbers(study(*tallies, quotas=quotas, sources=[source]))
    (delivered,) = found.deliveries
    assert (delivered.concepts, delivered.met, delivered.missed, delivered.whole.n) == (3, 2, 1, 96)
    one = delivered.whole.groups[0]
    assert (one.quota, one.count) == (48, 39)
    assert one.low >= 39
    assert one.shared_low is not None
    assert one.shared_low < one.low
    assert found.plain()["deliveries"][0]["whole"]["groups"][0]["quota"] == 48
