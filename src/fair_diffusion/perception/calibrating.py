"""A calibration from labels of images that were drawn at random, or with a known probability.

`statistics.pooled_rates` has the equations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.perception.labelled_image import LabelledImage
from fair_diffusion.perception.reader_calibration import ConceptRates, ReaderCalibration, named_concept
from fair_diffusion.policy import Attribute, Attributes
from fair_diffusion.statistics.pooled_rates import pooled_rates, rate_intervals


def calibrated(labels: Iterable[LabelledImage], defined: Attributes) -> Calibration:
    """Make a calibration from labels.

    Args:
        labels: of images drawn at random, or with the probability that each says. Chosen images have no place here.
        defined: the attributes; labels of others, and of groups that they lack, are an error.

    Raises:
        ValueError: there are no labels, or one does not fit its attribute.
    """
    parts: dict[tuple[str, str, str], list[LabelledImage]] = {}
    for one in labels:
        parts.setdefault((one.model, one.reader, one.attribute), []).append(one)
    if not parts:
        raise ValueError("there are no labels to calibrate by: label some of the images")
    return Calibration(readers=[_calibrated(parts[key], defined.attribute(key[2])) for key in sorted(parts)])


def _calibrated(labels: Sequence[LabelledImage], attribute: Attribute) -> ReaderCalibration:
    place: dict[str | None, int] = {group: k for k, group in enumerate((*attribute.group_names, None))}
    concepts = sorted({named_concept(one.concept) for one in labels})
    counts = np.zeros((len(concepts), len(place), len(place)))
    weights = _weights(labels)
    for one, weight in zip(labels, weights, strict=True):
        for group in (one.people, one.read):
            if group not in place:
                raise ValueError(
                    f"{attribute.name} has no group {group!r}; its groups are {list(place)[:-1]}: label by these, or "
                    "give the definition that has it"
                )
        counts[concepts.index(named_concept(one.concept)), place[one.people], place[one.read]] += weight
    found = pooled_rates(counts)
    # As many labels as if all had the largest weight: an error that happens not to be among them may weigh so much.
    low, high = rate_intervals(counts.sum(axis=0) / weights.max())
    numbers = Counter(named_concept(one.concept) for one in labels)
    return ReaderCalibration(
        reader=labels[0].reader,
        model=labels[0].model,
        attribute=attribute.name,
        definition=attribute.digest,
        groups=list(attribute.group_names),
        labels=len(labels),
        guidelines=sorted({one.guideline for one in labels if one.guideline}),
        counts=_rounded(counts.sum(axis=0)),
        rates=_rounded(found.pooled),
        low=_rounded(low),
        high=_rounded(high),
        strengths=_rounded(found.strengths[None])[0],
        concepts={
            name: ConceptRates(labels=numbers[name], rates=_rounded(rates))
            for name, rates in zip(concepts, found.own, strict=True)
            if name
        },
        fingerprint=_fingerprint(labels),
    )


def _fingerprint(labels: Sequence[LabelledImage]) -> str:
    """That of the reader of these images; empty if it is not known of all of them."""
    known = {one.fingerprint for one in labels}
    if len(known - {""}) > 1:
        one = labels[0]
        raise ValueError(
            f"the labelled images of {one.model} were read by {len(known - {''})} different {one.reader}s; "
            "calibrate with the images of one of them"
        )
    return known.pop() if len(known) == 1 else ""


def _weights(labels: Sequence[LabelledImage]) -> NDArray[np.float64]:
    """The weight of each label, 1 / probability, in sum the number of labels that would tell as much by themselves."""
    chance = np.array([one.probability for one in labels], dtype=np.float64)
    if not ((chance > 0) & (chance <= 1)).all():
        raise ValueError("a label has no probability above 0 and up to 1: leave labels of chosen images out")
    weights = chance.min() / chance  # a common factor tells nothing, and 1 / chance may be too large a number
    return np.asarray(weights * weights.sum() / (weights**2).sum())


def _rounded(table: NDArray[np.float64]) -> list[list[float]]:
    """Numbers for a file: twelve digits are the same on every machine."""
    return [[float(f"{value:.12g}") for value in row] for row in table.tolist()]
