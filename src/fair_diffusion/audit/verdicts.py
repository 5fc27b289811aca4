"""Verdicts on the process behind a tally, where it is known how its reader errs.

Shares are as read. Where a correction for the reader's errors holds, the verdict is that of the corrected interval.
Where it does not, the reader errs here in ways that nobody has measured, and only a wide miss can be told:

    the readers disagree more than their errors explain     the images that they read differently may show any group
    the readings contradict the matrix, and the like        the interval is as read

If a share is outside its target's band even so, the verdict is "misses"; else it is "cannot tell", with the reason.
Where people labelled enough images of a concept, the verdict is by the interval of the share that they would see, which
holds whatever errors the reader makes. It is then by people's eyes, as it is where people's labels gave the matrix.
Corrected intervals and people's do not hold for a source that was drawn until its intervals were narrow, nor for a
concept in several phrasings: such verdicts are as read. Exports `doubted`, which says which corrections do not hold,
`judged` and `seen_by_people`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fair_diffusion.audit.corrections import Corrected, Correction, corrected, of_groups
from fair_diffusion.audit.lines import LEVEL, Line, summarize
from fair_diffusion.audit.predictions import Predicted, predicted
from fair_diffusion.audit.study import Disputed, Study
from fair_diffusion.audit.tally import Tally, by_source_and_attribute
from fair_diffusion.audit.transfer import DISAGREE, doubt
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.statistics.intervals import verdict
from fair_diffusion.statistics.true_counts import explained_disagreement

CONTRADICTS = "the readings contradict what is known of the reader's errors"
Place = tuple[str, str]
"""Source and attribute."""


def doubted(corrections: Sequence[Correction], tallies: Sequence[Tally], study: Study) -> list[Correction]:
    """The corrections, without those that something speaks against (see `audit.transfer`); `refused` says what.

    Args:
        corrections: those of `tallies`.
        tallies: what was counted.
        study: how the readers err, and where they disagree.
    """
    counted = by_source_and_attribute(tallies)
    return [_doubted(one, counted[one.source, one.attribute], study) if one.groups else one for one in corrections]


def judged(
    lines: Sequence[Line],
    tallies: Sequence[Tally],
    corrections: Sequence[Correction],
    study: Study,
    *,
    tolerance: float,
) -> list[Line]:
    """The lines with the verdicts that the errors of their readers allow, in the same order.

    Args:
        lines: every share of `tallies`, with the verdict of the share as read.
        tallies: what was counted.
        corrections: as `doubted` gives them.
        study: how the readers err, and where they disagree.
        tolerance: half the width of the band around a target, as a share.
    """
    stopped = {source.name for source in study.sources if source.stopped is not None}
    by_place = {(one.source, one.attribute): one for one in corrections if one.source not in stopped}
    by_tally = {(tally.source, tally.concept, tally.attribute): tally for tally in tallies}
    disputed = {(one.source, one.concept, one.attribute): one for one in study.disputed}
    made: dict[tuple[str, str, str], dict[str, Line]] = {}
    for line in lines:
        made.setdefault((line.source, line.concept, line.attribute), {})[line.group] = line
    for key, own in made.items():
        correction = by_place.get((key[0], key[2]))
        if correction is not None and not (correction.groups and by_tally[key].clusters):
            made[key] = _judged(own, by_tally[key], correction, study, disputed.get(key), tolerance)
    return [made[line.source, line.concept, line.attribute][line.group] for line in lines]


def seen_by_people(lines: Sequence[Line], tallies: Sequence[Tally], study: Study, *, tolerance: float) -> list[Line]:
    """The lines, with the verdicts of people's eyes where their labels of these images tell, in the same order.

    Args:
        lines: every share of `tallies`, as `judged` gives them.
        tallies: what was counted.
        study: with the labels.
        tolerance: half the width of the band around a target, as a share.
    """
    stopped = {source.name for source in study.sources if source.stopped is not None}
    labels = {(one.source, one.concept, one.attribute): one for one in study.labelled}
    seen: dict[tuple[str, str, str, str], Predicted] = {}
    for tally in tallies:
        key = tally.source, tally.concept, tally.attribute
        if key in labels and tally.source not in stopped and not tally.clusters:
            # Intervals of more than two groups hold together, as those of the reader's shares do.
            level = LEVEL if tally.in_play < 3 else 1 - (1 - LEVEL) / len(tally.counts)
            seen.update(((*key, one.group), one) for one in predicted(tally, labels[key], level=level))
    found = []
    for line in lines:
        share = seen.get((line.source, line.concept, line.attribute, line.group))
        if share is not None:
            word = verdict(share.low, share.high, line.target, tolerance)
            line = replace(line, verdict=word, eyes="people", reason=None)
        found.append(line)
    return found


def _doubted(correction: Correction, tallies: Sequence[Tally], study: Study) -> Correction:
    confusion = _matrix(study.confusions, correction)
    known = {*confusion.groups, *confusion.left_out}
    fitting = [tally for tally in tallies if set(tally.counts) == known]
    others = [one for one in study.perceived_confusions if _fits(one, correction)]
    compared = {one.concept: one for one in study.disputed if (one.source, one.attribute) == _place(correction)}
    differ = None
    if len(others) == 1 and all(tally.concept in compared for tally in fitting):
        differ = sum(compared[tally.concept].n for tally in fitting)
    counts = {group: sum(tally.counts[group] for tally in fitting) for group in confusion.groups}
    unread, other = correction.n - sum(counts.values()), others[0] if others else None
    why = doubt(counts, unread, confusion, other=other, differ=differ)
    if why is None:
        return correction
    if why == DISAGREE and differ is not None:
        shares = [one.corrected for one in correction.groups]
        explained = explained_disagreement(shares, confusion.counts, others[0].counts)
        why += f" (on {100 * differ / correction.n:.1f} % of the images; {100 * explained:.1f} % are explained)"
    return replace(correction, groups=[], refused=why)


def _judged(
    lines: Mapping[str, Line],
    tally: Tally,
    correction: Correction,
    study: Study,
    disputed: Disputed | None,
    tolerance: float,
) -> dict[str, Line]:
    """The lines of one tally, by group."""
    why = correction.refused
    shares: dict[str, Corrected] = {}
    if why is None:
        try:
            shares = _corrected(tally, _matrix(study.confusions, correction))
        except ValueError:
            why = CONTRADICTS
    if shares:
        people = _matrix(study.confusions, correction).by_people
        return {group: _by(line, shares.get(group), tolerance, people=people) for group, line in lines.items()}
    reason = DISAGREE if why and why.startswith(DISAGREE) else why
    wide = _wide(tally, disputed) if reason == DISAGREE and disputed else tally
    misses = {line.group for line in summarize([wide], tolerance=tolerance) if line.verdict == "misses"}
    return {
        group: line if group in misses else replace(line, verdict="cannot tell", reason=reason)
        for group, line in lines.items()
    }


def _corrected(tally: Tally, confusion: Confusion) -> dict[str, Corrected]:
    """The corrected shares of a tally, by group; their intervals hold together if more than two groups are in play."""
    if set(tally.counts) != {*confusion.groups, *confusion.left_out}:
        return {}
    level = LEVEL if tally.in_play < 3 else 1 - (1 - LEVEL) / len(confusion.groups)
    return {one.group: one for one in corrected(of_groups(tally, confusion.groups), confusion, level=level)}


def _by(line: Line, share: Corrected | None, tolerance: float, *, people: bool) -> Line:
    """The line with the verdict of its corrected share, if it has one."""
    if share is None:
        return line
    return replace(
        line,
        verdict=verdict(share.low, share.high, line.target, tolerance),
        corrected=share.corrected,
        corrected_low=share.low,
        corrected_high=share.high,
        eyes="people" if people else "reader",
    )


def _wide(tally: Tally, disputed: Disputed) -> Tally:
    """The tally with the images that were read differently as unknown: they may show any group."""
    counts = {group: count - disputed.counts.get(group, 0) for group, count in tally.counts.items()}
    return replace(tally, counts=counts, unknown=tally.n - sum(counts.values()), phrasings=())


def _matrix(confusions: Sequence[Confusion], correction: Correction) -> Confusion:
    """The matrix of a correction."""
    return next(one for one in confusions if _fits(one, correction))


def _fits(confusion: Confusion, correction: Correction) -> bool:
    return confusion.attribute == correction.attribute and correction.source in confusion.sources


def _place(correction: Correction) -> Place:
    return correction.source, correction.attribute
