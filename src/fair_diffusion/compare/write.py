"""What a comparison leaves in its folder: compare.html, table.parquet and images.parquet. Exports `write`."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.compare.comparison import Comparison
from fair_diffusion.compare.folder import write_whole
from fair_diffusion.compare.line import Line, images
from fair_diffusion.compare.page import page
from fair_diffusion.compare.reference import Reference

PAGE, TABLE, IMAGES = "compare.html", "table.parquet", "images.parquet"


def write(found: Comparison, lines: Sequence[Line], reference: Reference | None = None) -> Path:
    """Write the three files, each whole, over those of an earlier call; the page's path."""
    write_whole(found.folder / IMAGES, _parquet(images(found)))
    write_whole(found.folder / TABLE, _parquet(pa.Table.from_pylist([line.plain() for line in lines])))
    write_whole(found.folder / PAGE, page(found, lines, reference).encode("utf-8", "backslashreplace"))
    return found.folder / PAGE


def _parquet(table: pa.Table) -> bytes:
    file = BytesIO()
    pq.write_table(table, file)
    return file.getvalue()
