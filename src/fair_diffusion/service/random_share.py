"""The share of a group that people would see, from labels of pictures that were drawn at random.

The pages of labels and of streams tell the same: the share is that among the pictures that can be labelled, and its
interval holds however often somebody looks, whatever the reader says of pictures, skipped ones included
(`statistics.betting`). Of a picture that the reader cannot tell, it is taken to say what it says of the others on
average, because people mostly skip such a picture, or see in it what they see in others. That costs or buys width
alone: the interval holds either way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fair_diffusion.statistics.betting import anytime_share
from fair_diffusion.statistics.intervals import Interval


@dataclass(frozen=True)
class Shown:
    """A picture that was shown to people.

    Attributes:
        said: the group that they see; None if it cannot be told, if raters are tied, or if they skipped it.
        skipped: whether everybody skipped it who saw it.
        reading: what the reader said; None if it cannot tell, or read nothing.
        chance: the probability with which the picture was shown by now, where it is not the same for all.
    """

    said: str | None
    skipped: bool
    reading: str | None
    chance: float = 1.0

    def shows(self, group: str) -> float:
        """1 if people see the group, else 0; NaN if they skipped the picture."""
        return math.nan if self.skipped else float(self.said == group)


def random_share(
    group: str, shown: Sequence[Shown], read: Mapping[str | None, int], *, level: float = 0.95
) -> tuple[float, Interval]:
    """The share of a group among the pictures that can be labelled, with its interval.

    Args:
        group: its name.
        shown: the pictures that were shown, in the order in which they were: a random one.
        read: by what the reader said, how many of all pictures; None are those that it did not tell.
        level: confidence of the interval.
    """
    n = sum(read.values())
    told = n - read.get(None, 0)
    usual = read.get(group, 0) / told if told else 0.0
    machine = [usual if each.reading is None else float(each.reading == group) for each in shown]
    return anytime_share([each.shows(group) for each in shown], machine, usual * n, n, level=level)
