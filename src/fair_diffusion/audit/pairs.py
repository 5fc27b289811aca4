"""Images of one seed in two sources: what a paired test compares.

A concept is paired where both sources have the very same seeds, each once, and a row for every image that was counted;
where one image is missing, nothing says that the others are alike, and the images pass for independent ones.
Exports `Seeded`, `seeded_labels` and `paired`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa

from fair_diffusion.audit.table import JOINT, joint_labels
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.differences import Labels

Seeded = Mapping[tuple[str, str], Mapping[int, str | None]]
"""The label of every seed, by source and concept; those whose seeds are not all known, each once, are left out."""


def seeded_labels(images: pa.Table | None, attribute: str) -> Seeded:
    """What the rows of images (see `ImageRows.table`) say of one attribute, joint or not."""
    parts = attribute.split(JOINT)
    if images is None or not {"source", "concept", "seed", *parts} <= set(images.column_names):
        return {}
    columns = [images[name].to_pylist() for name in ("source", "concept", "seed")]
    labels = [images[part].to_pylist() for part in parts]
    found: dict[tuple[str, str], dict[int, str | None]] = {}
    spoiled = set()
    for source, concept, seed, label in zip(
        *columns, labels[0] if len(labels) == 1 else joint_labels(*labels), strict=True
    ):
        own = found.setdefault((source, concept), {})
        if seed is None or seed in own:
            spoiled.add((source, concept))
        else:
            own[seed] = label
    return {key: own for key, own in found.items() if key not in spoiled}


def paired(before: Tally, after: Tally, seeded: Seeded) -> tuple[Labels, Labels] | None:
    """The labels of both, seed by seed; None unless both tallies count the images of the same seeds."""
    first, second = (seeded.get((tally.source, tally.concept), {}) for tally in (before, after))
    if not first or first.keys() != second.keys():
        return None
    for tally, labels in ((before, first), (after, second)):
        counted: Counter[str | None] = Counter(dict(tally.counts))
        counted[None] = tally.unknown
        if Counter(labels.values()) != counted:
            return None
    return list(first.values()), [second[seed] for seed in first]
