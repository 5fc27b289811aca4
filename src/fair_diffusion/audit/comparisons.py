"""What differs between the sources of a study: each against the one that came before it, by `comparison.compare`.

A study holds counts and no pairs of images, so the test is the one for independent images, Fisher's. Where two sources
share seeds it is cautious: images that are alike in both make the true spread of a difference smaller than it believes.
Exports `comparisons` with its records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fair_diffusion.audit.comparison import Difference, compare
from fair_diffusion.audit.study import Source
from fair_diffusion.audit.tally import Tally

_FIRST = {"plain": 0, "data": 1}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two sources and an attribute; `differences` of every concept and group, the smallest p by Holm first."""

    before: str
    after: str
    attribute: str
    differences: list[Difference]


def comparisons(sources: Sequence[Source], tallies: Sequence[Tally]) -> list[Comparison]:
    """Every source but data against an earlier one that shares concepts: a plain one, else data, else the first.

    Only concepts that both count in the same groups are compared.

    Args:
        sources: in order: what came before stands before.
        tallies: counts of these sources, none without images.
    """
    parts: dict[tuple[str, str], dict[str, Tally]] = {}
    for tally in tallies:
        parts.setdefault((tally.source, tally.attribute), {})[tally.concept] = tally
    found = []
    for k, source in enumerate(sources):
        if source.kind == "data":
            continue
        earlier = sorted(sources[:k], key=lambda one: _FIRST.get(one.kind, len(_FIRST)))
        for attribute in (attribute for name, attribute in parts if name == source.name):
            own = parts[source.name, attribute]
            for before in earlier:
                shared = _alike(parts.get((before.name, attribute), {}), own)
                if shared:
                    rows = compare(shared, list(own.values()))
                    rows.sort(key=lambda row: (row.p_holm, row.p, -abs(row.difference)))
                    found.append(
                        Comparison(before=before.name, after=source.name, attribute=attribute, differences=rows)
                    )
                    break
    return found


def _alike(before: dict[str, Tally], after: dict[str, Tally]) -> list[Tally]:
    """The tallies of `before` whose concept `after` counts too, in the same groups."""
    return [
        tally
        for concept, tally in before.items()
        if concept in after and set(tally.counts) == set(after[concept].counts)
    ]
