"""What the benchmark of many workers measures with: simulated cells go the way of real ones."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.scale import simulated
from benchmarks.scale.__main__ import PAGE, PARTS
from benchmarks.scale.simulated import IMAGES, pace
from benchmarks.serving.line import Line, keep, kept


def test_the_pace_is_from_the_first_arrival_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([5.0, 5.4, 5.8])

    def arrive(*_: object, progress: Callable[[int, int | None], None]) -> None:
        for done in (0, IMAGES, IMAGES, 3 * IMAGES, 5 * IMAGES):  # what is told again is no arrival
            progress(done, None)

    monkeypatch.setattr(simulated, "draw_campaign", arrive)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert pace(5, 0.2, workers=2) == pytest.approx(0.2)


@pytest.mark.parametrize("workers", [1, 2])
def test_each_cell_is_slept_through(workers: int) -> None:
    start = time.perf_counter()
    assert pace(12, 0.1, workers=workers) > 0
    assert time.perf_counter() - start >= 12 * 0.1 / workers


def test_every_part_measures() -> None:
    for part in PARTS:
        module = __import__(f"benchmarks.scale.{part}", fromlist=["measure"])
        assert callable(module.measure)
    assert PAGE.name == "scale.md"
    found = subprocess.run([sys.executable, "-m", "benchmarks.scale", "--part", "x"], capture_output=True, text=True)
    assert "invalid choice" in found.stderr


def test_the_lines_of_other_parts_stay(tmp_path: Path) -> None:
    page = tmp_path / "scale.md"
    keep("b", [Line(what="w", figure="2")], ("a", "b"), "note", page)
    keep("a", [Line(what="v", figure="1", bar="≤ 1", meets=True)], ("a", "b"), "note", page)
    assert page.read_text().splitlines()[-2:] == ["| v | 1 | ≤ 1 | meets |", "| w | 2 |  |  |"]
    assert page.read_text().startswith("# Scale\n\nnote\n")
    assert list(kept(page)) == ["a", "b"]
