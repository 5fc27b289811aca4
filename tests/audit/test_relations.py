"""What sources make of the reference: which shares count, and that numbers and labels are those of the statistics."""

from __future__ import annotations

from collections import Counter

import pytest

from fair_diffusion.audit.lines import summarize
from fair_diffusion.audit.numbers import numbers
from fair_diffusion.audit.relations import relations
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.amplification import fewest, label_probabilities, lean, mean_lean, tails


def tally(source: str, concept: str, *counts: int, target: tuple[float, ...] | None = None) -> Tally:
    groups = "abcd"[: len(counts)]
    return Tally(
        source=source,
        concept=concept,
        attribute="x",
        counts=dict(zip(groups, counts, strict=True)),
        target=None if target is None else dict(zip(groups, target, strict=True)),
    )


def test_labels_are_the_likeliest_of_the_true_shares() -> None:
    reference = [tally("data", "cook", 300, 700), tally("data", "nurse", 900, 100)]
    lines = summarize([tally("s", "cook", 7, 13), tally("s", "nurse", 250, 0)], reference=reference)
    for line, (x, n, y) in zip(lines, [(7, 20, 300), (13, 20, 700), (250, 250, 900), (0, 250, 100)], strict=True):
        probabilities = label_probabilities(x, n, y, 1_000, 0.5)
        assert line.relation_probability == pytest.approx(probabilities.max())
    assert [line.relation for line in lines] == ["mitigated", "mitigated", "amplified", "amplified"]
    assert [line.likely_relation for line in lines] == ["cannot tell", "cannot tell", "amplified", "amplified"]
    alone, _ = summarize([tally("s", "pilot", 1, 2)], reference=reference)
    assert (alone.likely_relation, alone.relation_probability) == (None, None)


def test_two_groups_count_once_and_several_each() -> None:
    reference = [tally("data", f"c{k}", 40 * k, 1_000 - 40 * k) for k in range(6)]
    own = [tally("s", f"c{k}", 3 * k, 100 - 3 * k) for k in range(6)] + [tally("s", "other", 1, 1)]
    lines = summarize(own, reference=reference)
    (found,) = relations(lines, own, reference)
    assert (found.source, found.attribute, found.concepts, found.shares) == ("s", "x", 6, 6)
    said = Counter(line.likely_relation for line in lines if line.group == "a" and line.concept != "other")
    assert [found.amplified, found.reflected, found.mitigated, found.cannot_tell] == [
        said[name] for name in ("amplified", "reflected", "mitigated", "cannot tell")
    ]
    both = tails([3 * k for k in range(6)], 100, [40 * k for k in range(6)], 1_000, 0.5)
    assert (found.amplified_low, found.amplified_high) == (fewest(both.amplified), 6 - fewest(both.other))
    leans = [lean([3 * k, 100 - 3 * k], [40 * k, 1_000 - 40 * k], 0.5) for k in range(6)]
    mean, interval = mean_lean([one for one in leans if one is not None])
    assert (found.difference, found.difference_low, found.difference_high, interval) == (mean, None, None, None)

    reference = [tally("data", "cook", 500, 300, 200, 0)]
    own = [tally("s", "cook", 80, 10, 10, 0, target=(1 / 3, 1 / 3, 1 / 3, 0))]
    (found,) = relations(summarize(own, reference=reference), own, reference)
    assert (found.concepts, found.shares) == (1, 3)
    assert found.difference == pytest.approx(0.3)
    assert (found.difference_low, found.difference_high) == (None, None)


def test_many_concepts_have_an_interval() -> None:
    reference = [tally("data", f"c{k}", 400 + k, 600 - k) for k in range(100)]
    own = [tally("s", f"c{k}", 30 + k % 7, 70 - k % 7) for k in range(100)]
    (found,) = relations(summarize(own, reference=reference), own, reference)
    leans = [lean([30 + k % 7, 70 - k % 7], [400 + k, 600 - k], 0.5) for k in range(100)]
    mean, interval = mean_lean([one for one in leans if one is not None])
    assert (found.difference, (found.difference_low, found.difference_high)) == (mean, interval)


def test_numbers_have_them_for_every_source_but_the_reference() -> None:
    tallies = [tally(name, "cook", *counts) for name, counts in (("d", (40, 60)), ("p", (5, 95)), ("q", (45, 55)))]
    found = numbers(Study(title="t", sources=[Source(name="d", kind="data")], tallies=tallies))
    assert [one.source for one in found.relations] == ["p", "q"]
    assert [one["source"] for one in found.plain()["relations"]] == ["p", "q"]
    assert numbers(Study(title="t", sources=[], tallies=tallies)).relations == []


def test_without_read_images_there_is_no_relation() -> None:
    unread = Tally(source="s", concept="cook", attribute="x", counts={"a": 0, "b": 0}, unknown=5)
    reference = [tally("data", "cook", 5, 5)]
    assert relations(summarize([unread], reference=reference), [unread], reference) == []
