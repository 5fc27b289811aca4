"""Images of the same seeds in two sources, for paired tests.

A concept is paired if both sources have exactly the same seeds, each once, with a row for every image that was counted.
If a row is missing, the images count as independent ones. Exports `Labels`, `Seeded`, `seeded_labels` and `paired`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa

from fair_diffusion.audit.table import JOINT, joint_labels
from fair_diffusion.audit.tally import Tally

Labels = Sequence[str | None]
"""The label of every image in order; None if it could not be read."""

Seeded = Mapping[tuple[str, str], Mapping[int, str | None]]
"""The label of every seed, by source and concept, for those whose seeds are all known and different."""


def seeded_labels(images: pa.Table | None, attribute: str) -> Seeded:
    """The labels of one attribute by seed.

    Args:
        images: one row per image (see `ImageRows.table`), or None.
        attribute: what was read; a joint attribute combines the labels of its parts.
    """
    parts = attribute.split(JOINT)
    if images is None or not {"source", "concept", "seed", *parts} <= set(images.column_names):
        return {}
    columns = [images[name].to_pylist() for name in ("source", "concept", "seed")]
    labels = [images[part].to_pylist() for part in parts]
    by_seed: dict[tuple[str, str], dict[int, str | None]] = {}
    spoiled = set()
    for source, concept, seed, label in zip(
        *columns, labels[0] if len(labels) == 1 else joint_labels(*labels), strict=True
    ):
        own = by_seed.setdefault((source, concept), {})
        if seed is None or seed in own:
            spoiled.add((source, concept))
        else:
            own[seed] = label
    return {key: own for key, own in by_seed.items() if key not in spoiled}


def paired(before: Tally, after: Tally, seeded: Seeded) -> tuple[Labels, Labels] | None:
    """The labels of both tallies, seed by seed; None unless both count the images of the same seeds.

    Args:
        before: the earlier tally.
        after: the later tally.
        seeded: labels by seed, from `seeded_labels`.
    """
    first, second = (seeded.get((tally.source, tally.concept), {}) for tally in (before, after))
    if not first or first.keys() != second.keys():
        return None
    for tally, labels in ((before, first), (after, second)):
        counted: Counter[str | None] = Counter(dict(tally.counts))
        counted[None] = tally.unknown
        if Counter(labels.values()) != counted:
            return None
    return list(first.values()), [second[seed] for seed in first]
