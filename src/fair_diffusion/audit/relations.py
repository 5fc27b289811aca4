"""What each source makes of the reference: how many shares it amplifies, reflects and mitigates, and by how much.

If two groups are in play, they mirror each other and a concept counts once; else each group in play counts. Exports
`relations` and its result `SourceRelation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fair_diffusion.audit.lines import CANNOT_TELL, Likely, Line
from fair_diffusion.audit.tally import Tally, by_source_and_attribute
from fair_diffusion.statistics.amplification import FEWEST_LEANS, fewest, lean, mean_lean, tails

FEWEST_CONCEPTS = FEWEST_LEANS
"""The least number of concepts with an interval of the mean difference."""


@dataclass(frozen=True, kw_only=True)
class SourceRelation:
    """One source and attribute against the reference.

    Attributes:
        source: where the images come from.
        attribute: what was read.
        concepts: number of concepts that both have read images of.
        shares: number of shares that count: one of each concept, or as many as it has groups in play if these are more
            than two.
        amplified: shares that are amplified with a probability of 0.8 or more.
        reflected: shares that are reflected with that probability.
        mitigated: shares that are mitigated with that probability.
        cannot_tell: all other shares.
        amplified_low: at least as many shares are amplified, whichever they are.
        amplified_high: at most as many shares are amplified; both ends hold together with 95 % confidence.
        difference: share of those groups that the reference shows more than evenly, less their share in the reference;
            the mean over concepts. Above 0 the source amplifies on the whole. None if no concept allows it.
        difference_low: lower end of its 95 % interval over concepts; None for fewer than 100 concepts.
        difference_high: upper end of that interval.
    """

    source: str
    attribute: str
    concepts: int
    shares: int
    amplified: int
    reflected: int
    mitigated: int
    cannot_tell: int
    amplified_low: int
    amplified_high: int
    difference: float | None
    difference_low: float | None
    difference_high: float | None


def relations(lines: Sequence[Line], tallies: Sequence[Tally], reference: Sequence[Tally]) -> list[SourceRelation]:
    """Sum up each source and attribute that shares concepts with the reference, in order of first appearance.

    Args:
        lines: the lines of `tallies`, with their relations.
        tallies: counts of other sources than the reference.
        reference: counts of the reference.
    """
    base = {(tally.concept, tally.attribute): tally for tally in reference if tally.known}
    labels = {(one.source, one.concept, one.attribute, one.group): one.likely_relation for one in lines}
    made = []
    for own in by_source_and_attribute(tallies).values():
        pairs = [
            (tally, base[tally.concept, tally.attribute])
            for tally in own
            if tally.known and (tally.concept, tally.attribute) in base
        ]
        if pairs:
            made.append(_relation(pairs, labels))
    return made


def _relation(
    pairs: Sequence[tuple[Tally, Tally]], labels: Mapping[tuple[str, str, str, str], Likely | None]
) -> SourceRelation:
    """One source and attribute: its tallies, each with that of the reference."""
    counted = [(tally, other, group) for tally, other in pairs for group in _counting(tally)]
    said = Counter(labels[tally.source, tally.concept, tally.attribute, group] for tally, _, group in counted)
    both = tails(
        [tally.counts[group] for tally, _, group in counted],
        [tally.known for tally, _, _ in counted],
        [other.counts.get(group, 0) for _, other, group in counted],
        [other.known for _, other, _ in counted],
        [1 / tally.in_play for tally, _, _ in counted],
    )
    leans = [
        lean(list(tally.counts.values()), [other.counts.get(group, 0) for group in tally.counts], 1 / tally.in_play)
        for tally, other in pairs
    ]
    known = [one for one in leans if one is not None]
    difference, interval = mean_lean(known) if known else (None, None)
    first = pairs[0][0]
    return SourceRelation(
        source=first.source,
        attribute=first.attribute,
        concepts=len(pairs),
        shares=len(counted),
        amplified=said["amplified"],
        reflected=said["reflected"],
        mitigated=said["mitigated"],
        cannot_tell=said[CANNOT_TELL],
        amplified_low=fewest(both.amplified),
        amplified_high=len(counted) - fewest(both.other),
        difference=difference,
        difference_low=interval[0] if interval else None,
        difference_high=interval[1] if interval else None,
    )


def _counting(tally: Tally) -> list[str]:
    """The groups whose shares count: all in play, but of two only the first."""
    playing = [group for group, share in zip(tally.counts, tally.asked, strict=True) if share > 0]
    return playing[:1] if len(playing) == 2 else playing
