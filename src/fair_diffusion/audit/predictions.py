"""Shares that people would see, from their labels of some images and the machine's labels of all images.

There is one prediction for each source, attribute and concept with labelled images. If several concepts have labelled
images, there is one more for all concepts together, in which each concept weighs as much as it has images. It is
refused unless every concept has labels: nothing tells what people would see in the others. If a prediction is refused,
the reason is given instead. The estimates are those of `statistics.prediction_powered`. Where people skipped images
that show nobody, shares are those among the images that can be labelled (`statistics.active`). Exports `predictions`
and its results `Prediction` and `Predicted`, and `predicted`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fair_diffusion.audit.study import Labelled
from fair_diffusion.audit.tally import Tally, by_source_and_attribute
from fair_diffusion.statistics.active import weighted_share
from fair_diffusion.statistics.prediction_powered import (
    FEWEST_EACH,
    FEWEST_IN_ALL,
    Pairs,
    Stratum,
    labels_wanted,
    predict,
    predict_strata,
)

_HALF_WIDTH = 0.05
"""Half the width of the interval that advice on the number of labels aims at."""


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
        made += [_prediction([tally], labels) for tally in own if tally.concept in labels]
        same_groups = [tally for tally in own if set(tally.counts) == set(own[0].counts)]
        if sum(tally.concept in labels for tally in same_groups) > 1:
            made.append(_prediction(same_groups, labels))
    return made


def predicted(tally: Tally, labelled: Labelled, *, level: float = 0.95) -> list[Predicted]:
    """Every group of one tally, as people would see it; empty if their labels do not tell.

    Args:
        tally: what the machine read.
        labelled: what people and the machine saw in the same images.
        level: confidence of each interval, strictly between 0 and 1.
    """
    try:
        return _predicted([tally], [labelled], level)
    except ValueError:
        return []


def _prediction(tallies: Sequence[Tally], labels: Mapping[str, Labelled]) -> Prediction:
    """The prediction for some tallies of one source and attribute together; `labels` are by concept."""
    own = [labels[tally.concept] for tally in tallies if tally.concept in labels]
    groups: list[Predicted] = []
    refused = None
    try:
        groups = _predicted(tallies, own)
    except ValueError as error:
        refused = str(error)
    return Prediction(
        source=tallies[0].source,
        attribute=tallies[0].attribute,
        concept=tallies[0].concept if len(tallies) == 1 else None,
        labelled=sum(_images(one) for one in own),
        n=sum(tally.n for tally in tallies),
        groups=groups,
        refused=refused,
    )


def _predicted(tallies: Sequence[Tally], labelled: Sequence[Labelled], level: float = 0.95) -> list[Predicted]:
    """Every group of some tallies together; `labelled` has those that people labelled, in the same order."""
    few = len(tallies) - sum(_images(one) >= FEWEST_EACH for one in labelled)
    if len(tallies) > 1 and few:
        raise ValueError(_advice(tallies, labelled, few))
    if any(sum(one.skipped) for one in labelled):
        return _where_some_were_skipped(tallies, labelled, level)
    strata = [_strata(tally, one) for tally, one in zip(tallies, labelled, strict=True)]
    found = []
    for group in labelled[0].groups:
        own = [by_group[list(one.groups).index(group)] for by_group, one in zip(strata, labelled, strict=True)]
        share = predict(*own[0], level=level) if len(own) == 1 else predict_strata(own, level=level)
        found.append(Predicted(group=group, **share._asdict()))
    return found


def _where_some_were_skipped(tallies: Sequence[Tally], labelled: Sequence[Labelled], level: float) -> list[Predicted]:
    """Every group of one concept, of which people skipped some images: its share among those that can be labelled."""
    if len(tallies) > 1:
        raise ValueError(
            "people skipped images, and nobody knows how many images of each concept can be labelled: read the shares "
            "of each concept by itself"
        )
    (tally,), (one,) = tallies, labelled
    _strata(tally, one)  # refuses labels of other images
    found, skipped = [], [*one.skipped]
    for k, group in enumerate(one.groups):
        kinds = [*map(int, _pairs(one, k)), int(skipped[k]), int(sum(skipped) - skipped[k])]
        human = np.repeat([1, 1, 0, 0, np.nan, np.nan], kinds)
        machine = np.repeat([1, 0, 1, 0, 1, 0], kinds)
        seen = tally.counts.get(group, 0)
        share = weighted_share(human, machine, np.ones(human.size), seen, int(tally.n), level=level)
        found.append(Predicted(group=group, **share._asdict()))
    return found


def _strata(tally: Tally, one: Labelled) -> list[Stratum]:
    """The labels of one concept and what the machine read in its other images, for each group of `one`."""
    machine = [sum(column) for column in zip(*one.counts, strict=True)]
    rest = [tally.counts.get(group, 0) - machine[k] for k, group in enumerate(one.groups)]
    unknown = tally.unknown - machine[-1]
    if min(*rest, unknown) < 0:
        raise ValueError("more images were labelled than counted: label those that were audited")
    return [Stratum(_pairs(one, k), rest[k], sum(rest) + unknown) for k in range(len(one.groups))]


def _pairs(one: Labelled, k: int) -> Pairs:
    """The labelled images by who saw group `k` in them."""
    both = one.counts[k][k]
    human_only, machine_only = sum(one.counts[k]) - both, sum(row[k] for row in one.counts) - both
    return both, human_only, machine_only, _images(one) - both - human_only - machine_only


def _images(one: Labelled) -> int:
    return sum(map(sum, one.counts))


def _advice(tallies: Sequence[Tally], labelled: Sequence[Labelled], few: int) -> str:
    """Why concepts are not predicted together, and how many labels they want."""
    n = sum(tally.n for tally in tallies)
    wanted = [
        labels_wanted(_sum([_pairs(one, list(one.groups).index(group)) for one in labelled]), n, half_width=_HALF_WIDTH)
        for group in labelled[0].groups
    ]
    each = max(FEWEST_EACH, math.ceil(FEWEST_IN_ALL / len(tallies)))
    said = (
        f"fewer than {FEWEST_EACH} images are labelled of {few} of the {len(tallies)} concepts, and nothing tells what "
        f"people would see in the others: label at least {each} images of each concept, drawn at random"
    )
    if None in wanted:
        return said
    enough = max(each, *(math.ceil((number or 0) / len(tallies)) for number in wanted))
    return f"{said}; about {enough} of each give ±{100 * _HALF_WIDTH:g} points"


def _sum(pairs: Sequence[Pairs]) -> Pairs:
    both, human_only, machine_only, neither = (sum(own) for own in zip(*pairs, strict=True))
    return both, human_only, machine_only, neither
