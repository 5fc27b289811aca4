"""Quality against gap: one figure per quality, one dot per source. Exports `Scatter` and `scatters`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fair_diffusion.audit.study import Source
from fair_diffusion.audit.summary import Deviation


@dataclass(frozen=True)
class Dot:
    """One source: its mean deviation and its quality, and where that is in the figure, 0…1 across and up."""

    source: str
    deviation: float
    value: float
    x: float
    y: float


@dataclass(frozen=True)
class Scatter:
    """One figure: deviation from `attribute`'s target across, the quality called `name` up; the ends of both axes."""

    attribute: str
    name: str
    dots: list[Dot]
    right: float
    bottom: float
    top: float


def scatters(sources: Sequence[Source], deviations: Sequence[Deviation]) -> list[Scatter]:
    """The figures of all attributes and qualities; none without a quality."""
    names = list(dict.fromkeys(name for source in sources for name in source.quality))
    attributes = list(dict.fromkeys(found.attribute for found in deviations))
    return [found for a in attributes for name in names if (found := _scatter(a, name, sources, deviations))]


def _scatter(attribute: str, name: str, sources: Sequence[Source], deviations: Sequence[Deviation]) -> Scatter | None:
    means = {found.source: found.tv_mean for found in deviations if found.attribute == attribute}
    points = [(s.name, means[s.name], s.quality[name]) for s in sources if s.name in means and name in s.quality]
    if not points:
        return None
    values = [value for _, _, value in points]
    room = (max(values) - min(values)) * 0.2 or abs(values[0]) * 0.2 or 1.0
    bottom, top = min(values) - room, max(values) + room
    right = max(gap for _, gap, _ in points) * 1.2 or 1.0
    dots = [Dot(source, gap, value, gap / right, (value - bottom) / (top - bottom)) for source, gap, value in points]
    return Scatter(attribute, name, dots, right, bottom, top)
