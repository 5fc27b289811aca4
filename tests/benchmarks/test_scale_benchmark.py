"""What the benchmark of many workers measures with: simulated cells go the way of real ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.scale.__main__ import PAGE, PARTS
from benchmarks.scale.simulated import pace
from benchmarks.serving.line import Line, keep, kept


def test_the_pace_is_that_of_the_sleep_and_two_workers_halve_it() -> None:
    one, two = (pace(12, 0.2, workers=workers) for workers in (1, 2))
    assert one >= 0.19  # a sleep is never short; the first end alone may be noted late
    assert two >= 0.095


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
