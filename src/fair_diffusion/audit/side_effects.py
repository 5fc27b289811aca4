"""What else moved: how steering changed an attribute that nobody asked to change, image by image.

Each image is compared with its plain twin, which has the same seed, or with its original. Readers err: they sometimes
read two images differently that show the same. So the share that changed counts their errors too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fair_diffusion.statistics.intervals import wilson
from fair_diffusion.statistics.symmetry import bowker_p


@dataclass(frozen=True, kw_only=True)
class SideEffect:
    """How one attribute changed that nobody asked to change.

    Attributes:
        attribute: the attribute.
        steered: the steered images that can be read before and after.
        changed: those of them that show another group.
        low, high: Wilson's 95 % interval of their share; 0 and 1 without steered images.
        p: p value of Bowker's test on the steered images: does every group lose as many images as it gains?
        before, after: the images of each group, of all images that can be read before and after.
        unread: the images that cannot be read before or after.
    """

    attribute: str
    steered: int
    changed: int
    low: float
    high: float
    p: float
    before: Mapping[str, int]
    after: Mapping[str, int]
    unread: int

    @property
    def share(self) -> float:
        """The share of steered images that changed; 0 without steered images."""
        return self.changed / self.steered if self.steered else 0.0

    @property
    def distance(self) -> float:
        """The total variation between the shares before and after."""
        n = sum(self.before.values())
        return sum(abs(self.after[group] - self.before[group]) for group in self.before) / (2 * n) if n else 0.0


def side_effect(
    attribute: str,
    groups: Sequence[str],
    before: Sequence[str | None],
    after: Sequence[str | None],
    steered: Sequence[bool],
) -> SideEffect:
    """How one attribute changed.

    Args:
        attribute: the attribute.
        groups: its groups.
        before: the group of each image without steering; None: unknown.
        after: the group of the same images as they are.
        steered: whether each of them was steered.
    """
    known = [(a, b, by) for a, b, by in zip(before, after, steered, strict=True) if a in groups and b in groups]
    place = {group: k for k, group in enumerate(groups)}
    table = np.zeros((len(groups), len(groups)), dtype=np.int64)
    for a, b, by in known:
        table[place[str(a)], place[str(b)]] += by
    n = int(table.sum())
    changed = n - int(np.trace(table))
    low, high = wilson(changed, n) if n else (0.0, 1.0)
    first, second = Counter(a for a, _, _ in known), Counter(b for _, b, _ in known)
    return SideEffect(
        attribute=attribute,
        steered=n,
        changed=changed,
        low=low,
        high=high,
        p=bowker_p(table),
        before={group: first[group] for group in groups},
        after={group: second[group] for group in groups},
        unread=len(before) - len(known),
    )
