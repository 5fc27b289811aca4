"""The numbers of a study: sources in order, targets taken over, and nothing else than what `summary` says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fair_diffusion.audit.deviations import deviations
from fair_diffusion.audit.lines import summarize
from fair_diffusion.audit.numbers import FEW_PHRASINGS, PHRASED, STOPPED, TAKEN_OVER, numbers
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally


def tally(source: str, women: int, men: int, **changes: Any) -> Tally:
    fields = {"source": source, "concept": "cook", "attribute": "gender", "counts": {"woman": women, "man": men}}
    return Tally(**{**fields, **changes})


def study(*tallies: Tally, **kinds: str) -> Study:
    return Study(title="t", sources=[Source(name=name, kind=kind) for name, kind in kinds.items()], tallies=tallies)


def test_sources_stand_in_order_of_kind() -> None:
    given = study(
        tally("c", 1, 1), tally("b", 1, 1), tally("a", 1, 1), tally("d", 1, 1), a="data", b="instructed", c="plain"
    )
    found = numbers(given)
    assert [source.name for source in found.study.sources] == ["a", "c", "b", "d"]
    assert list(dict.fromkeys(line.source for line in found.lines)) == ["a", "c", "b", "d"]
    assert found.reference == "a"


def test_the_numbers_are_those_of_summary() -> None:
    base, other = tally("data", 3, 7), tally("plain", 1, 9)
    found = numbers(study(other, base, data="data", plain="plain"), tolerance=0.1)
    assert found.lines == summarize([base], tolerance=0.1) + summarize([other], reference=[base], tolerance=0.1)
    assert found.deviations == deviations([base, other])
    assert [line.relation for line in found.lines] == [None, None, "amplified", "amplified"]


def test_notes_say_over_what_the_intervals_are() -> None:
    five = tally("plain", 10, 10, phrasings=((2, 2, 0),) * 5)
    two = tally("plain", 10, 10, concept="nurse", phrasings=((5, 5, 0),) * 2)
    stopped = Study(title="t", sources=[Source(name="plain", stopped=0.05)], tallies=[five, two])
    assert numbers(stopped).study.notes == [
        PHRASED.format(many="1 concept", fewest=5),
        FEW_PHRASINGS.format(many="1 concept", most=4),
        STOPPED.format(name="plain", points=5.0),
    ]
    for said in ("mean deviation", "within chance"):
        assert said in STOPPED


def test_a_target_is_taken_over_where_only_one_was_asked_for() -> None:
    target = {"woman": 0.3, "man": 0.7}
    found = numbers(study(tally("plain", 1, 9), tally("instructed", 3, 7, target=target)))
    assert [line.target for line in found.lines] == [0.3, 0.7] * 2
    assert not any(line.assumed for line in found.lines)
    assert TAKEN_OVER.format(names="plain") in found.study.notes
    other = tally("other", 3, 7, target={"woman": 0.4, "man": 0.6})
    found = numbers(study(tally("plain", 1, 9), tally("instructed", 3, 7, target=target), other))
    assert [line.target for line in found.lines if line.source == "plain"] == [0.5, 0.5]
    assert not found.study.notes


def test_a_target_is_not_taken_over_where_the_groups_do_not_allow_it() -> None:
    target = {"woman": 0.3, "man": 0.3, "androgynous": 0.4}
    asked = tally("instructed", 0, 0, counts={"woman": 3, "man": 3, "androgynous": 4}, target=target)
    found = numbers(study(tally("plain", 1, 9), asked))
    assert [line.target for line in found.lines if line.source == "plain"] == [0.5, 0.5]


def test_concepts_without_images_are_left_out_and_named() -> None:
    found = numbers(study(tally("plain", 1, 9), tally("plain", 0, 0, concept="nobody")))
    assert {line.concept for line in found.lines} == {"cook"}
    assert "'nobody'" in found.study.notes[0]


def test_sources_stopped_by_precision_have_their_own_intervals() -> None:
    given = tally("plain", 30, 70)
    found = numbers(Study(title="t", sources=[Source(name="plain", stopped=0.1)], tallies=[given]))
    assert found.lines == summarize([given], stopped={"plain": 0.1})
    assert found.lines != summarize([given])
    assert "±10 points" in found.study.notes[0]


def test_wrong_arguments() -> None:
    given = study(tally("plain", 1, 9))
    with pytest.raises(ValueError, match=r"no source 'x'.*plain"):
        numbers(given, reference="x")
    with pytest.raises(ValueError, match="tolerance is 2"):
        numbers(given, tolerance=2)
    with pytest.raises(ValueError, match="tolerance is nan"):
        numbers(given, tolerance=float("nan"))
    with pytest.raises(ValueError, match="no images"):
        numbers(study())


def test_plain_data_is_json_without_infinities() -> None:
    target = {"woman": 1.0, "man": 0.0}
    found = numbers(study(tally("plain", 1, 9, target=target)))
    assert found.deviations[0].kl_mean == float("inf")
    plain = json.loads(json.dumps(found.plain(), allow_nan=False))
    assert plain["deviations"][0]["kl_mean"] is None
    assert [line["share"] for line in plain["lines"]] == [0.1, 0.9]


def test_plain_data_tells_of_sources_and_broken_images() -> None:
    made = Source(name="plain", facts={"model": "pocket"}, stopped=0.1)
    given = Study(title="t", sources=[made], tallies=[tally("plain", 1, 9)], broken=["a.png: empty"])
    plain = json.loads(json.dumps(numbers(given).plain()))
    assert [(one["name"], one["facts"], one["stopped"]) for one in plain["sources"]] == [
        ("plain", {"model": "pocket"}, 0.1)
    ]
    assert plain["broken"] == ["a.png: empty"]
