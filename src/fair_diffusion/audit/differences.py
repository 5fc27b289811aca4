"""What differs between the sources of a study: each against one that came before it, by the tests of `comparison`.

Where both have images of the same seeds, the test is the paired one, McNemar's; else that for independent images,
Fisher's. p are corrected over all concepts together, whichever test each had. Exports `comparisons` with its records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from fair_diffusion.audit.pairs import Seeded, paired, seeded_labels
from fair_diffusion.audit.study import Source
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.differences import Difference, compare, compare_paired, corrected

_FIRST = {"plain": 0, "data": 1}
Pairs = list[tuple[Tally, Tally]]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two sources and an attribute; `differences` of every concept and group, the smallest p by Holm first.

    `paired` tells how many of the `concepts` were compared image by image, the two having the same seeds."""

    before: str
    after: str
    attribute: str
    concepts: int
    paired: int
    differences: list[Difference]


def comparisons(
    sources: Sequence[Source], tallies: Sequence[Tally], images: pa.Table | None = None
) -> list[Comparison]:
    """Every source but data against an earlier one that shares concepts: a plain one, else data, else any.

    Of several it is one with the same seeds, else the first. Only concepts that both count in the same groups are
    compared.

    Args:
        sources: in order: what came before stands before.
        tallies: counts of these sources, none without images.
        images: the rows of their images, with seeds where they are known (see `ImageRows.table`).
    """
    parts: dict[str, dict[str, dict[str, Tally]]] = {}
    for tally in tallies:
        parts.setdefault(tally.attribute, {}).setdefault(tally.source, {})[tally.concept] = tally
    seeded = {attribute: seeded_labels(images, attribute) for attribute in parts}
    found = []
    for k, source in enumerate(sources):
        if source.kind == "data":
            continue
        for attribute, part in parts.items():
            own = part.get(source.name, {})
            earlier = [(one.kind, pairs) for one in sources[:k] if (pairs := _shared(part.get(one.name, {}), own))]
            if earlier:
                labels = seeded[attribute]
                _, pairs = min(earlier, key=lambda one: _preference(one[0], one[1], labels))
                found.append(_comparison(pairs, labels))
    return found


def _preference(kind: str, pairs: Pairs, seeded: Seeded) -> tuple[int, bool]:
    """The lower, the rather it is compared with: by kind, then by whether some concept shares its seeds."""
    return _FIRST.get(kind, len(_FIRST)), not any(paired(before, after, seeded) for before, after in pairs)


def _comparison(pairs: Pairs, seeded: Seeded) -> Comparison:
    rows: list[Difference] = []
    alike = 0
    for before, after in pairs:
        labels = paired(before, after, seeded)
        if labels is None:
            rows += compare([before], [after])
        else:
            alike += 1
            rows += compare_paired({after.concept: labels}, attribute=after.attribute, groups=list(after.counts))
    rows = sorted(corrected(rows), key=lambda row: (row.p_holm, row.p, -abs(row.difference)))
    first, second = pairs[0]
    return Comparison(
        before=first.source,
        after=second.source,
        attribute=second.attribute,
        concepts=len(pairs),
        paired=alike,
        differences=rows,
    )


def _shared(before: Mapping[str, Tally], after: Mapping[str, Tally]) -> Pairs:
    """The tallies of both whose concept and groups are the same."""
    return [
        (before[concept], tally)
        for concept, tally in after.items()
        if concept in before and set(before[concept].counts) == set(tally.counts)
    ]
