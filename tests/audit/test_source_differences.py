"""Which source is compared with which, and that nothing else comes out than the tests of its concepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from operator import attrgetter

import pytest

from fair_diffusion.audit.differences import Difference, source_differences, unpaired_differences
from fair_diffusion.audit.study import Source
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.differences import benjamini_hochberg, holm


def tally(source: str, concept: str, women: int, men: int, attribute: str = "gender", **more: int) -> Tally:
    counts = {"woman": women, "man": men, **more}
    return Tally(source=source, concept=concept, attribute=attribute, counts=counts)


@pytest.mark.parametrize(
    ("kinds", "pairs"),
    [
        ({"d": "data", "p": "plain", "i": "instructed", "o": "other"}, ["dp", "pi", "po"]),
        ({"d": "data", "i": "instructed", "o": "other"}, ["di", "do"]),
        ({"p": "plain", "q": "plain", "i": "instructed"}, ["pq", "pi"]),
        ({"i": "instructed", "j": "instructed"}, ["ij"]),
        ({"a": "other", "b": "other", "c": "new"}, ["ab", "ac"]),
        ({"d": "data", "e": "data"}, []),
        ({"p": "plain"}, []),
    ],
)
def test_what_is_compared_with_what(kinds: Mapping[str, str], pairs: list[str]) -> None:
    sources = [Source(name=name, kind=kind) for name, kind in kinds.items()]
    found = source_differences(sources, [tally(name, "cook", 3, 7) for name in kinds])
    assert [one.before + one.after for one in found] == pairs


def test_sources_that_share_no_concept_are_passed_over() -> None:
    sources = [Source(name=name, kind=kind) for name, kind in (("p", "plain"), ("q", "plain"), ("i", "instructed"))]
    given = [tally("p", "cook", 3, 7), tally("q", "nurse", 9, 1), tally("i", "nurse", 5, 5)]
    assert [(one.before, one.after) for one in source_differences(sources, given)] == [("q", "i")]


def expected(before: list[Tally], after: list[Tally]) -> list[Difference]:
    """The differences of each concept, with p corrected over the concepts; woman and man mirror each other."""
    rows = [row for pair in zip(before, after, strict=True) for row in unpaired_differences(*pair)]
    corrected = []
    for group in before[0].counts:
        family = [row for row in rows if row.group == group]
        p = [row.p for row in family]
        for row, p_holm, p_bh in zip(family, holm(p).tolist(), benjamini_hochberg(p).tolist(), strict=True):
            corrected.append(replace(row, p_holm=p_holm, p_bh=p_bh))
    return corrected


def test_differences_are_those_of_each_concept_with_the_surest_first() -> None:
    before = [tally("p", f"c{k}", 5 * k, 100 - 5 * k) for k in range(6)]
    before += [tally("p", "c0", 4, 6, "look"), tally("p", "c1", 4, 6, "look", third=3)]
    after = [tally("i", f"c{k}", 20, 80) for k in range(6)]
    after += [tally("i", "c0", 5, 5, "look"), tally("i", "c1", 5, 5, "look")]
    sources = [Source(name="p", kind="plain"), Source(name="i", kind="instructed")]
    gender, look = source_differences(sources, [*before, *after])
    key = attrgetter("concept", "group")
    assert sorted(gender.differences, key=key) == sorted(expected(before[:6], after[:6]), key=key)
    assert all((a.p_holm, a.p) <= (b.p_holm, b.p) for a, b in pairwise(gender.differences))
    assert gender.differences[0].concept == "c0"
    # Of "c1" other groups were read, so nothing can be said of it.
    assert (look.attribute, look.differences) == ("look", expected(before[6:7], after[6:7]))
