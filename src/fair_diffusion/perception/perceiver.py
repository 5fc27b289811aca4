"""A perceiver: pictures in, for each attribute one group per picture out, or None where it is not sure.

One shape for all of them, whether a network looks, a person did, or skin is measured; `open_perceiver` finds one by the
words of the command line. What each is good for, and is not: docs/perceivers.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image

KINDS = (
    *("pocket", "judge", "faces", "faces:all", "faces:agree", "faces:refuse"),
    *("skin_tone", "skin_tone:monk", "skin_tone:fitzpatrick"),
    *("clip:MODEL", "classifier:MODEL", "trained:FOLDER", "human:CSV"),
)

OCCUPATION = "occupation"
"""What some perceivers read beside groups of people: it is asked for, not shared out."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one picture shows: a group, or None where it is not sure, and its probability."""

    label: str | None
    confidence: float


class Perceiver(Protocol):
    """Reads the groups that pictures show."""

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The groups of every attribute that it reads, by attribute."""
        ...

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """One reading per picture for every attribute. Pictures are RGB and of any size; none reads as no readings."""
        ...


def people(perceiver: Perceiver, images: Sequence[Image.Image]) -> list[list[Mapping[str, Reading]]]:
    """What counts of each picture, by attribute: one reading of each, or one for each person of a perceiver that tells
    them apart (it has a method `people`)."""
    if apart := getattr(perceiver, "people", None):
        return list(apart(images))
    readings = perceiver.read(images)
    return [[{name: column[k] for name, column in readings.items()}] for k in range(len(images))]


def occupations(perceiver: Perceiver) -> dict[str, str]:
    """What a perceiver calls each occupation that it can tell, by its names: its own and, if it has some, `aliases`."""
    own = {name: name for name in perceiver.groups.get(OCCUPATION, ())}
    aliases: Mapping[str, str] = getattr(perceiver, "aliases", {})
    return own | {name: shown for name, shown in aliases.items() if shown in own}


def open_perceiver(spec: str) -> Perceiver:
    """The perceiver that `spec` names: one of `KINDS`. `ValueError` with the mend if there is none such."""
    kind, _, argument = spec.partition(":")
    if kind in ("clip", "classifier", "trained", "human") and not argument:
        raise ValueError(f"{spec!r} names no model or file; write it as in {kind}:PATH")
    match kind:
        case "pocket" | "judge" if not argument:
            from importlib import import_module

            reader: Perceiver = import_module(f"fair_diffusion.perception.{kind}").load()
            return reader
        case "clip":
            from fair_diffusion.perception.clip import ClipPerceiver

            model, _, phrases = argument.partition(",")
            return ClipPerceiver.load(model, phrases=Path(phrases) if phrases else None)
        case "faces":
            from fair_diffusion.perception.faces import FacePerceiver

            return FacePerceiver.load(several=argument or "largest")
        case "classifier":
            from fair_diffusion.perception.classifier import ClassifierPerceiver

            model, _, labels = argument.partition(",")
            return ClassifierPerceiver.load(model, labels=Path(labels) if labels else None)
        case "trained":
            from fair_diffusion.perception.trained import TrainedPerceiver

            return TrainedPerceiver.load(Path(argument))
        case "human":
            from fair_diffusion.perception.human import HumanLabels

            return HumanLabels.load(Path(argument))
        case "skin_tone":
            from fair_diffusion.perception.skin_tone import SkinTone

            return SkinTone(scale=argument or "monk")
    raise ValueError(f"unknown perceiver {spec!r}; use one of {', '.join(KINDS)}")
