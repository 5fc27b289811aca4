"""The files of a comparison: compare.html, table.parquet and images.parquet. Exports `write`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.compare.comparison import Comparison
from fair_diffusion.compare.outcome import Outcome, images
from fair_diffusion.compare.page import page
from fair_diffusion.compare.reference import Reference
from fair_diffusion.files.whole_file import whole_file

PAGE, TABLE, IMAGES = "compare.html", "table.parquet", "images.parquet"


def write(comparison: Comparison, lines: Sequence[Outcome], reference: Reference | None = None) -> Path:
    """Write the three files into the comparison's folder, each whole; files of an earlier call are replaced.

    Args:
        comparison: the comparison.
        lines: the lines of its table.
        reference: the reference of the kernel distance; the plain images if None.

    Returns:
        The path of the page.
    """
    rows = [line.plain() for line in lines]
    names = dict.fromkeys(name for row in rows for name in row)  # not every way moves every attribute
    table = pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
    tables = {IMAGES: images(comparison), TABLE: table}
    for name, table in tables.items():
        with whole_file(comparison.folder / name) as part:
            pq.write_table(table, part)
    with whole_file(comparison.folder / PAGE) as part:
        part.write_text(page(comparison, lines, reference), encoding="utf-8", errors="backslashreplace")
    return comparison.folder / PAGE
