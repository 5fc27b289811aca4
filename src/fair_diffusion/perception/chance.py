"""Readers that are no better than chance, by the labels of a calibration: nothing can correct what they read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.perception.labelled_image import LabelledImage
from fair_diffusion.perception.reader_calibration import ReaderCalibration
from fair_diffusion.statistics.effective_counts import effective_counts
from fair_diffusion.statistics.informedness import informedness


def no_better_than_chance(found: Calibration, labels: Iterable[LabelledImage]) -> list[str]:
    """A warning for each reader and attribute whose informedness may be 0, with the mend.

    A reader that is no better than chance passes without a warning in about 2.5 % of all draws of labels.

    Args:
        found: the calibration.
        labels: of which it was made.
    """
    parts: dict[tuple[str, str, str], list[LabelledImage]] = {}
    for one in labels:
        if one.people is not None and one.read is not None:
            parts.setdefault((one.model, one.reader, one.attribute), []).append(one)
    told = ((each, parts.get((each.model, each.reader, each.attribute), [])) for each in found.readers)
    return [said for each, own in told if (said := _warning(each, own))]


def _warning(each: ReaderCalibration, labels: Sequence[LabelledImage]) -> str | None:
    """The groups count that people saw in an image with a reading; with less than two nothing can be told."""
    people = [one.people for one in labels]
    met = [group for group in each.groups if group in people]
    if len(met) < 2:
        return None
    place = {group: k for k, group in enumerate([*met, *(group for group in each.groups if group not in met)])}
    least = min(one.probability for one in labels)
    counts = effective_counts(
        [place[str(one.people)] for one in labels],
        [place[str(one.read)] for one in labels],
        [least / one.probability for one in labels],
        len(met),
    )
    value, (low, high) = informedness(counts)
    if low > 0:
        return None
    told = ", ".join(f"{group} {people.count(group)}" for group in met)
    return (
        f"the {each.reader} of {each.model} is no better than chance at {each.attribute.replace('_', ' ')}, as far as "
        f"these labels tell (informedness {value:.2f}, {low:.2f} to {high:.2f}; 0 is chance; labels: {told}). Such "
        f"readings cannot be corrected: label more images of each group, and if it stays so take another {each.reader}"
    )
