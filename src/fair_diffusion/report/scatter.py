"""The scatter figure: deviation against quality, one figure per attribute and quality, one dot per source.

Exports `Scatter` and `scatters`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fair_diffusion.audit.deviations import Deviation
from fair_diffusion.audit.study import Source
from fair_diffusion.report.headline import spoken
from fair_diffusion.report.plot import Plot, Point, plot


@dataclass(frozen=True)
class Scatter:
    """One figure: mean deviation of the process from the targets of `attribute` upwards, the quality to the right."""

    attribute: str
    name: str
    plot: Plot


def scatters(sources: Sequence[Source], deviations: Sequence[Deviation]) -> list[Scatter]:
    """The figures of all attributes and of all qualities that at least two sources have."""
    names = list(dict.fromkeys(name for source in sources for name in source.quality))
    attributes = list(dict.fromkeys(found.attribute for found in deviations))
    return [found for a in attributes for name in names if (found := _scatter(a, name, sources, deviations))]


def _scatter(attribute: str, name: str, sources: Sequence[Source], deviations: Sequence[Deviation]) -> Scatter | None:
    own = {found.source: found for found in deviations if found.attribute == attribute}
    points = [
        Point(
            source.name,
            source.quality[name],
            own[source.name].process or 0.0,
            own[source.name].process_low,
            own[source.name].process_high,
        )
        for source in sources
        if source.name in own and name in source.quality
    ]
    if len(points) < 2:
        return None
    up = f"mean deviation of the process in {spoken(attribute)}"
    return Scatter(attribute, name, plot(points, across=name, up=up, zero=False))
