"""Seconds per image as cells grow tenfold: simulated drawing, so that only what a cell costs beside it can grow."""

from __future__ import annotations

from benchmarks.scale.simulated import IMAGES, pace
from benchmarks.serving.line import Line

SECONDS, CELLS = 0.05, 200


def measure(size: float) -> list[Line]:
    """Some cells, and ten times as many."""
    few = max(10, round(CELLS * size))
    took = [pace(cells, SECONDS, workers=1) / IMAGES for cells in (few, 10 * few)]
    growth = took[1] / took[0] - 1
    figure = f"{1000 * took[0]:.3f} and {1000 * took[1]:.3f} ms, {100 * growth:+.1f} %"
    what = f"milliseconds per image with {few:,} and {10 * few:,} cells of {IMAGES} images (simulated, SQLite)"
    return [Line(what=what, figure=figure, bar="within 5 %", meets=growth <= 0.05)]
