"""Attributes, groups and "unknown" as people write them."""

from __future__ import annotations

import pytest

from fair_diffusion.policy import built_in
from fair_diffusion.policy.spelling import UNKNOWN, is_unknown, named, plain


@pytest.mark.parametrize(
    "text",
    "Unknown|n/a|N/A|NA|n.a.|None|null|NaN|-|--|—|?|Unclear|undetermined|Not sure|cannot tell|can't tell|UNSURE"
    "|Prefer not to say|declined to answer|non précisé|no response"
    "|no face|Not visible|unidentifiable|don't know|unlabelled|unkown|  unknown  |not_sure|unbekannt|不明".split("|"),
)
def test_nobody_could_tell(text: str) -> None:
    assert is_unknown(text)
    assert named([("gender", text)]).names["gender", text] == ("gender", UNKNOWN)
    assert named([("race", text)]).names["race", text] == ("race", UNKNOWN)


@pytest.mark.parametrize("text", ["woman", "other", "0-2", "north", "nonbinary", "noble", "+"])
def test_a_group_is_not_taken_for_unknown(text: str) -> None:
    assert not is_unknown(text)


@pytest.mark.parametrize("attribute", built_in())
def test_every_known_name_is_its_group(attribute: str) -> None:
    for group in built_in()[attribute].groups:
        for text in (group.name, group.name.upper(), group.adjective, *group.phrases, group.name.replace("-", "_")):
            assert named([(attribute.title(), text)]).names == {(attribute.title(), text): (attribute, group.name)}


@pytest.mark.parametrize(
    ("written", "group"),
    [
        (("sex", "F"), ("gender", "woman")),
        (("Gender", "Women"), ("gender", "woman")),
        (("perceived gender", "♂"), ("gender", "man")),
        (("gender", "Frau"), ("gender", "woman")),
        (("gender", "non-binary"), ("gender", "androgynous")),
        (("Skin Tone", "Medium Dark"), ("skin_tone", "medium-dark")),
        (("skin colour", "dark-skinned"), ("skin_tone", "dark")),
        (("age group", "Elderly"), ("age", "old")),
        (("gender × skin_tone", "Women × Dark"), ("gender × skin_tone", "woman × dark")),
        (("gender × skin_tone", "N/A"), ("gender × skin_tone", "unknown")),
        (("gender", "'woman'"), ("gender", "woman")),
        (("gender", '"Men"'), ("gender", "man")),
        (("race", "(unknown)"), ("race", "unknown")),
    ],
)
def test_other_spellings(written: tuple[str, str], group: tuple[str, str]) -> None:
    found = named([written])
    assert found.names == {written: group}
    assert not found.wrong


def test_a_reading_that_is_more_than_capitals_is_told() -> None:
    assert named([("Gender", "Women"), ("gender", "unknown")]).notes == []
    assert named([("sex", "F"), ("sex", "M")]).notes == ["read: 'sex' as gender, 'F' as woman, 'M' as man"]


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([("gender", "womam"), ("gender", "man")], "no group 'womam'; did you mean 'woman'"),
        ([("gender", "femal")], "did you mean 'woman'"),
        ([("gender", "woman"), ("gender", "other")], "no group 'other'; write woman, man, androgynous or unknown"),
        ([("age", "young"), ("age", "30-39")], "no group '30-39'"),
        ([("gendr", "woman")], "attribute is 'gendr'; did you mean 'gender'"),
        ([("gender × skin_tone", "woman")], "is not joint"),
        ([("pose", "sitting"), ("pose", "Unkonwn")], "group 'Unkonwn' looks like 'unknown'"),
        ([("race", "White"), ("race", "Other/Unknown")], "group 'Other/Unknown' looks like 'unknown'"),
    ],
)
def test_what_is_nearly_known_is_a_mistake(pairs: list[tuple[str, str]], said: str) -> None:
    assert said in " ".join(named(pairs).wrong.values())


def test_groups_of_peoples_own_stay_and_are_told() -> None:
    found = named([("age", "0-2"), ("age", "more than 70"), ("race", "White"), ("race", "white"), ("race", "Whites")])
    assert not found.wrong
    assert {group for _, group in found.names.values()} == {"0-2", "more than 70", "White"}
    assert found.notes == [
        "age is divided as it stands there, not in young, middle-aged, old: 0-2, more than 70",
        "race is divided as it stands there: White",
    ]
    assert "spell them alike" in named([("race", "asian"), ("race", "asain")]).notes[1]


def test_names_that_differ_in_signs_are_not_the_same() -> None:
    assert len({plain(text) for text in ("<20", ">20", "20+", "20")}) == 4


def test_a_group_that_only_begins_like_unknown_is_one() -> None:
    assert not named([("kin", "uncle"), ("kin", "aunt"), ("dress", "uniform"), ("dress", "none of these")]).wrong
