"""All numbers of a study, ready for a report.

The sources are put in order, targets are taken over from other sources where that is possible, and every table of the
audit is computed. Exports `Numbers`, `numbers` and `finite`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from fair_diffusion.audit.corrections import Correction, corrections
from fair_diffusion.audit.deliveries import SourceDelivery, deliveries
from fair_diffusion.audit.deviations import Deviation, deviations
from fair_diffusion.audit.differences import SourceDifference, source_differences
from fair_diffusion.audit.fields import by_field
from fair_diffusion.audit.impact import Impact, impacts
from fair_diffusion.audit.lines import Line, summarize
from fair_diffusion.audit.needed import Needed, needed
from fair_diffusion.audit.predictions import Predicted, Prediction, predictions
from fair_diffusion.audit.relations import SourceRelation, relations
from fair_diffusion.audit.side_effects import SourceSideEffect, source_side_effects
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.audit.verdicts import doubted, judged, seen_by_people
from fair_diffusion.statistics.over_prompts import FEWEST

_KINDS = ("data", "plain", "instructed", "other")
TAKEN_OVER = (
    "{names}: nothing was asked of these images, so their gaps and deviations are measured against the target that "
    "other sources were asked for"
)
STOPPED = (
    "{name}: drawn until every interval was within ±{points:.3g} points. The intervals of its shares hold whenever one "
    "stops. The interval of its mean deviation and “within chance” are made for a fixed number of images; they held "
    "under such stopping in simulations"
)
PHRASED = (
    "{many} with {fewest} phrasings or more: intervals of shares and of mean deviations are over phrasings like these, "
    "since images of one phrasing are alike"
)
FEW_PHRASINGS = (
    "{many} with 2 to {most} phrasings: intervals are over images of these phrasings alone, since the spread of so few "
    "is not known"
)


@dataclass(frozen=True)
class Numbers:
    """All numbers of a study.

    Attributes:
        study: the study, with its sources in order of kind and without empty tallies.
        reference: name of the source that the others are compared with, or None.
        tolerance: half the width of the band around a target, as a share.
        lines: every share.
        deviations: every source and attribute, over all concepts.
        fields: the deviations of each field of concepts.
        corrections: shares corrected for the reader's errors, where the correction holds.
        deliveries: what was delivered beside the quotas, where there were any.
        asked: the tallies that have a target of their own, by source, concept and attribute.
        predictions: shares as people would see them.
        comparisons: tests of each source against an earlier one.
        relations: what each source makes of the reference; empty without one.
        impacts: the four-fifths table, by group and by combination of two attributes.
        side_effects: what else moved: attributes that instructed sources asked nothing of, against plain ones.
    """

    study: Study
    reference: str | None
    tolerance: float
    lines: list[Line]
    deviations: list[Deviation]
    fields: dict[str, list[Deviation]]
    corrections: list[Correction]
    deliveries: list[SourceDelivery]
    asked: frozenset[tuple[str, str, str]]
    predictions: list[Prediction]
    comparisons: list[SourceDifference]
    relations: list[SourceRelation]
    impacts: list[Impact]
    side_effects: list[SourceSideEffect]

    @property
    def predicted(self) -> dict[tuple[str, str, str, str], Predicted]:
        """Predicted shares of lines, by source, concept, attribute and group."""
        return {
            (one.source, one.concept, one.attribute, group.group): group
            for one in self.predictions
            if one.concept is not None
            for group in one.groups
        }

    @property
    def missed(self) -> bool:
        """Whether a share misses a target that was asked of its own images."""
        return any(
            line.verdict == "misses" and (line.source, line.concept, line.attribute) in self.asked
            for line in self.lines
            if line.source != self.reference
        )

    @property
    def needed(self) -> list[Needed]:
        """How many images the verdicts that cannot tell would take."""
        return needed(self.lines, self.tolerance)

    def plain(self) -> dict[str, Any]:
        """The numbers as plain data for JSON; infinite values become None."""
        return {
            "title": self.study.title,
            "sources": [
                asdict(
                    replace(
                        source,
                        facts=dict(source.facts),
                        quality=dict(source.quality),
                        selection=dict(source.selection),
                    )
                )
                for source in self.study.sources
            ],
            "reference": self.reference,
            "tolerance": self.tolerance,
            "lines": [asdict(line) for line in self.lines],
            "deviations": [finite(asdict(one)) for one in self.deviations],
            "fields": {
                field: {
                    "concepts": [concept for concept, own in self.study.fields.items() if own == field],
                    "deviations": [finite(asdict(one)) for one in own_deviations],
                }
                for field, own_deviations in self.fields.items()
            },
            "corrections": [asdict(one) for one in self.corrections],
            "deliveries": [asdict(one) for one in self.deliveries],
            "predictions": [asdict(one) for one in self.predictions],
            "comparisons": [asdict(one) for one in self.comparisons],
            "needed": [asdict(one) for one in self.needed],
            "relations": [asdict(one) for one in self.relations],
            "impacts": [asdict(one) for one in self.impacts],
            "side_effects": [asdict(one) for one in self.side_effects],
            "notes": list(self.study.notes),
            "broken": list(self.study.broken),
        }


def numbers(
    study: Study, *, images: pa.Table | None = None, reference: str | None = None, tolerance: float = 0.05
) -> Numbers:
    """Compute all numbers of a study.

    Args:
        study: what was counted.
        images: one row per image, if there are any. If they have seeds, tests between sources are paired. Without them
            there are no combinations of attributes but those that were tallied.
        reference: name of the source that the others are compared with; by default the source of kind "data", if there
            is exactly one.
        tolerance: half the width of the band around a target, as a share, 0 to 1.

    Raises:
        ValueError: the reference is no source, the tolerance is out of range, or a tally is wrong (see `summarize`).
    """
    if not 0 <= tolerance <= 1:
        raise ValueError(f"tolerance is {tolerance}; give a share from 0 to 1, such as 0.05")
    names = list(dict.fromkeys(tally.source for tally in study.tallies))
    if reference is not None and reference not in names:
        raise ValueError(f"there is no source {reference!r} to compare with; the sources are {', '.join(names)}")
    described = {source.name: source for source in study.sources}
    sources = [described.get(name, Source(name=name)) for name in dict.fromkeys([*described, *names])]
    if reference is not None:
        sources = [replace(source, kind="data") if source.name == reference else source for source in sources]
    data = [source.name for source in sources if source.kind == "data"]
    reference = reference or (data[0] if len(data) == 1 and len(names) > 1 else None)
    sources.sort(key=lambda source: _KINDS.index(source.kind) if source.kind in _KINDS else len(_KINDS))
    unasked = {source.name for source in sources if not source.asked}
    asked = frozenset(
        (tally.source, tally.concept, tally.attribute)
        for tally in study.tallies
        if tally.target is not None and tally.source not in unasked
    )
    tallies, notes = _measurable(study.tallies, [source.name for source in sources])
    notes += _phrasing_notes(tallies, study.unit)
    notes += [STOPPED.format(name=s.name, points=100 * s.stopped) for s in sources if s.stopped is not None]
    study = replace(study, sources=sources, tallies=tallies, notes=[*study.notes, *notes])
    base = [tally for tally in tallies if tally.source == reference]
    others = [tally for tally in tallies if tally.source != reference]
    stopped = {source.name: source.stopped for source in sources if source.stopped is not None}
    lines = []
    for part, compared in ((base, None), (others, base or None)):  # the reference has no relation to itself
        if part:
            lines += summarize(part, reference=compared, tolerance=tolerance, stopped=stopped)
    order = {(tally.source, tally.concept, tally.attribute): k for k, tally in enumerate(tallies)}
    lines.sort(key=lambda line: order[line.source, line.concept, line.attribute])
    made = doubted(corrections(tallies, study.confusions), tallies, study)
    lines = judged(lines, tallies, made, study, tolerance=tolerance)
    lines = seen_by_people(lines, tallies, study, tolerance=tolerance)
    return Numbers(
        study,
        reference,
        tolerance,
        lines,
        deviations(tallies),
        by_field(tallies, study.fields),
        made,
        deliveries(tallies, made, study, tolerance=tolerance),
        asked,
        predictions(tallies, study.labelled),
        source_differences(sources, tallies, images),
        relations(lines, others, base),
        impacts(sources, tallies, images, audited=study.audited),
        source_side_effects(sources, tallies, images, asked),
    )


def _measurable(tallies: Sequence[Tally], order: Sequence[str]) -> tuple[list[Tally], list[str]]:
    """The tallies by source, without empty ones and with targets taken over from other sources; and notes on both."""
    notes = [f"{t.source}: no image of {t.concept!r}, so it is left out" for t in tallies if not t.n]
    kept = sorted((tally for tally in tallies if tally.n), key=lambda tally: order.index(tally.source))
    if not kept:
        raise ValueError("the study counts no images; audit some first")
    asked: dict[tuple[str, str], list[dict[str, float]]] = {}
    for tally in kept:
        if tally.target is not None:
            known = asked.setdefault((tally.concept, tally.attribute), [])
            if dict(tally.target) not in known:
                known.append(dict(tally.target))
    filled = [_with_target(tally, asked.get((tally.concept, tally.attribute), [])) for tally in kept]
    taken = dict.fromkeys(new.source for new, old in zip(filled, kept, strict=True) if new != old)
    return filled, [*notes, *([TAKEN_OVER.format(names=", ".join(taken))] if taken else [])]


def _phrasing_notes(tallies: Sequence[Tally], unit: str) -> list[str]:
    """How intervals take the phrasings of concepts that have several."""
    numbers = {(t.source, t.concept): len(t.phrasings) for t in tallies if t.phrasings}
    enough = sum(number >= FEWEST for number in numbers.values())
    told = ((enough, PHRASED), (len(numbers) - enough, FEW_PHRASINGS))
    return [
        note.format(many=f"{many} {unit}{'s' if many > 1 else ''}", fewest=FEWEST, most=FEWEST - 1)
        for many, note in told
        if many
    ]


def _with_target(tally: Tally, asked: Sequence[dict[str, float]]) -> Tally:
    """The tally with the target of the other sources, if it has none, they agree, and its groups allow it."""
    if tally.target is not None or len(asked) != 1:
        return tally
    target = {group: asked[0].get(group, 0.0) for group in tally.counts}
    return replace(tally, target=target) if math.isclose(sum(target.values()), 1, abs_tol=1e-6) else tally


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for JSON, which has no infinity and no "not a number": None stands for both."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
