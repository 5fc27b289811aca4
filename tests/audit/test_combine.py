"""Several studies as one."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from fair_diffusion.audit.combine import combine, combined_images
from fair_diffusion.audit.study import Labelled, Sample, Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.perception.confusion import Confusion


def study(title: str, *sources: str, unit: str = "prompt") -> Study:
    return Study(
        title=title,
        sources=[Source(name=name) for name in sources],
        tallies=[Tally(source=name, concept="a", attribute="b", counts={"x": 1, "y": 1}) for name in sources],
        perceived=[Tally(source=name, concept="a", attribute="b", counts={"x": 2, "y": 0}) for name in sources],
        samples=[
            Sample(image=Path(f"{title}.png"), source=name, concept="a", labels={}, confidence={}) for name in sources
        ],
        confusions=[Confusion(attribute="b", groups=["x"], counts=[[1, 0]], measured_on="c", sources=sources)],
        drawn="some",
        unit=unit,
        broken=["file"],
        fields={"a": f"field of {title}", title: "other"},
        labelled=[
            Labelled(source=name, concept="a", attribute="b", groups=["x"], counts=[[1]], table="t") for name in sources
        ],
        notes=["note"],
    )


def test_sources_of_one_name_are_told_apart() -> None:
    found = combine([("before", study("t", "plain", "x")), ("after", study("u", "plain", "y"))])
    names = ["before: plain", "x", "after: plain", "y"]
    assert [source.name for source in found.sources] == names
    assert dict(found.fields) == {"a": "field of t", "t": "other", "u": "other"}  # of two fields the first stays
    for part in (found.tallies, found.perceived, found.samples, found.labelled):
        assert [one.source for one in part] == names
    assert found.title == "t and u"
    assert found.drawn == "before: some; after: some"
    assert list(found.broken) == ["before: file", "after: file"]
    assert list(found.notes) == ["before: note", "after: note"]
    assert [one.sources for one in found.confusions] == [names]


def test_rows_of_images_get_the_names_of_their_sources() -> None:
    named = [("before", study("t", "plain", "x")), ("after", study("u", "plain")), ("none", study("v", "z"))]
    rows = pa.table({"source": ["x", "plain"], "seed": [1, 2]})
    found = combined_images(named, [rows, pa.table({"source": ["plain"], "age": ["old"]}), None])
    assert found is not None
    assert found["source"].to_pylist() == ["x", "before: plain", "after: plain"]
    assert (found["seed"].to_pylist(), found["age"].to_pylist()) == ([1, 2, None], [None, None, "old"])
    assert combined_images(named, [None] * 3) is None
    assert combined_images(named[:1], [rows]) is rows


def test_one_study_stays_as_it_is() -> None:
    given = study("t", "plain")
    assert combine([("a", given)]) == given
    assert combine([("a", given)], title="other").title == "other"


def test_units() -> None:
    assert combine([("a", study("t", "p")), ("b", study("u", "q"))]).unit == "prompt"
    assert combine([("a", study("t", "p")), ("b", study("u", "q", unit="occupation"))]).unit == "concept"


def test_nothing_and_names_given_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        combine([])
    with pytest.raises(ValueError, match="'a'"):
        combine([("a", study("t", "p")), ("a", study("u", "q"))])
