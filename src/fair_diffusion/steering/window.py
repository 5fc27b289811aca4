"""The window of a run in which steering acts: from the look until only details are left.

Both ends are shares of the trajectory, so that runs of few steps have them too.
"""

from __future__ import annotations

from fair_diffusion.models.cards import Card

LOOK = 0.2
"""The share of the trajectory before the look (how early an image can be read: docs/explanation/settings.md)."""


def look_step(steps: int, start: float = LOOK) -> int:
    """The number of steps before the look, which is at the share `start` of the run's steps; at least one."""
    return max(1, round(start * steps))


def steering_start(steps: int, start: float = LOOK) -> int:
    """The step at which steering begins: the look, or 0 in a run of one step, where the look is at the end."""
    look = look_step(steps, start)
    return look if look < steps else 0


def window(steps: int, card: Card) -> tuple[int, int]:
    """The first step at which semantic guidance acts, and the first step at which it no longer acts."""
    start = steering_start(steps, card.start)
    return start, max(start + 1, round(card.end * steps))
