"""What captions state, and of whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.readers.captions import CaptionCounts


def stated(*captions: str, attribute: str = "gender") -> dict[str, tuple[dict[str, int], int]]:
    counts = CaptionCounts()
    for caption in captions:
        counts.add(caption)
    return {
        tally.concept: ({group: count for group, count in tally.counts.items() if count}, tally.unknown)
        for tally in counts.tallies("captions")
        if tally.attribute == attribute
    }


@pytest.mark.parametrize(
    ("caption", "group"),
    [
        ("a female firefighter", "woman"),
        ("Fireman saves a cat", "man"),
        ("two policewomen", "woman"),
        ("firefighter and his dog", "man"),
        ("a poetess at her desk", "woman"),
        ("the air hostess smiles", "woman"),
        ("a firefighter", None),
        ("a male and a female firefighter", None),
        ("a firefighter rescuing a woman from a burning house", None),
        ("a hairdresser cutting a woman's hair", None),
        ("a male firefighter rescuing a woman", "man"),
        ("a woman working as a firefighter", "woman"),
        ("a firefighter talking to a woman in her garden", None),
    ],
)
def test_gender(caption: str, group: str | None) -> None:
    ((found, unknown),) = stated(caption).values()
    assert (found, unknown) == (({group: 1}, 0) if group else ({}, 1))


def test_age_and_skin_tone() -> None:
    assert stated("an old doctor", "doctor, aged 70", attribute="age") == {"doctor": ({"old": 1}, 1)}
    assert stated("dark-skinned nurse", "a Kenyan nurse", attribute="skin_tone") == {"nurse": ({"dark": 1}, 1)}


def test_synonyms_are_one_occupation_and_kinds_another() -> None:
    assert set(stated("a physician", "two doctors", "the surgeon")) == {"doctor", "surgeon"}


def test_words_that_depict_nobody_do_not_count() -> None:
    assert stated("a doctor's bag", "guard dog", "red car", "") == {}


@given(st.text(max_size=200))
def test_any_text_is_a_caption(caption: str) -> None:
    for found, unknown in stated(caption, f"a nurse {caption}").values():
        assert sum(found.values()) + unknown in (1, 2)
