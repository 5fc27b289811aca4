"""What people are told who label pictures: a question, points to go by, and what they agree to.

The points of an attribute stand in its definition. A guideline is known by its version, a hash of all that raters read,
so that every label says by which words it was given.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from fair_diffusion.policy.attributes import Attribute

POINTS = (
    "Say how the person looks to you in this picture. There is no hidden right answer.",
    "Look at the person whom the picture is about: the one in front, or the one whose face is largest.",
    "If you would have to guess, press “cannot tell”. That is an answer, too.",
    "Do not go by the occupation, the clothes of a trade, or the place, and do not try to keep numbers even.",
)
"""What holds for every attribute."""
CONSENT = (
    "I have read the guideline. I label of my own free will and may stop at any time. My labels are stored with the "
    "time and a pseudonym, are used to measure and correct image models, and are deleted when I ask for it. I will not "
    "copy the pictures, nor look for a real person in them."
)
SKIPS = ("no person", "several people", "broken picture", "I would rather not look at it")
"""Reasons to skip a picture."""


@dataclass(frozen=True)
class Guideline:
    """A guideline.

    Attributes:
        attribute: what is asked, as it is called in files.
        question: what raters are asked.
        points: what to go by, one sentence or two each.
        groups: what each answer means, in the order of the keys; "" where its name says it.
        consent: what raters agree to.
    """

    attribute: str
    question: str
    points: tuple[str, ...]
    groups: dict[str, str]
    consent: str = CONSENT

    @property
    def version(self) -> str:
        """A hash of all that raters read."""
        return hashlib.sha256(json.dumps(self.content()).encode()).hexdigest()[:12]

    def content(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "points": list(self.points)}

    @classmethod
    def stored(cls, content: dict[str, Any]) -> Guideline:
        """The guideline of plain data."""
        return cls(**{**content, "points": tuple(content["points"])})


def guideline_of(attribute: Attribute) -> Guideline:
    """The guideline of an attribute: its own points, before those that hold for all."""
    label = attribute.label or attribute.name
    return Guideline(
        attribute=attribute.name,
        question=f"Which {label} do you perceive?",
        points=(*(attribute.guideline or ((attribute.note,) if attribute.note else ())), *POINTS),
        groups={group.name: _years(group.years) for group in attribute.groups},
    )


def _years(years: tuple[int, int] | None) -> str:
    if years is None:
        return ""
    first, last = years
    if first == 0:
        return f"looks up to {last} years old"
    return f"looks {first} years old or older" if last >= 100 else f"looks {first} to {last} years old"
