"""One and two workers on the same cells, drawing replaced by a fixed sleep."""

from __future__ import annotations

from benchmarks.scale.simulated import pace
from benchmarks.serving.line import Line

SECONDS, CELLS = 0.5, 120


def measure(size: float) -> list[Line]:
    """The pace of one worker and of two."""
    cells = max(10, round(CELLS * size))
    one, two = (pace(cells, SECONDS, workers=workers) for workers in (1, 2))
    what = f"one worker against two, {cells} cells that sleep {SECONDS:g} s (SQLite)"
    figure = f"{one / two:.2f} times as fast ({one:.3f} and {two:.3f} s per cell)"
    return [Line(what=what, figure=figure, bar="≥ 1.9 times", meets=one / two >= 1.9)]
