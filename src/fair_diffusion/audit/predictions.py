"""Shares as people would see them, from their labels of some images and a machine's of all (`prediction_powered`).

One for each source, attribute and concept with labelled images, and where several concepts have some, one over all of
them together, which believes that the labelled images were drawn at random from all. What cannot be told says why.
Exports `predictions` with its records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fair_diffusion.audit.study import Labelled
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.prediction_powered import Predicted, predict


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One source, attribute and concept.

    Attributes:
        source: where the images come from.
        attribute: what was read.
        concept: what they show; None for all concepts of the source together.
        labelled: images that people labelled.
        n: all images, labelled and unread ones included.
        groups: in the order of the attribute; none if it was refused.
        refused: why nothing can be told, or None.
    """

    source: str
    attribute: str
    concept: str | None
    labelled: int
    n: int
    groups: list[Predicted]
    refused: str | None = None


def predictions(tallies: Sequence[Tally], labelled: Sequence[Labelled]) -> list[Prediction]:
    """Those of every concept with labelled images, then of all concepts of a source together, attribute by attribute.

    Args:
        tallies: what the machine read.
        labelled: what people and the machine read in the same images.
    """
    parts: dict[tuple[str, str], dict[str, Labelled]] = {}
    for one in labelled:
        parts.setdefault((one.source, one.attribute), {})[one.concept] = one
    counted: dict[tuple[str, str], list[Tally]] = {}
    for tally in tallies:
        counted.setdefault((tally.source, tally.attribute), []).append(tally)
    found = []
    for key, seen in parts.items():
        own = counted.get(key, [])
        found += [_prediction([tally], [seen[tally.concept]]) for tally in own if tally.concept in seen]
        alike = [tally for tally in own if set(tally.counts) == set(own[0].counts)]
        whole = [seen[tally.concept] for tally in alike if tally.concept in seen]
        if len(whole) > 1:
            found.append(_prediction(alike, whole))
    return found


def _prediction(tallies: Sequence[Tally], labelled: Sequence[Labelled]) -> Prediction:
    groups = labelled[0].groups
    counts = np.sum([one.counts for one in labelled], axis=0)
    names = [*groups, None]
    pairs = [
        (human, machine)
        for i, human in enumerate(names)
        for j, machine in enumerate(names)
        for _ in range(counts[i, j])
    ]
    read = counts.sum(axis=0)
    lines: list[Predicted] = []
    refused = None
    try:
        rest = Tally(
            source=tallies[0].source,
            concept=tallies[0].concept,
            attribute=tallies[0].attribute,
            counts={g: sum(t.counts.get(g, 0) for t in tallies) - int(read[k]) for k, g in enumerate(groups)},
            unknown=sum(tally.unknown for tally in tallies) - int(read[-1]),
        )
        if min(*rest.counts.values(), rest.unknown) < 0:
            raise ValueError("more images were labelled than counted: label those that were audited")
        lines = predict([human for human, _ in pairs], [machine for _, machine in pairs], rest)
    except ValueError as error:
        refused = str(error)
    return Prediction(
        source=tallies[0].source,
        attribute=tallies[0].attribute,
        concept=tallies[0].concept if len(tallies) == 1 else None,
        labelled=len(pairs),
        n=sum(tally.n for tally in tallies),
        groups=lines,
        refused=refused,
    )
