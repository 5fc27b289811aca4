"""Differences between the sources of a study: each source is tested against one earlier source.

If both sources have images of the same seeds for a concept, the test is McNemar's for paired images; otherwise it is
Fisher's for independent images. The p values are corrected over all concepts and groups of an attribute together,
whichever test each had: if nothing changed, any of them is below 0.05 at most 5 times of 100. Groups that mirror each
other, such as two groups without unread images, are one test and count once.
Exports `source_differences`, `unpaired_differences`, `paired_differences`, and their results `SourceDifference` and
`Difference`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from fair_diffusion.audit.pairs import Labels, Seeded, paired, seeded_labels
from fair_diffusion.audit.study import Source
from fair_diffusion.audit.tally import Tally, check_tallies
from fair_diffusion.statistics.differences import agreed, benjamini_hochberg, fisher_p, holm, mcnemar_p, newcombe, tango

_FIRST = {"plain": 0, "data": 1}
_Tallies = list[tuple[Tally, Tally]]
"""The tallies of an earlier and a later source, one pair for each concept."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One group of one concept in two sources.

    Attributes:
        concept: what the images show.
        attribute: what was read.
        group: one of its groups.
        test: "Fisher mid-p" or "McNemar mid-p".
        n_before: images of the earlier source, unread ones included.
        n_after: images of the later source, unread ones included.
        before: share of the group in the earlier source.
        after: share of the group in the later source.
        difference: after − before.
        low: lower end of its 95 % interval, which holds for this difference alone. It excludes 0 just where p is below
            0.05.
        high: upper end of its 95 % interval.
        p: two-sided p of this difference alone.
        p_holm: p corrected over concepts and groups by Holm's method.
        p_bh: p corrected over concepts and groups by Benjamini and Hochberg's method.
    """

    concept: str
    attribute: str
    group: str
    test: str
    n_before: int
    n_after: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float = math.nan
    p_bh: float = math.nan


@dataclass(frozen=True, kw_only=True)
class SourceDifference:
    """The differences between two sources in one attribute.

    Attributes:
        before: name of the earlier source.
        after: name of the later source.
        attribute: what was read.
        concepts: number of concepts that were compared.
        paired: number of these concepts that were compared image by image, with the same seeds.
        differences: one for each concept and group, the smallest p by Holm first.
    """

    before: str
    after: str
    attribute: str
    concepts: int
    paired: int
    differences: list[Difference]


def source_differences(
    sources: Sequence[Source], tallies: Sequence[Tally], images: pa.Table | None = None
) -> list[SourceDifference]:
    """Compare every source that is not data with one earlier source.

    The earlier source is a plain one if there is one, else data, else any. Of several, it is one with the same seeds,
    else the first. Only concepts that both sources count in the same groups are compared.

    Args:
        sources: in order, the earlier sources first.
        tallies: counts of these sources.
        images: one row per image, with its seed if it is known (see `ImageRows.table`).

    Raises:
        ValueError: a tally without images, counted twice, or with a target that does not fit its groups.
    """
    check_tallies(tallies)
    by_attribute: dict[str, dict[str, dict[str, Tally]]] = {}
    for tally in tallies:
        by_attribute.setdefault(tally.attribute, {}).setdefault(tally.source, {})[tally.concept] = tally
    seeded = {attribute: seeded_labels(images, attribute) for attribute in by_attribute}
    compared = []
    for k, source in enumerate(sources):
        if source.kind == "data":
            continue
        for attribute, by_source in by_attribute.items():
            own, labels = by_source.get(source.name, {}), seeded[attribute]
            earlier = [
                (one.kind, common) for one in sources[:k] if (common := _common(by_source.get(one.name, {}), own))
            ]
            if earlier:
                _, common = min(earlier, key=lambda one: _preference(one[0], one[1], labels))
                compared.append(_source_difference(common, labels))
    return compared


def _preference(kind: str, common: _Tallies, seeded: Seeded) -> tuple[int, bool]:
    """Sort key of an earlier source, the preferred one first: by kind, then by whether a concept has the same seeds."""
    return _FIRST.get(kind, len(_FIRST)), not any(paired(before, after, seeded) for before, after in common)


def _source_difference(common: _Tallies, seeded: Seeded) -> SourceDifference:
    differences: list[Difference] = []
    same_seeds = 0
    for before, after in common:
        labels = paired(before, after, seeded)
        if labels is None:
            differences += unpaired_differences(before, after)
        else:
            same_seeds += 1
            differences += paired_differences(
                *labels, concept=after.concept, attribute=after.attribute, groups=list(after.counts)
            )
    before, after = common[0]
    return SourceDifference(
        before=before.source,
        after=after.source,
        attribute=after.attribute,
        concepts=len(common),
        paired=same_seeds,
        differences=sorted(_corrected(differences), key=lambda one: (one.p_holm, one.p, -abs(one.difference))),
    )


def _common(before: Mapping[str, Tally], after: Mapping[str, Tally]) -> _Tallies:
    """The tallies of both sources that have the same concept and the same groups."""
    return [
        (before[concept], tally)
        for concept, tally in after.items()
        if concept in before and set(before[concept].counts) == set(tally.counts)
    ]


def unpaired_differences(before: Tally, after: Tally) -> list[Difference]:
    """Compare two tallies of one concept whose images do not share seeds, group by group; p is not yet corrected.

    Args:
        before: the earlier tally.
        after: the later tally, of the same concept, attribute and groups.

    Raises:
        ValueError: a tally without images, or tallies of different concepts, attributes or groups.
    """
    if (before.concept, before.attribute) != (after.concept, after.attribute):
        raise ValueError(
            f"{before.attribute} of {before.concept!r} and {after.attribute} of {after.concept!r} are not the same: "
            "compare tallies of one concept and attribute"
        )
    if set(before.counts) != set(after.counts):
        raise ValueError(
            f"{before.concept!r} has groups {list(before.counts)} before and {list(after.counts)} after: use the same"
        )
    if not (before.n and after.n):
        raise ValueError(f"{before.attribute} of {before.concept!r} has no images: leave it out")
    differences = []
    for group, x in before.counts.items():
        y = after.counts[group]
        p, (low, high) = agreed(fisher_p(x, before.n, y, after.n), newcombe(x, before.n, y, after.n))
        differences.append(
            Difference(
                concept=before.concept,
                attribute=before.attribute,
                group=group,
                test="Fisher mid-p",
                n_before=before.n,
                n_after=after.n,
                before=x / before.n,
                after=y / after.n,
                difference=y / after.n - x / before.n,
                low=low,
                high=high,
                p=p,
            )
        )
    return differences


def paired_differences(
    before: Labels, after: Labels, *, concept: str, attribute: str, groups: Sequence[str]
) -> list[Difference]:
    """Compare the images of one concept in two sources, seed by seed; p is not yet corrected.

    Args:
        before: label of each image of the earlier source; None if it could not be read.
        after: label of each image of the later source, in the same order of seeds.
        concept: what the images show.
        attribute: what was read.
        groups: its groups.

    Raises:
        ValueError: no images, numbers of images that differ, or a label that is no group.
    """
    n = len(before)
    if n != len(after) or n < 1:
        raise ValueError(f"{concept!r} has {n} labels before and {len(after)} after: give both for each seed")
    strange = sorted({label for label in [*before, *after] if label is not None} - set(groups))
    if strange:
        raise ValueError(f"label {strange[0]!r} is no group of {attribute}: use {list(groups)}, or None")
    differences = []
    for group in groups:
        shows = [(a == group, b == group) for a, b in zip(before, after, strict=True)]
        gained, lost, kept = shows.count((False, True)), shows.count((True, False)), shows.count((True, True))
        p, (low, high) = agreed(mcnemar_p(gained, lost), tango(gained, lost, n))
        differences.append(
            Difference(
                concept=concept,
                attribute=attribute,
                group=group,
                test="McNemar mid-p",
                n_before=n,
                n_after=n,
                before=(kept + lost) / n,
                after=(kept + gained) / n,
                difference=(gained - lost) / n,
                low=low,
                high=high,
                p=p,
            )
        )
    return differences


def _corrected(differences: Sequence[Difference]) -> list[Difference]:
    """The differences of one attribute, with p corrected over its concepts and groups.

    Two groups that all images of a concept show one or the other of are one test. A group that no image shows, or every
    image, is none: its p is 1 whatever happened to the others.
    """
    tests: dict[tuple[str, int, int], list[int]] = {}
    for k, one in enumerate(differences):
        before, after = round(one.before * one.n_before), round(one.after * one.n_after)
        if 0 < before + after < one.n_before + one.n_after:
            mirrored = one.concept, one.n_before - before, one.n_after - after
            tests.setdefault(mirrored if mirrored in tests else (one.concept, before, after), []).append(k)
    corrected = [replace(one, p_holm=1.0, p_bh=1.0) for one in differences]
    p = [differences[places[0]].p for places in tests.values()]
    if p:
        for places, p_holm, p_bh in zip(tests.values(), holm(p), benjamini_hochberg(p), strict=True):
            for k in places:
                corrected[k] = replace(differences[k], p_holm=float(p_holm), p_bh=float(p_bh))
    return corrected
