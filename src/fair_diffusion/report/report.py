"""The report: a study as one self-contained HTML file, without network and script.

This file prepares what the report shows, and `templates/report.html.j2` lays it out. Exports `report`.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from fair_diffusion.audit.corrections import Correction
from fair_diffusion.audit.differences import SourceDifference
from fair_diffusion.audit.impact import MEANING, Impact
from fair_diffusion.audit.lines import Line
from fair_diffusion.audit.needed import POWER
from fair_diffusion.audit.numbers import Numbers
from fair_diffusion.audit.study import Sample, Source, Study
from fair_diffusion.files.guarded import Readable
from fair_diffusion.files.pictures import BrokenPicture, jpeg_uri, open_picture
from fair_diffusion.report.delivered import of_study, reasons, refusals, selections
from fair_diffusion.report.dumbbell import dumbbells, shown
from fair_diffusion.report.headline import headlines, short, spoken
from fair_diffusion.report.heat import heat
from fair_diffusion.report.limits import limits
from fair_diffusion.report.page import environment, rendered
from fair_diffusion.report.scatter import scatters

SIDE = 128
SHOWN = 24
"""Largest number of pictures per source in the contact sheet."""
SIGNIFICANT = 0.05
"""A p by Holm's method below this value counts as a difference."""

_SHAPES = 6
_COLOURS = {"data": 0, "plain": 1, "instructed": 2}


def report(found: Numbers) -> str:
    """The numbers of a study as an HTML page. Equal numbers and pictures give the same bytes."""
    templates = environment()
    templates.filters.update(at=lambda share: f"{100 * share:.2f}%", figure=figure, p=probability, points=points)
    return rendered(templates, "report.html.j2", ("report.css", "plot.css"), _context(found))


def points(gap: float, digits: int = 1) -> str:
    """A difference of shares in points, with its sign: "+7.1", "−7.1", "0.0"."""
    text = f"{100 * gap:+.{digits}f}"
    return text[1:] if not text.strip("+-0.") else text.replace("-", "−")


def figure(value: float | None) -> str:
    """A metric with three decimals; "–" if there is none, "∞" if it is infinite."""
    return "–" if value is None else "∞" if math.isinf(value) else f"{value:.3f}"


def probability(p: float) -> str:
    """A p with three decimals; "< 0.001" if it is smaller."""
    return f"{p:.3f}" if p >= 0.001 else "<\u00a00.001"


def _context(found: Numbers) -> dict[str, Any]:
    study = found.study
    names = [source.name for source in study.sources if any(line.source == source.name for line in found.lines)]
    by = next((name for name in names if name != found.reference), names[0])
    attributes = list(dict.fromkeys(line.attribute for line in found.lines))
    heats, looks = heat(found.lines, names), _looks(study.sources)
    return {
        "found": found,
        "study": study,
        "names": names,
        "looks": looks,
        "colours": {name: f"c{colour}" for name, (colour, _) in looks.items()},
        "attributes": attributes,
        "headlines": headlines(
            found.lines, found.deviations, found.relations, unit=study.unit, reference=found.reference
        ),
        "delivered": [text for attribute in attributes for text in of_study(found, attribute)],
        "selections": selections(found),
        "reasons": reasons(found.lines),
        "by": by,
        "dumbbells": dumbbells(found.lines, names, by=by, tolerance=found.tolerance, fields=study.fields),
        "heats": heats,
        "lines": {table.attribute: _lines(found, table.attribute, [r.concept for r in table.rows]) for table in heats},
        "changes": _changes(found),
        "significant": SIGNIFICANT,
        "sheets": _sheets(study),
        "predicted": found.predicted,
        "people": [one for one in found.predictions if one.groups],
        "corrected": _corrected(found.corrections),
        "refusals": refusals(found),
        "readers": _readers(study),
        "scatters": scatters(study.sources, found.deviations),
        "facts": list(dict.fromkeys(key for source in study.sources for key in source.facts)),
        "qualities": list(dict.fromkeys(name for source in study.sources for name in source.quality)),
        "costs": any(source.ratio is not None or source.seconds is not None for source in study.sources),
        "power": POWER,
        "impacts": _impacts(found.impacts),
        "impact_meaning": MEANING,
        "limits": limits(found),
        "version": version("fair-diffusion"),
    }


def _looks(sources: Sequence[Source]) -> dict[str, tuple[int, int]]:
    """Colour and shape of each source: the first source of a kind has those of its kind, the others the next free."""
    places: dict[str, int] = {}
    for source in sources:
        k = _COLOURS.get(source.kind)
        if k is not None and k not in places.values():
            places[source.name] = k
    free = (k for k in itertools.count() if k not in set(places.values()))
    return {
        source.name: (k % (_SHAPES - 1), k % _SHAPES)
        for source in sources
        for k in [places[source.name] if source.name in places else next(free)]
    }


def _lines(found: Numbers, attribute: str, concepts: Sequence[str]) -> list[tuple[str, list[Line]]]:
    """The lines of one attribute by concept, in the order of the heat table."""
    own: dict[str, list[Line]] = {concept: [] for concept in concepts}
    for line in found.lines:
        if line.attribute == attribute:
            own[line.concept].append(line)
    return list(own.items())


def _changes(found: Numbers) -> list[dict[str, Any]]:
    """Each comparison with the rows that are shown and how many of them differ; `group` if all rows are of one."""
    changes = []
    for one in found.comparisons:
        groups = shown([line for line in found.lines if line.attribute == one.attribute])
        rows = [row for row in one.differences if row.group in groups] or one.differences
        own = list(dict.fromkeys(row.group for row in rows))
        changes.append(
            {
                "before": one.before,
                "after": one.after,
                "attribute": one.attribute,
                "group": own[0] if len(own) == 1 else None,
                "rows": rows,
                "tested": _tested(one),
                "mixed": 0 < one.paired < one.concepts,
                "differ": sum(row.p_holm < SIGNIFICANT for row in rows),
            }
        )
    return changes


def _tested(one: SourceDifference) -> str:
    """The test of a comparison, in words."""
    if one.paired == one.concepts:
        return "McNemar's mid-p test, paired: image by image of the same seed"
    if not one.paired:
        return "Fisher's mid-p test, unpaired"
    return f"McNemar's mid-p test for the {one.paired} of {one.concepts} with the same seeds, else Fisher's"


def _impacts(lines: Sequence[Impact]) -> list[tuple[str, str, list[Impact]]]:
    """The four-fifths table of each source and attribute: of all concepts together, or of the only one."""
    whole: dict[tuple[str, str], dict[str | None, list[Impact]]] = {}
    for one in lines:
        whole.setdefault((one.attribute, one.source), {}).setdefault(one.concept, []).append(one)
    return [
        (attribute, source, own.get(None) or next(iter(own.values()))) for (attribute, source), own in whole.items()
    ]


def _corrected(corrections: Sequence[Correction]) -> list[tuple[str, list[Correction]]]:
    """The corrections that were made, by attribute."""
    by_attribute: dict[str, list[Correction]] = {}
    for one in corrections:
        if one.groups:
            by_attribute.setdefault(one.attribute, []).append(one)
    return list(by_attribute.items())


def _sheets(study: Study) -> list[dict[str, Any]]:
    """Pictures by source. If there are more than `SHOWN`, that many are drawn at random, at the same places in every
    source."""
    sheets = []
    for source in dict.fromkeys(sample.source for sample in study.samples):
        own = [sample for sample in study.samples if sample.source == source]
        places = sorted(random.Random(0).sample(range(len(own)), min(SHOWN, len(own))))
        pictures = [_picture(own[k]) for k in places]
        sheets.append({"source": source, "of": len(own), "pictures": pictures})
    return sheets


def _picture(sample: Sample) -> dict[str, Any]:
    read = read_as(sample.labels, sample.confidence)
    alt = f"{short(sample.concept)}, {sample.source}: read as {read}"
    return {"uri": _uri(sample.image), "alt": alt, "read": read, "concept": short(sample.concept, 60)}


def read_as(labels: Mapping[str, str | None], confidence: Mapping[str, float]) -> str:
    """What a reader saw, in words, such as "man (0.99), skin tone unknown"."""
    parts = [
        (f"{spoken(name)} unknown" if label is None else label)
        + (f" ({confidence[name]:.2f})" if name in confidence else "")
        for name, label in labels.items()
    ]
    return ", ".join(parts) or "nothing"


def _uri(path: Readable) -> str | None:
    """A picture as a small JPEG in a data URI; None if it cannot be opened."""
    try:
        return jpeg_uri(open_picture(path), SIDE)
    except BrokenPicture:
        return None


def _readers(study: Study) -> list[tuple[str, list[dict[str, Any]]]]:
    """Counts of judge and perceiver side by side, for tallies of both: by concept, one row per group and "unknown"."""
    other = {(t.source, t.concept, t.attribute): t for t in study.perceived}
    rows: dict[str, list[dict[str, Any]]] = {}
    for tally in study.tallies:
        second = other.get((tally.source, tally.concept, tally.attribute))
        if second is None:
            continue
        pairs = [(group, count, second.counts.get(group, 0)) for group, count in tally.counts.items()]
        rows.setdefault(tally.concept, []).extend(
            {
                "source": tally.source,
                "attribute": tally.attribute,
                "group": group,
                "judged": judged,
                "perceived": perceived,
            }
            for group, judged, perceived in [*pairs, ("unknown", tally.unknown, second.unknown)]
        )
    return list(rows.items())
