"""The shares of a stream as people see them, from labels of images that were drawn at random.

The interval on the page is of the images at hand, and a verdict is about the process that drew them. So its interval is
wider: that of the images at 97.5 %, and around each of its ends Wilson's of as many images at 97.5 %, which holds 95 %.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from fair_diffusion.service.label_decisions import DecidedEverywhere, Decision
from fair_diffusion.service.random_share import Shown, random_share
from fair_diffusion.statistics.intervals import Interval, wilson

_EACH = 0.975
"""The confidence of each of two intervals that hold together at 95 %."""


class PeoplesShare(NamedTuple):
    """The share of one group, as people see it.

    Attributes:
        share: among the images that can be labelled.
        interval: it holds however often somebody looks at it.
        process: the interval of the share that the process gives, by which a verdict is.
        judged: the share by the judge in all of these images: if those that it cannot read do not show the group, and
            if they do.
    """

    share: float
    interval: Interval
    process: Interval
    judged: Interval

    @property
    def contradicts(self) -> bool:
        """Whether the judge reads a share that people's interval rules out."""
        return self.judged[1] < self.interval[0] or self.interval[1] < self.judged[0]


class PeoplesShares:
    """What people see in the images of a stream.

    A set tells of the pictures that it draws from, and not of those that came later. Sets draw at different rates, so
    one of them tells: that of which most pictures of the stream are labelled. A picture that cannot be told, or on
    which raters are tied, shows no group, as on the pages of labels. One that everybody skipped is left out.

    Args:
        attribute: of the stream; nothing is told of combinations.
        readings: by image of the stream, what the judge reads in it; None if it cannot tell.
        decisions: what people see in pictures; those alone count that were drawn at random.
        definition: by what the stream's definition of the attribute is known.

    Attributes:
        images: how many images these were drawn from.
        labelled: how many images people labelled that were drawn at random.
        skipped: how many of those that were drawn they skipped.
        left_out: how many others they labelled.
    """

    def __init__(
        self,
        attribute: str,
        readings: Mapping[str, str | None],
        decisions: DecidedEverywhere,
        definition: str,
    ) -> None:
        told = decisions.of(attribute, definition)
        drawn_from, shown = set[str](), dict[str, Decision | None]()
        for name, drawn in told.random.items():
            there = readings.keys() & decisions.pictures(name) if name else set(readings)
            known = {file: one for file, one in drawn.items() if file in there}
            if _labelled(known) > _labelled(shown):
                drawn_from, shown = there, known
        self.images, self.labelled = len(drawn_from), _labelled(shown)
        self.skipped = len(shown) - self.labelled
        self.left_out = sum(file in readings and shown.get(file) is None for file in told.every)
        self._read = Counter(readings[file] for file in drawn_from)
        self._shown = [Shown(one.answer if one else None, one is None, readings[file]) for file, one in shown.items()]

    def __call__(self, group: str) -> PeoplesShare | None:
        """The share of a group; None without labels."""
        if not self.labelled:
            return None
        share, interval = random_share(group, self._shown, self._read)
        least = self._read[group] / self.images
        return PeoplesShare(share, interval, self._process(group), (least, least + self._read[None] / self.images))

    def _process(self, group: str) -> Interval:
        _, (low, high) = random_share(group, self._shown, self._read, level=_EACH)
        can_be_labelled = max(1, math.floor(self.images * self.labelled / len(self._shown)))
        least, most = math.floor(low * can_be_labelled), math.ceil(high * can_be_labelled)
        return wilson(least, can_be_labelled, _EACH)[0], wilson(most, can_be_labelled, _EACH)[1]


def _labelled(shown: Mapping[str, Decision | None]) -> int:
    """How many of the pictures that were shown are labelled."""
    return sum(one is not None for one in shown.values())
