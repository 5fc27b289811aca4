"""The report's numbers as tables: the same as in the report, typed whatever they hold, and safe in a spreadsheet."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.audit.numbers import numbers
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.report.line_tables import write_lines


def test_tables_hold_what_the_report_shows(tmp_path: Path) -> None:
    tallies = [
        Tally(source="plain", concept=concept, attribute="gender", counts={"woman": woman, "man": 40}, unknown=2)
        for concept, woman in (("=nurse()", 60), ("cook", 20))
    ]
    found = numbers(Study(title="t", sources=[Source(name="plain")], tallies=tallies))
    write_lines(found, tmp_path)
    assert pq.read_table(tmp_path / "lines.parquet").to_pylist() == [asdict(line) for line in found.lines]
    assert pq.read_table(tmp_path / "deviations.parquet").to_pylist() == [asdict(one) for one in found.deviations]
    schema = pq.read_schema(tmp_path / "lines.parquet")
    assert (schema.field("reference").type, schema.field("relation").type) == (pa.float64(), pa.string())  # all None
    assert (schema.field("n").type, schema.field("assumed").type) == (pa.int64(), pa.bool_())
    with (tmp_path / "lines.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["low"]) for row in rows] == [line.low for line in found.lines]
    assert [row["verdict"] for row in rows] == [line.verdict for line in found.lines]
    assert {row["concept"] for row in rows} == {"'=nurse()", "cook"}
    with (tmp_path / "deviations.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert float(row["tv_mean"]) == found.deviations[0].tv_mean


def test_the_four_fifths_table_lies_beside(tmp_path: Path) -> None:
    tallies = [Tally(source="plain", concept="cook", attribute="gender", counts={"woman": 10, "man": 40}, unknown=2)]
    found = numbers(Study(title="t", sources=[Source(name="plain")], tallies=tallies, audited="2026-02-01"))
    write_lines(found, tmp_path)
    assert pq.read_table(tmp_path / "impact.parquet").to_pylist() == [asdict(one) for one in found.impacts]
    with (tmp_path / "impact.csv").open(newline="", encoding="utf-8") as file:
        woman, man = csv.DictReader(file)
    assert (woman["ratio"], woman["told"], woman["unknown"], woman["audited"]) == (
        "0.25",
        "below 0.8",
        "2",
        "2026-02-01",
    )
    assert (man["ratio"], man["low"]) == ("1.0", "")
