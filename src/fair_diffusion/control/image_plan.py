"""The plan for one image under natural-first control. Exports `Plan`."""

from __future__ import annotations

from dataclasses import dataclass, field

from fair_diffusion.control.order import State
from fair_diffusion.policy import Assignment


@dataclass(kw_only=True)
class Plan:
    """The plan for one image.

    Attributes:
        seed: the seed of its noise.
        assigned: the groups that it is to show, by attribute.
        shows: the groups that it showed last, or would show by the look (None: unknown).
        natural: the groups that it would show by itself, as the look reads them (None: unknown).
        natural_confidence: the probability of the most probable group at the look, by attribute.
        held: the groups that it keeps if it is steered, by attribute.
        free: whether it missed its assignment while it was kept at its held groups. From then on it is not kept at
            them, because the target comes first.
        looked: its state at the look; None if it has not come there, or has a new seed.
        steered: whether it is steered on the next stretch.
        level: the lowest level of strength that was not yet tried with this seed and assignment.
        repairs: how often it was made again.
        reseeds: how many repairs began from a new seed.
        evaluations: network evaluations so far.
    """

    seed: int
    assigned: Assignment = field(default_factory=dict)
    shows: dict[str, str | None] = field(default_factory=dict)
    natural: dict[str, str | None] = field(default_factory=dict)
    natural_confidence: dict[str, float] = field(default_factory=dict)
    held: Assignment = field(default_factory=dict)
    free: bool = False
    looked: State | None = None
    steered: bool = False
    level: int = 0
    repairs: int = 0
    reseeds: int = 0
    evaluations: int = 0
