"""One image as people and a reader saw it: what calibrations are made of."""

from __future__ import annotations

from dataclasses import dataclass

PERCEIVER, JUDGE = "perceiver", "judge"
"""The readers of images."""


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """What people and a reader saw of one attribute of one image.

    Attributes:
        reader: "perceiver" or "judge".
        model: the model that made the image.
        attribute: what was labelled.
        people: the group that people saw; None if they could not tell.
        read: the group that the reader read; None if it was not sure.
        concept: what the image shows, such as "nurse"; empty if that is not known.
        probability: with which the image was shown to people, up to a common factor.
        guideline: the version of the guideline that people went by; empty if that is not known.
        fingerprint: of the reader, as `models.fingerprint.of_reader` has it; empty if that is not known.
    """

    reader: str
    model: str
    attribute: str
    people: str | None
    read: str | None
    concept: str = ""
    probability: float = 1.0
    guideline: str = ""
    fingerprint: str = ""
