"""References: which source, which concepts, under which name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from audit_examples import put, record, write_run
from scipy import stats

from fair_diffusion.audit.numbers import numbers
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.readers.reference import aligned, find_reference, read_reference, with_reference
from fair_diffusion.readers.target import read_target

HEAD = "prompt,attribute,group,count,source\n"


def tally(concept: str, women: int, *, source: str = "here") -> Tally:
    return Tally(source=source, concept=concept, attribute="gender", counts={"woman": women, "man": 100 - women})


def study(*tallies: Tally) -> Study:
    return Study(title="", sources=[Source(name="here")], tallies=tallies)


def test_a_source_is_named_where_there_are_several(tmp_path: Path) -> None:
    path = put(tmp_path, "t.csv", HEAD + "nurse,gender,woman,1,a\nnurse,gender,man,1,a\nnurse,gender,woman,9,b:c\n")
    assert [t.source for t in read_reference(f"{path}:b:c", scratch=tmp_path)] == ["b:c"]
    with pytest.raises(ValueError, match="several sources"):
        read_reference(str(path), scratch=tmp_path)
    with pytest.raises(ValueError, match="no source 'd'; it has a, b:c"):
        read_reference(f"{path}:d", scratch=tmp_path)
    assert [t.source for t in read_reference(f"{path}:a", scratch=tmp_path)] == ["a"]
    with pytest.raises(ValueError, match="is not there"):
        read_reference(str(tmp_path / "gone.csv"), scratch=tmp_path)


def test_concepts_are_matched_by_their_words_and_the_very_name_wins() -> None:
    reference = [tally("Nurses", 80, source="r"), tally("nurse", 70, source="r"), tally("Head-cooks", 30, source="r")]
    found = aligned(reference, [tally("nurse", 50), tally("head cook", 50), tally("judge", 50)])
    assert [(t.concept, t.counts["woman"]) for t in found] == [("nurse", 70), ("head cook", 30)]


def test_a_reference_amplified_reflected_mitigated() -> None:
    own = study(tally("a", 95), tally("b", 71), tally("c", 55))
    joined, name = with_reference(own, [tally(concept, 70, source="labour") for concept in "abc"])
    found = numbers(joined, reference=name)
    relations = {line.concept: line.relation for line in found.lines if line.source == "here" and line.group == "woman"}
    assert relations == {"a": "amplified", "b": "reflected", "c": "mitigated"}
    assert joined.sources[0].kind == "data"


def test_a_reference_with_a_taken_name_is_renamed_and_one_that_is_there_stays() -> None:
    own = study(tally("a", 95))
    joined, name = with_reference(own, [tally("a", 70)])
    assert (name, len(joined.tallies)) == ("reference here", 2)
    assert with_reference(joined, [joined.tallies[0]]) == (joined, name)


def test_a_reference_about_something_else_is_said() -> None:
    with pytest.raises(ValueError, match="counts nothing that is audited here"):
        with_reference(study(tally("a", 95)), [tally("b", 70, source="r")])


@pytest.mark.parametrize("first", [0, 100])
def test_a_run_as_reference_is_tested_as_other_images_whatever_its_seeds(first: int, tmp_path: Path) -> None:
    write_run(tmp_path / "before", [record(seed, "woman") for seed in range(20)])
    after = [record(seed, "woman" if seed % 2 else "man") for seed in range(first, first + 20)]
    write_run(tmp_path / "after", after, target={"woman": 0.5, "man": 0.5})
    audited = read_target(tmp_path / "after", scratch=tmp_path, attributes=["gender"])
    joined, name = with_reference(audited.study, read_reference(str(tmp_path / "before"), scratch=tmp_path))
    found = numbers(joined, images=audited.images, reference=name)
    (line,) = [line for line in found.lines if line.group == "woman" and line.source != name]
    assert (line.share, line.reference, line.relation) == (0.5, 1.0, "mitigated")
    (comparison,) = found.comparisons
    assert comparison.paired == 0
    (women,) = [row for row in comparison.differences if row.group == "woman"]
    assert women.test == "Fisher mid-p"
    # One table, and its mirror, is as unlikely: mid-p counts half of both.
    assert women.p == pytest.approx(stats.fisher_exact([[20, 0], [10, 10]]).pvalue / 2)


def test_a_reference_may_be_a_source_of_what_is_audited(tmp_path: Path) -> None:
    own = study(tally("a", 95), tally("a", 70, source="laion"))
    name = find_reference("laion", scratch=tmp_path, own_sources=True)
    joined, reference = with_reference(own, name)
    assert (joined, reference) == (own, "laion")
    found = numbers(joined, reference=reference)
    assert [line.relation for line in found.lines if (line.source, line.group) == ("here", "woman")] == ["amplified"]
    path = put(tmp_path, "t.csv", HEAD + "a,gender,woman,1,laion\na,gender,man,1,laion\n")
    assert find_reference(str(path), scratch=tmp_path, own_sources=True) == read_reference(str(path), scratch=tmp_path)
    with pytest.raises(ValueError, match=r"'laoin' is not there, .*one of its sources: here, laion"):
        with_reference(own, find_reference("laoin", scratch=tmp_path, own_sources=True))
    for spec, sources in (("gone.csv", True), ("laion", False)):  # known before anything is read
        with pytest.raises(ValueError, match=f"{re.escape(spec)} is not there; name a run"):
            find_reference(spec, scratch=tmp_path, own_sources=sources)
