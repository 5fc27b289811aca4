"""The former pictures of images that were made again: of an image that is given up, the best one is delivered.

A later try is not always a better one: more strength can blur what the first try showed, and a new seed may show the
old group. Exports `FormerTries` and `FormerTry`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fair_diffusion.control.order import Shown
from fair_diffusion.control.seen import Read
from fair_diffusion.policy import Assignment, Attributes


@dataclass(frozen=True)
class FormerTry:
    """One picture of an image.

    Attributes:
        shown: the picture and how it was made.
        read: what was read in it, probabilities (groups,) by attribute.
        meant: the groups that it was meant to show, by attribute.
    """

    shown: Shown
    read: Read
    meant: Assignment


class FormerTries:
    """The former pictures of an order's images.

    Args:
        defined: the definitions of the attributes.
        seen: translates what was read in a picture into what people would see, from the reading and what it was meant
            to show.
    """

    def __init__(self, defined: Attributes, seen: Callable[[Read, Assignment], Read]) -> None:
        self._defined, self._seen = defined, seen
        self._tries: dict[int, list[FormerTry]] = {}

    def add(self, image: int, former: FormerTry) -> None:
        """Keep a picture that another one replaces."""
        self._tries.setdefault(image, []).append(former)

    def better(self, image: int, now: FormerTry, assigned: Assignment) -> FormerTry | None:
        """The former picture that most probably shows `assigned`; None if the present one is at least as probable."""
        best = max(self._tries.get(image, []), key=lambda one: self._probability(one, assigned), default=None)
        if best is None or self._probability(best, assigned) <= self._probability(now, assigned):
            return None
        return best

    def _probability(self, one: FormerTry, assigned: Assignment) -> float:
        """The probability that a picture shows these groups. Attributes count as independent, given the picture."""
        read = self._seen(one.read, one.meant)
        return float(
            np.prod([read[name][self._defined[name].group_names.index(group)] for name, group in assigned.items()])
        )
