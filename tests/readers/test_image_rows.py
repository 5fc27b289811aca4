"""Rows and their tallies against counting by hand and by pandas."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fair_diffusion.readers.image_rows import ImageRows

GROUPS = {"gender": ("woman", "man"), "age": ("young", "old")}
LABELS = st.fixed_dictionaries({name: st.sampled_from([*groups, None]) for name, groups in GROUPS.items()})
IMAGES = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["nurse", "cook"]), LABELS), max_size=15)


@settings(max_examples=30)
@given(IMAGES)
def test_tallies_are_those_of_pandas_crosstab(images: list[tuple[str, str, dict[str, str | None]]]) -> None:
    rows = ImageRows(GROUPS)
    for k, (source, concept, labels) in enumerate(images):
        rows.add(f"{k}.png", source, concept, labels, {"gender": 0.5})
    table = rows.table().to_pandas()
    assert list(table.columns) == ["file", "source", "concept", "gender", "gender_confidence", "age", "age_confidence"]
    tallies = rows.tallies(["gender", "age", "gender × age"])
    assert sum(tally.n for tally in tallies) == 3 * len(images)
    for tally in tallies:
        own = table[(table.source == tally.source) & (table.concept == tally.concept)]
        parts = tally.attribute.split(" × ")
        joint = own[parts].dropna().agg(" × ".join, axis=1) if len(own) else pd.Series(dtype=str)
        counted = joint.value_counts() if len(joint) else {}
        assert dict(tally.counts) == {group: counted.get(group, 0) for group in tally.counts}
        assert tally.unknown == len(own) - sum(tally.counts.values())


def test_a_target_is_kept_only_where_its_groups_can_be_read() -> None:
    rows = ImageRows(GROUPS)
    rows.add("1.png", "a", "nurse", {"gender": "woman"}, {})
    key = ("a", "nurse", "gender")
    found = rows.tallies(["gender"], {key: {"woman": 0.5, "man": 0.5, "androgynous": 0.0}})
    assert found[0].target == {"woman": 0.5, "man": 0.5}
    assert rows.tallies(["gender"], {key: {"woman": 0.5, "androgynous": 0.5}})[0].target is None


def test_strange_attributes_and_labels_are_named() -> None:
    rows = ImageRows(GROUPS)
    rows.add("1.png", "a", "nurse", {"gender": "robot"}, {})
    with pytest.raises(ValueError, match="nothing was read of 'hair'; choose from gender, age"):
        rows.tallies(["gender × hair"])
    with pytest.raises(ValueError, match="'robot' is no group of gender"):
        rows.tallies()
