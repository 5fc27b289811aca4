"""Readers that are no better than chance, by the labels of a calibration: nothing can correct what they read."""

from __future__ import annotations

import numpy as np

from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.perception.reader_calibration import ReaderCalibration
from fair_diffusion.statistics.informedness import informedness


def no_better_than_chance(found: Calibration) -> list[str]:
    """A warning for each reader and attribute whose informedness may be 0, with the mend."""
    return [said for each in found.readers if (said := _warning(each))]


def _warning(each: ReaderCalibration) -> str | None:
    """The groups count that people saw in an image with a reading; with less than two nothing can be told."""
    counts = np.asarray(each.counts, dtype=np.float64)[:-1, :-1]
    met = counts.sum(axis=1) > 0
    if met.sum() < 2:
        return None
    counts = np.hstack([counts[met][:, met], counts[met][:, ~met]])
    value, (low, high) = informedness(counts)
    if low > 0:
        return None
    groups = [group for group, has in zip(each.groups, met, strict=True) if has]
    told = ", ".join(f"{group} {count:.0f}" for group, count in zip(groups, counts.sum(axis=1), strict=True))
    return (
        f"the {each.reader} of {each.model} is no better than chance at {each.attribute.replace('_', ' ')}, as far as "
        f"these labels tell (informedness {value:.2f}, {low:.2f} to {high:.2f}; 0 is chance; labels: {told}). Such "
        f"readings cannot be corrected: label more images of each group, and if it stays so take another {each.reader}"
    )
