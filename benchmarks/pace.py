"""How fast a core of the machine is while something is measured, so that seconds of two machines can be compared."""

from __future__ import annotations

import time

from benchmarks.serving.line import Line

ADDITIONS = 10_000_000


def pace(part: str) -> Line:
    """The pace of one core, for the page of a part that was just measured."""
    start, total = time.perf_counter(), 0
    for number in range(ADDITIONS):
        total += number
    millions = ADDITIONS / 1e6 / (time.perf_counter() - start)
    return Line(what=f"pace of a core after {part}: additions in a loop of Python", figure=f"{millions:.1f} million/s")
