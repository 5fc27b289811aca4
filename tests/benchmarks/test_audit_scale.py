"""Memory of audits at scale, on fewer images: what each one adds is far below its share of the bar."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.audit_scale import IMAGES, MIB, PARTS, SECONDS, Cost, table, write
from fair_diffusion.audit.numbers import numbers
from fair_diffusion.readers.target import read_target

FEW = 4_000


def peak(target: Path, scratch: Path) -> int:
    """Bytes that Python and the library of tables hold at most while `target` is audited."""
    tracemalloc.start()
    before = int(pa.total_allocated_bytes())
    try:
        findings = read_target(target, scratch=scratch)
        assert findings.images is not None
        assert findings.images.num_rows == sum(t.n for t in findings.study.tallies if t.attribute == "gender")
        numbers(findings.study)
        return int(tracemalloc.get_traced_memory()[1]) + int(pa.total_allocated_bytes()) - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("part", PARTS)
def test_a_record_more_costs_a_hundredth_of_what_the_bar_allows(part: str, tmp_path: Path) -> None:
    peaks = []
    for images in (FEW, 3 * FEW):
        folder = tmp_path / str(images)
        folder.mkdir()
        write(folder, images)
        peaks.append(peak(folder / part, tmp_path))
    each = (peaks[1] - peaks[0]) / (2 * FEW)
    assert each < 1_000
    assert peaks[0] + each * IMAGES < MIB * 2**20 / 5  # the libraries themselves take some of it


def test_the_verdict_needs_both_bars() -> None:
    cost = Cost(audited="x", images=IMAGES, lines=1, numbers=1.0, wall=SECONDS, processor=1.0, peak=float(MIB))
    assert cost.verdict == "meets"
    slow = replace(cost, wall=SECONDS + 0.1)
    assert slow.verdict == "cannot tell"
    assert replace(slow, processor=SECONDS + 0.1).verdict == replace(cost, peak=MIB + 1.0).verdict == "misses"
    assert table([cost]).splitlines()[-1] == "| x | 100,000 | 1 | 1.0 | 10.0 | 1.0 | 1024 | meets |"
