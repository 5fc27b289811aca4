"""All numbers of a study, ready to be shown: sources in order, targets where they can be taken over, and what follows.

Exports `Numbers`, `numbers` and `finite`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from fair_diffusion.audit.corrections import Correction, corrections
from fair_diffusion.audit.differences import Comparison, comparisons
from fair_diffusion.audit.fields import by_field
from fair_diffusion.audit.lines import Deviation, Line, deviations, summarize
from fair_diffusion.audit.predictions import Prediction, predictions
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.prediction_powered import Predicted

_KINDS = ("data", "plain", "instructed", "other")
TAKEN_OVER = (
    "{names}: nothing was asked of these images, so their gaps and deviations are measured against the target that "
    "other sources were asked for"
)
STOPPED = "{name}: drawn until every interval was within ±{points:.3g} points; its intervals hold under such stopping"


@dataclass(frozen=True)
class Numbers:
    """`study` with its sources in order of kind and without empty tallies; `reference` is the source compared with."""

    study: Study
    reference: str | None
    tolerance: float
    lines: list[Line]
    deviations: list[Deviation]
    fields: dict[str, list[Deviation]]
    corrections: list[Correction]
    predictions: list[Prediction]
    comparisons: list[Comparison]

    @property
    def predicted(self) -> dict[tuple[str, str, str, str], Predicted]:
        """The share of a line as people would see it, by source, concept, attribute and group, where it can be told."""
        return {
            (one.source, one.concept, one.attribute, group.group): group
            for one in self.predictions
            if one.concept is not None
            for group in one.groups
        }

    def plain(self) -> dict[str, Any]:
        """As plain data for JSON; what is infinite there is None."""

        return {
            "title": self.study.title,
            "sources": [
                asdict(replace(source, facts=dict(source.facts), quality=dict(source.quality)))
                for source in self.study.sources
            ],
            "reference": self.reference,
            "tolerance": self.tolerance,
            "lines": [asdict(line) for line in self.lines],
            "deviations": [finite(asdict(found)) for found in self.deviations],
            "fields": {
                field: {
                    "concepts": [concept for concept, own in self.study.fields.items() if own == field],
                    "deviations": [finite(asdict(one)) for one in found],
                }
                for field, found in self.fields.items()
            },
            "corrections": [asdict(found) for found in self.corrections],
            "predictions": [asdict(found) for found in self.predictions],
            "comparisons": [asdict(found) for found in self.comparisons],
            "notes": list(self.study.notes),
            "broken": list(self.study.broken),
        }


def numbers(
    study: Study, *, images: pa.Table | None = None, reference: str | None = None, tolerance: float = 0.05
) -> Numbers:
    """Summarize `study`.

    Args:
        study: what was counted.
        images: the rows of its images, if there are any: where they tell seeds, tests between sources are paired.
        reference: the source that the others are compared with; by default the one of kind "data", if there is one.
        tolerance: half the width of the band around a target, in share, 0 to 1.

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
    tallies, notes = _measurable(study.tallies, [source.name for source in sources])
    notes += [STOPPED.format(name=s.name, points=100 * s.stopped) for s in sources if s.stopped is not None]
    study = replace(study, sources=sources, tallies=tallies, notes=[*study.notes, *notes])
    base = [tally for tally in tallies if tally.source == reference]
    others = [tally for tally in tallies if tally.source != reference]
    stopped = {source.name: source.stopped for source in sources if source.stopped is not None}
    lines = []
    for part, compared in ((base, None), (others, base or None)):  # a source is not compared with itself
        if part:
            lines += summarize(part, reference=compared, tolerance=tolerance, stopped=stopped)
    order = {(tally.source, tally.concept, tally.attribute): k for k, tally in enumerate(tallies)}
    lines.sort(key=lambda line: order[line.source, line.concept, line.attribute])
    return Numbers(
        study,
        reference,
        tolerance,
        lines,
        deviations(tallies),
        by_field(tallies, study.fields),
        corrections(tallies, study.confusions),
        predictions(tallies, study.labelled),
        comparisons(sources, tallies, images),
    )


def _measurable(tallies: Sequence[Tally], order: Sequence[str]) -> tuple[list[Tally], list[str]]:
    """Tallies by source, empty ones left out, and targets taken over from other sources; with a note on each."""
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


def _with_target(tally: Tally, asked: Sequence[dict[str, float]]) -> Tally:
    """`tally` with the target that the other sources agree on, if it has none and its groups allow it."""
    if tally.target is not None or len(asked) != 1:
        return tally
    target = {group: asked[0].get(group, 0.0) for group in tally.counts}
    return replace(tally, target=target) if math.isclose(sum(target.values()), 1, abs_tol=1e-6) else tally


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for JSON, which knows no infinity and no "not a number": None stands for both."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
