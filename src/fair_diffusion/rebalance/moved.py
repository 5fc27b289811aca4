"""One image of a rebalancing, and what became of it. Exports `Moved`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fair_diffusion.policy import Assignment


@dataclass(kw_only=True)
class Moved:
    """One image of a rebalancing.

    Attributes:
        natural: the groups that the original shows, by attribute (None: unknown).
        natural_confidence: the probability of the most probable group, by attribute.
        shows: the groups that the image shows now, by attribute (None: unknown).
        held: the groups of the original that it keeps, by attribute.
        assigned: the groups that it is to show, by attribute.
        picture: the file of the moved picture, in the size of `Original.open`; None if the image is its original.
        attempt: the number of the next attempt with this assignment.
        depth: the depth of the last attempt.
        strength: the strength of the last attempt.
        tries: how often it was moved.
        put_back: whether it was moved and its original then put back.
        evaluations: network evaluations on moving it.
        error: mean absolute pixel difference to the original, in 0…1 at the model's size, after inversion and denoising
            without an edit; None if not measured.
        encoder_error: the same difference after encoding and decoding only.
    """

    natural: dict[str, str | None]
    natural_confidence: dict[str, float]
    shows: dict[str, str | None]
    held: Assignment = field(default_factory=dict)
    assigned: Assignment = field(default_factory=dict)
    picture: Path | None = None
    attempt: int = 0
    depth: float = 0.0
    strength: float = 0.0
    tries: int = 0
    put_back: bool = False
    evaluations: int = 0
    error: float | None = None
    encoder_error: float | None = None

    @classmethod
    def nothing(cls) -> Moved:
        """An image without an assignment."""
        return cls(natural={}, natural_confidence={}, shows={})

    @property
    def misses(self) -> bool:
        """Whether the perceiver is not sure that it shows what is assigned."""
        return self.shows != self.assigned
