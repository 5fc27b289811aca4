"""Deliveries of a study: of each source and attribute with quotas, how many images show each group beside them.

Over several concepts, counts and quotas are summed; how many concepts are as asked is told beside. Exports `deliveries`
and its result `SourceDelivery`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fair_diffusion.audit.corrections import Correction
from fair_diffusion.audit.delivery import Delivery, delivery
from fair_diffusion.audit.study import Quota, Study
from fair_diffusion.audit.tally import Tally


@dataclass(frozen=True, kw_only=True)
class SourceDelivery:
    """One source and attribute.

    Attributes:
        source: where the images come from.
        concepts: number of concepts with quotas.
        met: concepts of which the images meet their quotas, by the counts of the judge.
        missed: concepts of which they miss them.
        whole: the images of all these concepts together.
    """

    source: str
    concepts: int
    met: int
    missed: int
    whole: Delivery


def deliveries(
    tallies: Sequence[Tally], corrections: Sequence[Correction], study: Study, *, tolerance: float
) -> list[SourceDelivery]:
    """The deliveries of a study, by source and attribute in order of first appearance.

    Args:
        tallies: what was counted.
        corrections: those that hold say whose errors are known.
        study: quotas, confusion matrices, and what was done to the images.
        tolerance: half the width of the band around a quota, as a share of the images.
    """
    counted = {(one.source, one.concept, one.attribute): one for one in tallies}
    parts: dict[tuple[str, str], list[tuple[Quota, Tally]]] = {}
    for quota in study.quotas:
        tally = counted.get((quota.source, quota.concept, quota.attribute))
        if tally is not None and set(quota.counts) <= set(tally.counts):
            parts.setdefault((quota.source, quota.attribute), []).append((quota, tally))
    disputed = {
        (one.source, one.concept, one.attribute): Counter[str | None](dict(one.counts)) for one in study.disputed
    }
    holding = {(one.source, one.attribute) for one in corrections if one.groups}
    looked_at = {source.name: source.selection.get("looked_at") or None for source in study.sources}
    made = []
    for (source, attribute), own in parts.items():
        single = [
            delivery(
                attribute,
                _asked(quota, tally),
                tally.counts,
                unread=tally.unknown,
                disputed=disputed.get((source, tally.concept, attribute)),
                tolerance=tolerance,
            )
            for quota, tally in own
        ]
        asked, shown = Counter[str](), Counter[str]()
        differ = [disputed.get((source, tally.concept, attribute)) for _, tally in own]
        for quota, tally in own:
            asked.update(_asked(quota, tally))
            shown.update(tally.counts)
        matrices = [one for one in study.confusions if one.attribute == attribute and source in one.sources]
        n = sum(tally.n for _, tally in own)
        known = looked_at.get(source)
        whole = delivery(
            attribute,
            dict(asked),
            dict(shown),
            unread=sum(tally.unknown for _, tally in own),
            looked_at=known if known is not None and known >= n else None,
            confusion=matrices[0] if (source, attribute) in holding else None,
            disputed=sum((one for one in differ if one), Counter[str | None]()) if None not in differ else None,
            tolerance=tolerance,
        )
        made.append(
            SourceDelivery(
                source=source,
                concepts=len(own),
                met=sum(one.verdict == "meets" for one in single),
                missed=sum(one.verdict == "misses" for one in single),
                whole=whole,
            )
        )
    return made


def _asked(quota: Quota, tally: Tally) -> dict[str, int]:
    """The quotas of all groups of a tally."""
    return {group: quota.counts.get(group, 0) for group in tally.counts}
