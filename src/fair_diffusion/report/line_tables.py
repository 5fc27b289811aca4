"""The numbers of a report as tables, each as Parquet and as CSV.

    lines.*          one row per source, concept, attribute and group; the columns are the fields of `Line`
    deviations.*     one row per source and attribute; the columns are the fields of `Deviation`
    impact.*         one row per source, concept, attribute or combination, and group; the fields of `Impact`

Exports `write_lines`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.audit.deviations import Deviation
from fair_diffusion.audit.impact import Impact
from fair_diffusion.audit.lines import Line
from fair_diffusion.audit.numbers import Numbers
from fair_diffusion.files.csv_rows import write_csv

Row = Line | Deviation | Impact
_TYPES = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}


def write_lines(found: Numbers, folder: Path) -> None:
    """Write the tables into an existing folder. In a CSV, "inf" is infinite and an empty cell is None."""
    _write(found.lines, Line, folder / "lines")
    _write(found.deviations, Deviation, folder / "deviations")
    _write(found.impacts, Impact, folder / "impact")


def _write(rows: Sequence[Row], kind: type[Row], path: Path) -> None:
    """Write both tables of these rows. Every column has the type of its field, even if all its values are None."""
    schema = pa.schema(
        [(one.name, _TYPES.get(str(one.type).removesuffix(" | None"), pa.string())) for one in fields(kind)]
    )
    plain = [asdict(row) for row in rows]
    pq.write_table(pa.Table.from_pylist(plain, schema), path.with_suffix(".parquet"))
    write_csv(path.with_suffix(".csv"), schema.names, plain)
