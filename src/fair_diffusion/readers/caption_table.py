"""Read a Parquet file with captions by row groups. A damaged row group is noted, and the others count.

The size of a cell is only known after Parquet has unpacked its page. A cell that is too large is named and not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.files.guarded import Readable, opened, why
from fair_diffusion.files.pictures import MAX_BYTES
from fair_diffusion.files.tables import open_table
from fair_diffusion.files.text import printable
from fair_diffusion.readers.caption_text import CAPTION_BYTES, CAPTIONS, Item, caption_column, caption_text

PICTURES = ("image", "jpg", "jpeg", "png", "webp", "picture", "img", "bytes")
BATCH = 8
"""Rows with pictures that are in memory at the same time."""


def table_items(shard: Readable, with_pictures: bool, broken: list[str]) -> Iterator[Item]:
    """Yield the rows of a table; arguments as for `archive.archive_items`."""
    try:
        with opened(shard) as source:
            schema = pq.read_schema(source)
            names = schema.names
            column = caption_column(names)
            if column is None:
                raise ValueError(f"no column of captions; name one {' or '.join(CAPTIONS[:3])}")
            # By pieces, since row groups may be large, and with a caption that is there many times in memory once.
            once = [column] if pa.types.is_string(schema.field(column).type) else []
            file = pq.ParquetFile(source, buffer_size=2**20, read_dictionary=once)
            lower = {name.lower(): name for name in names}
            picture = next((lower[name] for name in PICTURES if name in lower), None) if with_pictures else None
            first = 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                try:
                    for row, caption, shown in _group(file, group, column, picture):
                        name = f"row {first + row}"
                        for cell in (caption, shown):
                            if isinstance(cell, TooLarge):
                                broken.append(printable(f"{shard.name}/{name}: {cell.size:,} bytes, too many"))
                        yield name, caption_text(caption), _bytes(shown)
                except (pa.ArrowException, OSError, ValueError) as error:
                    place = f"{shard.name}, rows {first} to {first + rows - 1}"
                    broken.append(printable(f"{place}: not all can be read: {error}"))
                first += rows
    except (pa.ArrowException, OSError, ValueError) as error:
        broken.append(printable(f"{shard.name}: {why(error)}"))


def text_items(shard: Readable, with_pictures: bool, broken: list[str]) -> Iterator[Item]:
    """Yield the rows of a CSV file or of JSON lines, which hold no pictures; arguments as for `archive_items`."""
    try:
        header, rows = open_table(Path(str(shard)), CAPTIONS)
        column = caption_column(header)
        if column is None:
            raise ValueError(f"no column of captions; name one {' or '.join(CAPTIONS[:3])}")
        place = header.index(column)
        for line, row in rows:
            yield f"line {line}", row[place], None
    except ValueError as error:
        said = why(error).replace(str(shard), shard.name).removeprefix(shard.name).lstrip(":, ")
        broken.append(printable(f"{shard.name}: {said}; what came before counts"))


@dataclass(frozen=True)
class TooLarge:
    """Stands for a cell that has too many bytes."""

    size: int


def _group(file: pq.ParquetFile, group: int, column: str, picture: str | None) -> Iterator[tuple[int, Any, Any]]:
    """Yield number, caption and picture of each row of a row group, read in batches because pictures are large."""
    columns = [column, *([picture] if picture else [])]
    row = 0
    for batch in file.iter_batches(batch_size=BATCH if picture else 8192, row_groups=[group], columns=columns):
        captions = _cells(batch[column], CAPTION_BYTES)
        pictures = _cells(batch[picture], MAX_BYTES) if picture else repeat(None)
        for caption, shown in zip(captions, pictures, strict=False):
            yield row, caption, shown
            row += 1


def _cells(column: pa.Array, most: int) -> Iterator[Any]:
    """Yield the values of a column; `TooLarge` for values of more than `most` bytes, which are not converted."""
    values = column
    places: Sequence[int | None] = range(len(column))
    if pa.types.is_dictionary(column.type):
        values, places = column.dictionary, column.indices.to_pylist()
    small = values.nbytes <= most
    for place in places:
        size = 0 if small or place is None else values.slice(place, 1).nbytes
        yield TooLarge(size) if size > most else None if place is None else values[place].as_py()


def _bytes(value: Any) -> bytes | None:
    """The bytes of a picture, which are plain or in the struct that the datasets library writes."""
    if isinstance(value, dict):
        value = value.get("bytes")
    return value if isinstance(value, bytes) else None
