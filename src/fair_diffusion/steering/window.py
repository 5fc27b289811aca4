"""Where in a run steering acts: after the look at what an image would become by itself, and until details are left.

Both ends are shares of the trajectory, so that runs of few steps have them too.
"""

from __future__ import annotations

from fair_diffusion.models.cards import Card

LOOK = 0.2
"""Share of the trajectory that runs plain: see the accuracy of the early perceiver by step in docs/control.md."""


def look_step(steps: int, start: float = LOOK) -> int:
    """How many of the run's steps are plain before the look, which is at the share `start` of them: at least one."""
    return max(1, round(start * steps))


def steering_start(steps: int, start: float = LOOK) -> int:
    """The step at which steering begins: the look. In a run of one step the look is at its end, and this is 0."""
    look = look_step(steps, start)
    return look if look < steps else 0


def window(steps: int, card: Card) -> tuple[int, int]:
    """The first step at which semantic guidance acts mid-way, and the first at which it no longer does."""
    start = steering_start(steps, card.start)
    return start, max(start + 1, round(card.end * steps))
