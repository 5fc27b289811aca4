"""Shares that people would see, from their labels of some images and the machine's labels of all images.

There is one prediction for each source, attribute and concept with labelled images. If several concepts have labelled
images, there is one more for all concepts together; it assumes that the labelled images were drawn at random from all
images. If a prediction is refused, the reason is given instead. The estimates are those of
`statistics.prediction_powered`. Exports `predictions` and its results `Prediction` and `Predicted`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fair_diffusion.audit.study import Labelled
from fair_diffusion.audit.tally import Tally, by_source_and_attribute
from fair_diffusion.statistics.prediction_powered import predict


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """One group, from human and machine labels together.

    Attributes:
        group: the group.
        human: its share among the human labels.
        machine: its share among the machine's labels of the other images.
        estimate: its share as people would see it.
        low: lower end of the interval of `estimate`, which holds for this group alone.
        high: upper end of the interval of `estimate`.
        weight: the trust in the machine, 0 to 1: at 0 only the human labels count.
    """

    group: str
    human: float
    machine: float
    estimate: float
    low: float
    high: float
    weight: float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One source, attribute and concept.

    Attributes:
        source: where the images come from.
        attribute: what was read.
        concept: what they show; None for all concepts of the source together.
        labelled: number of images that people labelled.
        n: all images, labelled and unread ones included.
        groups: in the order of the attribute; empty if the prediction was refused.
        refused: why nothing is predicted, or None.
    """

    source: str
    attribute: str
    concept: str | None
    labelled: int
    n: int
    groups: list[Predicted]
    refused: str | None = None


def predictions(tallies: Sequence[Tally], labelled: Sequence[Labelled]) -> list[Prediction]:
    """Predict every concept with labelled images, then all concepts of its source together, attribute by attribute.

    Args:
        tallies: what the machine read.
        labelled: what people and the machine saw in the same images.
    """
    by_concept: dict[tuple[str, str], dict[str, Labelled]] = {}
    for one in labelled:
        by_concept.setdefault((one.source, one.attribute), {})[one.concept] = one
    counted = by_source_and_attribute(tallies)
    made = []
    for key, labels in by_concept.items():
        own = counted.get(key, [])
        made += [_prediction([tally], [labels[tally.concept]]) for tally in own if tally.concept in labels]
        same_groups = [tally for tally in own if set(tally.counts) == set(own[0].counts)]
        whole = [labels[tally.concept] for tally in same_groups if tally.concept in labels]
        if len(whole) > 1:
            made.append(_prediction(same_groups, whole))
    return made


def _prediction(tallies: Sequence[Tally], labelled: Sequence[Labelled]) -> Prediction:
    counts = np.sum([one.counts for one in labelled], axis=0)
    groups: list[Predicted] = []
    refused = None
    try:
        groups = _predicted(tallies, labelled[0].groups, counts.tolist())
    except ValueError as error:
        refused = str(error)
    return Prediction(
        source=tallies[0].source,
        attribute=tallies[0].attribute,
        concept=tallies[0].concept if len(tallies) == 1 else None,
        labelled=int(counts.sum()),
        n=sum(tally.n for tally in tallies),
        groups=groups,
        refused=refused,
    )


def _predicted(tallies: Sequence[Tally], groups: Sequence[str], labelled: Sequence[Sequence[int]]) -> list[Predicted]:
    """Every group of some tallies together; `labelled` counts images by people's and the machine's label, as usual."""
    total, machine = sum(map(sum, labelled)), [sum(column) for column in zip(*labelled, strict=True)]
    rest = [sum(tally.counts.get(group, 0) for tally in tallies) - machine[k] for k, group in enumerate(groups)]
    unknown = sum(tally.unknown for tally in tallies) - machine[-1]
    if min(*rest, unknown) < 0:
        raise ValueError("more images were labelled than counted: label those that were audited")
    predicted = []
    for k, group in enumerate(groups):
        both = labelled[k][k]
        human_only, machine_only = sum(labelled[k]) - both, machine[k] - both
        pairs = (both, human_only, machine_only, total - both - human_only - machine_only)
        share = predict(pairs, rest[k], sum(rest) + unknown)
        predicted.append(Predicted(group=group, **share._asdict()))
    return predicted
