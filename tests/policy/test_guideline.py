"""Guidelines: known by a hash of what raters read, careful, and told by definitions of people's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fair_diffusion.policy import Policy, built_in
from fair_diffusion.policy.guideline import POINTS, Guideline, guideline_of


@pytest.mark.parametrize("name", ["gender", "skin_tone", "age"])
def test_a_built_in_attribute_has_points_of_its_own(name: str) -> None:
    attribute = built_in()[name]
    found = guideline_of(attribute)
    assert found.points == (*attribute.guideline, *POINTS)
    assert len(attribute.guideline) >= 3
    assert any("not" in point for point in attribute.guideline), "it says what not to do"
    assert "cannot tell" in " ".join(found.points)
    assert tuple(found.groups) == attribute.group_names
    assert len(" ".join(found.points).split()) < 220, "a rater reads it in a minute or two"


def test_ages_say_their_years() -> None:
    assert list(guideline_of(built_in()["age"]).groups.values()) == [
        "looks up to 29 years old",
        "looks 30 to 59 years old",
        "looks 60 years old or older",
    ]


def test_a_version_is_a_hash_of_what_is_read() -> None:
    gender = built_in()["gender"]
    version = guideline_of(gender).version
    assert guideline_of(replace(gender, note="another")).version == version, "raters do not read the note"
    assert guideline_of(replace(gender, guideline=("Look twice.",))).version != version
    assert guideline_of(replace(gender, groups=gender.groups[::-1])).version != version
    assert Guideline.stored(guideline_of(gender).content()) == guideline_of(gender)


def test_a_definition_of_ones_own_brings_its_guideline(tmp_path: Path) -> None:
    text = """
version: 1
attributes:
  apron:
    guideline: [Say whether you see an apron., Do not guess what a table hides.]
    groups: {with an apron: {}, without an apron: {}}
rules:
- every: occupation
  targets: {apron: uniform}
"""
    (tmp_path / "policy.yaml").write_text(text)
    attribute = Policy.from_file(tmp_path / "policy.yaml").attributes["apron"]
    assert guideline_of(attribute).points[:2] == ("Say whether you see an apron.", "Do not guess what a table hides.")


def test_without_a_guideline_the_note_is_read() -> None:
    gender = replace(built_in()["gender"], guideline=())
    assert guideline_of(gender).points[0] == gender.note
