"""Which source is compared with which, and that nothing else comes out than `compare` says."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from operator import attrgetter

import pytest

from fair_diffusion.audit.differences import comparisons
from fair_diffusion.audit.study import Source
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.differences import compare


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
    found = comparisons(sources, [tally(name, "cook", 3, 7) for name in kinds])
    assert [one.before + one.after for one in found] == pairs


def test_sources_that_share_no_concept_are_passed_over() -> None:
    sources = [Source(name=name, kind=kind) for name, kind in (("p", "plain"), ("q", "plain"), ("i", "instructed"))]
    given = [tally("p", "cook", 3, 7), tally("q", "nurse", 9, 1), tally("i", "nurse", 5, 5)]
    assert [(one.before, one.after) for one in comparisons(sources, given)] == [("q", "i")]


def test_differences_are_those_of_compare_with_the_surest_first() -> None:
    before = [tally("p", f"c{k}", 5 * k, 100 - 5 * k) for k in range(6)]
    before += [tally("p", "c0", 4, 6, "look"), tally("p", "c1", 4, 6, "look", third=3)]
    after = [tally("i", f"c{k}", 20, 80) for k in range(6)]
    after += [tally("i", "c0", 5, 5, "look"), tally("i", "c1", 5, 5, "look")]
    sources = [Source(name="p", kind="plain"), Source(name="i", kind="instructed")]
    gender, look = comparisons(sources, [*before, *after])
    key = attrgetter("concept", "group")
    assert sorted(gender.differences, key=key) == sorted(compare(before[:6], after[:6]), key=key)
    assert all((a.p_holm, a.p) <= (b.p_holm, b.p) for a, b in pairwise(gender.differences))
    assert gender.differences[0].concept == "c0"
    # Of "c1" other groups were read, so nothing can be said of it.
    assert (look.attribute, look.differences) == ("look", compare(before[6:7], after[6:7]))
