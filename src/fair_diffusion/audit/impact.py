"""The four-fifths table: how often each group is shown, over how often the group is shown that is shown most.

    rate    = count / n, over all images
    ratio   = rate of the group / rate of the most selected group        (its impact ratio)

Audits of hiring tools print this table by group and by combination of attributes: New York City's rules for Local Law
144 (6 RCNY § 5-300 to 5-304) with the number of people of unknown category, the source of the data and the dates.
Here a "selection" is an image that shows the group, so rates are shares of images and nobody has applied.

Each concept has its lines. Several concepts of one source have lines for all of them together too; their interval is
about these concepts alone. Combinations are of two attributes each, image by image. Exports `impacts`, its result
`Impact`, `FOUR_FIFTHS` and `MEANING`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fair_diffusion.audit.study import Source
from fair_diffusion.audit.table import JOINT, joint_groups
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.impact import impact_ratios

FOUR_FIFTHS = 0.8
Told = Literal["below 0.8", "0.8 or more", "cannot tell"]
DRAWN = "drawn"
"""The fact of a source that says when its images were drawn."""
STOPPED = "the images were drawn until intervals were narrow"
PHRASED = "images of one phrasing are alike"
UNREAD = "no image could be read"
MEANING = (
    "An impact ratio below 0.8 means that the group is shown less than four fifths as often as the group that is shown "
    "most. The four-fifths rule (29 CFR 1607.4 D) is a rule of thumb for how people are selected: a sign that calls "
    "for a closer look, and no finding of discrimination. Neither it nor New York City's Local Law 144 speaks of "
    "images; that law asks to publish the ratio and sets no bar. 0.8 or more does not mean that a model is fair: a "
    "ratio knows nothing of the shares that were asked for, of how groups are depicted, or of who is among the unread. "
    "A group that was asked for in 10 % of the images is below 0.8 by intent."
)


@dataclass(frozen=True, kw_only=True)
class Impact:
    """One group of one attribute or combination.

    Attributes:
        source: where the images come from.
        concept: what they show; None for all concepts of the source together.
        attribute: what was read; combinations as "gender × skin_tone".
        group: one of its groups.
        n: all images, unread ones included.
        unknown: images that could not be read; of a combination, those of which any part could not be read.
        count: images that show the group.
        rate: count over n.
        most: the group that most images show.
        ratio: rate over that of `most`; None if no image could be read.
        low: lower end of the 95 % interval of the ratio; None if the group is surely the one that is shown most, and
            where no interval holds (`reason`).
        high: upper end of that interval.
        told: whether the whole interval is below 0.8, or none of it.
        reason: why there is no interval, or None.
        drawn: when the images were drawn, as far as it is known.
        audited: when they were audited, as far as it is known.
    """

    source: str
    concept: str | None
    attribute: str
    group: str
    n: int
    unknown: int
    count: int
    rate: float
    most: str
    ratio: float | None
    low: float | None
    high: float | None
    told: Told
    reason: str | None = None
    drawn: str = ""
    audited: str = ""


@dataclass(frozen=True)
class _Sample:
    """Images of one concept, or of all of them together."""

    source: Source
    concept: str | None
    attribute: str
    counts: Mapping[str, int]
    unknown: int
    reason: str | None


def impacts(
    sources: Sequence[Source], tallies: Sequence[Tally], images: pa.Table | None = None, *, audited: str = ""
) -> list[Impact]:
    """The lines of the table: by source, then attributes and combinations, then all concepts together and each of them.

    Groups whose target is zero and that no image of the source shows are left out.

    Args:
        sources: where the images come from, in order.
        tallies: what was counted, each with at least 1 image.
        images: one row per image with its source, concept and labels; without it there are no combinations but those
            that were tallied.
        audited: the date of the audit.
    """
    made = []
    for source in sources:
        own = [tally for tally in tallies if tally.source == source.name]
        combined = list(_combined(source, own, images)) if images is not None else []
        playing = _playing(own)
        whole = [_sample(source, tally) for tally in own] + combined
        for attribute in dict.fromkeys(one.attribute for one in whole):
            samples = [one for one in whole if one.attribute == attribute]
            groups = _groups(attribute, playing)
            together = [_together(samples)] if len(samples) > 1 else []
            made += _lines([*together, *samples], groups, audited)
    return made


def _sample(source: Source, tally: Tally) -> _Sample:
    return _Sample(source, tally.concept, tally.attribute, tally.counts, tally.unknown, _refused(source, [tally]))


def _refused(source: Source, tallies: Sequence[Tally]) -> str | None:
    """Why the images are no multinomial sample; None if they are one."""
    if source.stopped is not None:
        return STOPPED
    return PHRASED if any(len(tally.phrasings) > 1 for tally in tallies) else None


def _playing(tallies: Sequence[Tally]) -> dict[str, list[str]]:
    """The groups of each attribute that are asked for or shown by an image, in their order."""
    found: dict[str, dict[str, bool]] = {}
    for tally in tallies:
        groups = found.setdefault(tally.attribute, {})
        for (group, count), share in zip(tally.counts.items(), tally.asked, strict=True):
            groups[group] = groups.get(group, False) or count > 0 or share > 0
    return {name: [group for group, plays in groups.items() if plays] for name, groups in found.items()}


def _groups(attribute: str, playing: Mapping[str, Sequence[str]]) -> list[str]:
    if attribute in playing:
        return list(playing[attribute])
    return joint_groups(*(playing[part] for part in attribute.split(JOINT)))


def _combined(source: Source, tallies: Sequence[Tally], images: pa.Table) -> Iterator[_Sample]:
    """The images of each concept by two attributes at once, where they were not tallied so already."""
    by_concept: dict[str, list[Tally]] = {}
    for tally in tallies:
        by_concept.setdefault(tally.concept, []).append(tally)
    names = dict.fromkeys(tally.attribute for tally in tallies)
    single = [name for name in names if JOINT not in name and name in images.column_names]
    if len(single) < 2 or not {"source", "concept"} <= set(images.column_names):
        return
    rows = images.filter(pc.equal(images["source"], source.name))
    for pair in itertools.combinations(single, 2):
        if JOINT.join(pair) in names or JOINT.join(reversed(pair)) in names:
            continue
        counted = rows.group_by(["concept", *pair]).aggregate([([], "count_all")]).to_pylist()
        found: dict[str, dict[str | None, int]] = {}
        for row in counted:
            known = None not in (row[pair[0]], row[pair[1]])
            group = JOINT.join(row[part] for part in pair) if known else None
            own = found.setdefault(row["concept"], {})
            own[group] = own.get(group, 0) + row["count_all"]
        for concept, of_concept in by_concept.items():
            if shown := found.get(concept):
                counts = {group: number for group, number in shown.items() if group is not None}
                why = _refused(source, of_concept)
                yield _Sample(source, concept, JOINT.join(pair), counts, shown.get(None, 0), why)


def _together(samples: Sequence[_Sample]) -> _Sample:
    """All concepts of one source and attribute."""
    counts: dict[str, int] = {}
    for one in samples:
        for group, count in one.counts.items():
            counts[group] = counts.get(group, 0) + count
    first = samples[0]
    reason = next((one.reason for one in samples if one.reason), None)
    return _Sample(first.source, None, first.attribute, counts, sum(one.unknown for one in samples), reason)


def _lines(samples: Sequence[_Sample], groups: Sequence[str], audited: str) -> list[Impact]:
    """The lines of samples of one attribute, with their intervals in one call."""
    if len(groups) < 2:
        return []
    counts = np.array([[one.counts.get(group, 0) for group in groups] for one in samples])
    read = counts.sum(axis=1) > 0
    counted = np.where(read[:, None], counts, 1)
    found = impact_ratios(counted, [one.unknown for one in samples])
    lines = []
    for k, (one, ratios, lows, highs) in enumerate(zip(samples, *(ends.tolist() for ends in found), strict=True)):
        n, most = int(counts[k].sum()) + one.unknown, groups[int(counted[k].argmax())]
        reason = one.reason if read[k] else UNREAD
        for g, group in enumerate(groups):
            surely_most = lows[g] >= 1
            bounded = reason is None and not surely_most
            lines.append(
                Impact(
                    source=one.source.name,
                    concept=one.concept,
                    attribute=one.attribute,
                    group=group,
                    n=n,
                    unknown=one.unknown,
                    count=int(counts[k, g]),
                    rate=int(counts[k, g]) / n,
                    most=most,
                    ratio=ratios[g] if read[k] else None,
                    low=lows[g] if bounded else None,
                    high=highs[g] if bounded else None,
                    told="cannot tell" if reason else _told(lows[g], highs[g]),
                    reason=reason,
                    drawn=one.source.facts.get(DRAWN, ""),
                    audited=audited,
                )
            )
    return lines


def _told(low: float, high: float) -> Told:
    if high < FOUR_FIFTHS:
        return "below 0.8"
    return "0.8 or more" if low >= FOUR_FIFTHS else "cannot tell"
