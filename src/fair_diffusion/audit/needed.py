"""How many images a study lacks: for verdicts that read "cannot tell" because the images are too few.

Exports `needed` and its result `Needed`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from fair_diffusion.audit.lines import Line
from fair_diffusion.statistics.power import images_to_meet

POWER = 0.8


@dataclass(frozen=True, kw_only=True)
class Needed:
    """The images of one concept that a verdict "meets" takes.

    Attributes:
        target: share asked for.
        groups: number of groups in play; of more than two the intervals are simultaneous, and take more images.
        images: images from which on a process that is exactly on target reads "meets" with probability `POWER`; None if
            a million do not do.
    """

    target: float
    groups: int
    images: int | None


def needed(lines: Sequence[Line], tolerance: float) -> list[Needed]:
    """The images needed for each target of which a line cannot tell for want of images, in order of the targets.

    Args:
        lines: the lines of a study.
        tolerance: half the width of the band around a target, as a share.
    """
    if not tolerance:
        return []
    playing = Counter((line.source, line.concept, line.attribute) for line in lines if line.target > 0)
    cases = {
        (round(line.target, 6), max(2, playing[line.source, line.concept, line.attribute]))
        for line in lines
        if line.verdict == "cannot tell" and line.reason is None and line.target > 0
    }
    return [Needed(target=t, groups=groups, images=_images(t, tolerance, groups)) for t, groups in sorted(cases)]


@lru_cache(maxsize=1024)
def _images(target: float, tolerance: float, groups: int) -> int | None:
    return images_to_meet(target, tolerance, power=POWER, groups=groups)
