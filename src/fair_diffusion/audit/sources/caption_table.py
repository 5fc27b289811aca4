"""A Parquet file with captions, by row groups: one that is damaged is noted, and the others count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.audit.sources.caption_text import CAPTIONS, Item, caption_column, caption_text
from fair_diffusion.printable import printable

PICTURES = ("image", "jpg", "jpeg", "png", "webp", "picture", "img", "bytes")


def table_items(shard: Path, with_pictures: bool, broken: list[str]) -> Iterator[Item]:
    """The rows of the table `shard`; what could not be read goes to `broken`, by name and reason."""
    try:
        with pq.ParquetFile(shard) as file:
            names = file.schema_arrow.names
            column = caption_column(names)
            if column is None:
                raise ValueError(f"no column of captions; name one {' or '.join(CAPTIONS[:3])}")
            lower = {name.lower(): name for name in names}
            picture = next((lower[name] for name in PICTURES if name in lower), None) if with_pictures else None
            first = 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                try:
                    yield from _group(file, group, first, column, picture)
                except (pa.ArrowException, OSError, ValueError) as error:
                    place = f"{shard.name}, rows {first} to {first + rows - 1}"
                    broken.append(printable(f"{place}: not all can be read: {error}"))
                first += rows
    except (pa.ArrowException, OSError, ValueError) as error:
        broken.append(printable(f"{shard.name}: {error}"))


def _group(file: pq.ParquetFile, group: int, first: int, column: str, picture: str | None) -> Iterator[Item]:
    """One row group, in batches: pictures are large."""
    columns = [column, *([picture] if picture else [])]
    row = first
    for batch in file.iter_batches(batch_size=64 if picture else 8192, row_groups=[group], columns=columns):
        for item in batch.to_pylist():
            yield f"row {row}", caption_text(item[column]), _bytes(item[picture]) if picture else None
            row += 1


def _bytes(value: Any) -> bytes | None:
    """A picture's bytes, plain or in the struct that the datasets library keeps."""
    if isinstance(value, dict):
        value = value.get("bytes")
    return value if isinstance(value, bytes) else None
