"""The four-fifths table: by group and by combination, with what no interval holds for."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from fair_diffusion.audit.impact import PHRASED, STOPPED, UNREAD, impacts
from fair_diffusion.audit.study import Source
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.impact import impact_ratios


def tally(concept: str = "cook", **changes: Any) -> Tally:
    fields: dict[str, Any] = {"source": "plain", "attribute": "gender", "counts": {"woman": 10, "man": 40}}
    return Tally(**{**fields, "concept": concept, **changes})


def test_a_line_is_the_rate_over_that_of_the_most_shown() -> None:
    found = impacts([Source(name="plain", facts={"drawn": "2026-01-31"})], [tally(unknown=2)], audited="2026-02-01")
    woman, man = found
    _, low, high = impact_ratios([10, 40], 2)
    assert (woman.n, woman.unknown, woman.count, woman.rate) == (52, 2, 10, 10 / 52)
    assert (woman.ratio, woman.most, woman.told) == (0.25, "man", "below 0.8")
    assert (woman.low, woman.high) == (low[0], high[0])
    assert (woman.drawn, woman.audited) == ("2026-01-31", "2026-02-01")
    assert (man.ratio, man.low, man.high, man.told, man.reason) == (1, None, None, "0.8 or more", None)


def test_few_images_cannot_tell() -> None:
    found = impacts([Source(name="plain")], [tally(counts={"woman": 9, "man": 11})])
    assert [one.told for one in found] == ["cannot tell", "cannot tell"]
    assert all(one.low is not None and one.high is not None and one.low < one.high for one in found)


def test_concepts_stand_together_and_each() -> None:
    tallies = [tally("cook"), tally("nurse", counts={"woman": 45, "man": 5})]
    found = impacts([Source(name="plain")], tallies)
    assert [(one.concept, one.group, one.count) for one in found] == [
        (None, "woman", 55),
        (None, "man", 45),
        ("cook", "woman", 10),
        ("cook", "man", 40),
        ("nurse", "woman", 45),
        ("nurse", "man", 5),
    ]


def test_groups_that_nobody_asked_for_or_shows_are_left_out() -> None:
    counts, target = {"woman": 10, "man": 40, "androgynous": 0}, {"woman": 0.5, "man": 0.5, "androgynous": 0.0}
    assert [one.group for one in impacts([Source(name="plain")], [tally(counts=counts, target=target)])] == [
        "woman",
        "man",
    ]
    shown = impacts([Source(name="plain")], [tally(counts={**counts, "androgynous": 1}, target=target)])
    assert [one.group for one in shown] == ["woman", "man", "androgynous"]


def test_combinations_are_counted_image_by_image() -> None:
    tallies = [
        tally(counts={"woman": 2, "man": 3}, unknown=1),
        tally(attribute="skin_tone", counts={"dark": 2, "light": 4}),
    ]
    rows = pa.table(
        {
            "source": ["plain"] * 6 + ["other"],
            "concept": ["cook"] * 7,
            "gender": ["woman", "woman", "man", "man", "man", None, "woman"],
            "skin_tone": ["dark", "light", "light", "light", "dark", "light", "dark"],
        }
    )
    found = [one for one in impacts([Source(name="plain")], tallies, rows) if one.attribute == "gender × skin_tone"]
    assert [(one.group, one.count, one.ratio) for one in found] == [
        ("woman × dark", 1, 0.5),
        ("woman × light", 1, 0.5),
        ("man × dark", 1, 0.5),
        ("man × light", 2, 1),
    ]
    assert {(one.n, one.unknown) for one in found} == {(6, 1)}
    assert not [one for one in impacts([Source(name="plain")], tallies) if "×" in one.attribute]


def test_a_combination_that_was_tallied_is_not_counted_twice() -> None:
    joint = {"woman × dark": 1, "woman × light": 2, "man × dark": 3, "man × light": 4}
    tallies = [
        tally(counts={"woman": 3, "man": 7}),
        tally(attribute="skin_tone", counts={"dark": 4, "light": 6}),
        tally(attribute="gender × skin_tone", counts=joint),
    ]
    labels = [group.split(" × ") for group, many in joint.items() for _ in range(many)]
    rows = pa.table(
        {
            "source": ["plain"] * 10,
            "concept": ["cook"] * 10,
            "gender": [a for a, _ in labels],
            "skin_tone": [b for _, b in labels],
        }
    )
    found = impacts([Source(name="plain")], tallies, rows)
    assert [one.count for one in found if "×" in one.attribute] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("source", "one", "why"),
    [
        (Source(name="plain", stopped=0.05), tally(), STOPPED),
        (Source(name="plain"), tally(phrasings=((5, 20, 0), (5, 20, 0))), PHRASED),
        (Source(name="plain"), tally(counts={"woman": 0, "man": 0}, unknown=5), UNREAD),
    ],
)
def test_where_no_interval_holds_none_is_given_and_the_line_says_why(source: Source, one: Tally, why: str) -> None:
    found = impacts([source], [one])
    assert {(line.low, line.high, line.told, line.reason) for line in found} == {(None, None, "cannot tell", why)}
    assert [line.ratio for line in found] == ([None, None] if why == UNREAD else [0.25, 1])
