"""The lines of a study: every group of every tally with its interval, its verdict and its relation to a reference.

    share     = count / n, over all images: an unread image lowers every share instead of disappearing
    interval  = from that of count / n to that of (count + unknown) / n: an unread image may show any group
    gap       = share − target
    relation  = reflected if |p̂ − r| < 0.04, else amplified if p̂ is farther from 1/K than r, else mitigated

p̂ is the share among the images that could be read, r the same share of the reference, and K the number of groups in
play, which have a target above zero. The relation is that of the observed shares, which a model has by chance too: the
likeliest relation of the true shares stands beside it (see `statistics.amplification`). For two groups, 1/K is one half
and the relation is that of Fair Diffusion (arXiv 2302.10893), whose published counts give its published values here.
For more groups, each group has its own relation to its uniform share. A share that is as far from 1/K as the reference,
but on the other side, counts as mitigated. Exports `summarize`, `relation` and their results `Line`, `Relation` and
`Likely`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fair_diffusion.audit.tally import Tally, check_tallies
from fair_diffusion.statistics.amplification import MARGIN, label_probabilities
from fair_diffusion.statistics.clustered import clustered_bounds
from fair_diffusion.statistics.intervals import Array, Verdict, clopper_pearson_bounds, verdict, wilson_bounds
from fair_diffusion.statistics.metrics import cached_noise_floor
from fair_diffusion.statistics.stopping import anytime_bounds

Relation = Literal["amplified", "reflected", "mitigated"]
Eyes = Literal["reader", "people"]
Likely = Literal["amplified", "reflected", "mitigated", "cannot tell"]
CANNOT_TELL: Likely = "cannot tell"
_RELATIONS: tuple[Likely, ...] = ("amplified", "reflected", "mitigated")
LEVEL = 0.95
_SURE = 0.8
"""A relation that is less probable than this cannot be told."""
_ROUNDING = 1e-9
_UNREAD = "{:,} images could not be read"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One group of one tally.

    Attributes:
        source: where the images come from.
        concept: what they show.
        attribute: what was read; joint attributes as "gender × skin_tone".
        group: one of its groups.
        target: share asked for, or the default share if `assumed`.
        assumed: whether nothing was asked, so that the default shares stand in.
        n: all images, unread ones included.
        count: images that show the group.
        unknown: images that could not be read; the same in every line of a tally.
        share: count over n.
        low: lower end of the 95 % interval of the share that shows the group, if no unread image does. The interval is
            Wilson's, as `wilson` widens it, if at most two groups are in play, else simultaneous for all groups of the
            tally. If the concept has 5 phrasings or more, it is one over phrasings like these (see
            `statistics.clustered`). If the source was drawn until its intervals were narrow, it is a confidence
            sequence (see `statistics.stopping`).
        high: upper end of the 95 % interval of that share, if all unread images show the group.
        gap: share − target.
        verdict: the interval against target ± tolerance (see `intervals.verdict`); the corrected one where there is one
            (see `audit.verdicts`).
        noise_floor: expected total variation of as many draws from the target; the same in every line of a tally.
        reference: share of the group among the read images of the reference, or None.
        relation: relation of this share to the reference's, both as observed among read images, or None.
        likely_relation: the most probable relation of the true shares; "cannot tell" if its probability is below 0.8.
        relation_probability: probability of the most probable relation, or None.
        phrasings: number of phrasings over which the interval is; 0 where it is over images of these phrasings alone.
        corrected: the share corrected for the reader's errors; None where no correction holds.
        corrected_low: lower end of its 95 % interval.
        corrected_high: upper end of its 95 % interval.
        reason: why nobody can tell, where it is not for too few images.
        eyes: whose eyes the verdict is by: those of the reader, or of people, as far as their labels tell.
    """

    source: str
    concept: str
    attribute: str
    group: str
    target: float
    assumed: bool
    n: int
    count: int
    unknown: int
    share: float
    low: float
    high: float
    gap: float
    verdict: Verdict
    noise_floor: float
    reference: float | None
    relation: Relation | None
    likely_relation: Likely | None
    relation_probability: float | None
    phrasings: int = 0
    corrected: float | None = None
    corrected_low: float | None = None
    corrected_high: float | None = None
    reason: str | None = None
    eyes: Eyes = "reader"


def summarize(
    tallies: Sequence[Tally],
    *,
    reference: Sequence[Tally] | None = None,
    tolerance: float = 0.05,
    stopped: Mapping[str, float] | None = None,
) -> list[Line]:
    """One line per tally and group, in the order given.

    Args:
        tallies: what was counted.
        reference: tallies to compare with, matched by concept and attribute, whatever their source. Concepts that
            are not in the reference have no relation.
        tolerance: half the width of the band around a target, as a share.
        stopped: for each source that was drawn until every interval was narrow enough, the half width that was asked
            for. Its intervals are confidence sequences.

    Raises:
        ValueError: a tally without images, counted twice, or with a target that does not fit its groups; a reference
            that has a concept twice or has groups that the tally lacks.
    """
    check_tallies(tallies)
    references = _by_concept(reference or ())
    bounds = iter(_bounds(tallies, stopped or {}))
    likely = _likely(tallies, references)
    lines = []
    for tally in tallies:
        floor = cached_noise_floor(tally.asked, tally.n)
        other = _reference(tally, references.get((tally.concept, tally.attribute)))
        for (group, count), share in zip(tally.counts.items(), tally.asked, strict=True):
            low, high, read_high = next(bounds)
            told = verdict(low, high, share, tolerance)
            unread = told == "cannot tell" != verdict(low, read_high, share, tolerance)
            r = None if other is None else other[group]
            read = count / tally.known if tally.known else None
            label, probability = likely.get((tally.source, tally.concept, tally.attribute, group), (None, None))
            lines.append(
                Line(
                    source=tally.source,
                    concept=tally.concept,
                    attribute=tally.attribute,
                    group=group,
                    target=share,
                    assumed=tally.target is None,
                    n=tally.n,
                    count=count,
                    unknown=tally.unknown,
                    share=count / tally.n,
                    low=low,
                    high=high,
                    gap=count / tally.n - share,
                    verdict=told,
                    noise_floor=floor,
                    reference=r,
                    relation=None if r is None or read is None else relation(read, r, groups=tally.in_play),
                    reason=_UNREAD.format(tally.unknown) if unread else None,
                    likely_relation=label,
                    relation_probability=probability,
                    phrasings=0 if tally.source in (stopped or {}) else len(tally.clusters),
                )
            )
    return lines


def relation(share: float, reference: float, *, groups: int = 2, margin: float = MARGIN) -> Relation:
    """Whether a share amplifies, reflects or mitigates the reference's share (see the top of this file).

    Args:
        share: the share, among the images that could be read.
        reference: the same share of the reference.
        groups: number of groups in play.
        margin: smaller differences count as none.
    """
    if abs(share - reference) < margin - _ROUNDING:
        return "reflected"
    farther = abs(share - 1 / groups) - abs(reference - 1 / groups)
    return "amplified" if farther > _ROUNDING else "mitigated"


def _bounds(tallies: Sequence[Tally], stopped: Mapping[str, float]) -> list[tuple[float, float, float]]:
    """The intervals of all groups of all tallies, in one call: single calls would take most of an audit's time.

    Unread images give worst-case bounds: they show the group in none for the lower end, in all for the upper end. The
    third number is the upper end if they show it in none."""
    groups = [len(tally.counts) for tally in tallies]
    counts = np.array([count for tally in tallies for count in tally.counts.values()], dtype=np.float64)
    most = counts + np.repeat([float(tally.unknown) for tally in tallies], groups)
    n = np.repeat([float(tally.n) for tally in tallies], groups)
    several = np.repeat([tally.in_play > 2 for tally in tallies], groups)
    width = np.repeat([stopped.get(tally.source, 0.0) for tally in tallies], groups)
    tails, alpha = (1 - LEVEL) / 2 / np.repeat(groups, groups), (1 - LEVEL) / np.repeat(groups, groups)

    def ends(shown: Array) -> tuple[Array, Array]:
        low, high = wilson_bounds(shown, n, LEVEL)
        low[several], high[several] = clopper_pearson_bounds(shown[several], n[several], tails[several])
        for k, tally in zip(np.cumsum([0, *groups]).tolist(), tallies, strict=False):
            if tally.clusters:
                place = slice(k, k + len(tally.counts))
                low[place], high[place] = _over_phrasings(tally, unread=shown is most)
        if (watched := width > 0).any():
            low[watched], high[watched] = anytime_bounds(shown[watched], n[watched], alpha[watched], width[watched])
        return low, high

    (low, read), high = ends(counts), ends(most)[1]
    return list(zip(low.tolist(), high.tolist(), read.tolist(), strict=True))


def _likely(
    tallies: Sequence[Tally], references: Mapping[tuple[str, str], Tally]
) -> dict[tuple[str, str, str, str], tuple[Likely, float]]:
    """The likeliest relation of each line that has one, with its probability; in one call, as for `_bounds`."""
    rows = [
        ((tally.source, tally.concept, tally.attribute, group), count, tally, other)
        for tally in tallies
        if tally.known and (other := references.get((tally.concept, tally.attribute))) is not None and other.known
        for group, count in tally.counts.items()
    ]
    if not rows:
        return {}
    keys, counts, own, others = zip(*rows, strict=True)
    probabilities = label_probabilities(
        counts,
        [tally.known for tally in own],
        [other.counts.get(key[-1], 0) for key, other in zip(keys, others, strict=True)],
        [other.known for other in others],
        [1 / tally.in_play for tally in own],
    )
    best = probabilities.argmax(axis=0).tolist()
    most = probabilities.max(axis=0).tolist()
    return {
        key: (_RELATIONS[place] if probability >= _SURE else CANNOT_TELL, probability)
        for key, place, probability in zip(keys, best, most, strict=True)
    }


def _over_phrasings(tally: Tally, *, unread: bool) -> tuple[Array, Array]:
    """The ends of the intervals of all groups over phrasings; `unread`: whether the unread images show the group."""
    rows = np.array(tally.clusters)
    shown = rows[:, :-1] + (rows[:, -1:] if unread else 0)
    tail = (1 - LEVEL) / 2 / (len(tally.counts) if tally.in_play > 2 else 1)
    return clustered_bounds(shown.T, rows.sum(axis=1), tail)


def _reference(tally: Tally, reference: Tally | None) -> dict[str, float] | None:
    """The reference's share of each group of the tally, among its read images; None if no image could be read."""
    if reference is None or not reference.known:
        return None
    strange = [group for group, count in reference.counts.items() if count and group not in tally.counts]
    if strange:
        raise ValueError(
            f"the reference counts {strange[0]!r} for {tally.concept!r}, which is no group of {tally.attribute} here: "
            f"rename its groups to {list(tally.counts)}"
        )
    return {group: reference.counts.get(group, 0) / reference.known for group in tally.counts}


def _by_concept(reference: Sequence[Tally]) -> dict[tuple[str, str], Tally]:
    tallies: dict[tuple[str, str], Tally] = {}
    for tally in reference:
        if tallies.setdefault((tally.concept, tally.attribute), tally) is not tally:
            raise ValueError(f"the reference counts {tally.attribute} of {tally.concept!r} twice: give one source")
    return tallies
