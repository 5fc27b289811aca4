"""Tables that people bring, as CSV, JSON lines or Parquet: the content of a file decides which of these it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.files.csv_rows import COLUMNS, LARGEST, ROWS, Also, Row, chosen, column_name, csv_rows
from fair_diffusion.files.guarded import RefusedFile, content, opened, why

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
"""The usual endings of tables."""
FILE = ("file_name", "filename", "file_path", "filepath", "image", "image_path", "image_file", "path", "img", "name")
"""Other names of the column `file`, as other programs write it."""
LONGEST = 2**17
"""The most letters of a cell."""
PACKED = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How workbooks and zips begin."""

Found = tuple[list[str], Iterator[tuple[int, list[str]]]]
"""The names of the columns, and the rows with the numbers of their lines."""


def read_table(
    path: Path, *, required: Sequence[str], optional: Sequence[str] = (), also: Also | None = None
) -> Iterator[Row]:
    """Yield the rows of a table; arguments, rows and errors as for `csv_rows.read_csv`."""
    return chosen(path, *open_table(path, required, also), required=required, optional=optional, also=also)


def open_table(
    path: Path,
    expected: Sequence[str] = (),
    also: Also | None = None,
    check: Callable[[pa.Schema], None] = lambda _: None,
) -> Found:
    """The names of a table's columns, and its rows as text with the numbers of their lines, counted from 1.

    Args:
        path: the file.
        expected: columns that tell which sign stands between the values of a CSV file.
        also: other names of columns.
        check: checks the schema of a Parquet file.

    Raises:
        ValueError: the file is no table, or too large; while rows are read, too.
    """
    try:
        with opened(path) as file:
            start = file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
    except RefusedFile as error:
        raise ValueError(f"{path} cannot be read ({error}); name a table") from error
    if start.startswith(b"PAR1"):
        return _parquet(path, check)
    if start.startswith((b"{", b"[")):
        return _json_lines(path)
    if start.startswith(PACKED):
        raise ValueError(
            f"{path} is a workbook of a spreadsheet or a zip; save the sheet as CSV in UTF-8, or unpack it"
        )
    return csv_rows(path, expected, also)


def is_parquet(path: Path) -> bool:
    """Whether a file that can be opened is a Parquet file."""
    with opened(path) as file:
        return file.read(4) == b"PAR1"


def _parquet(path: Path, check: Callable[[pa.Schema], None]) -> Found:
    """The columns and rows of a Parquet file. Repeated values are kept once, however often they stand there."""
    try:
        with opened(path) as file:
            schema, meta = pq.read_schema(file), pq.read_metadata(file)
        check(schema)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} cannot be read: {why(error)}") from error
    if len(schema) > COLUMNS or meta.num_rows > ROWS:
        raise ValueError(
            f"{path} has {len(schema):,} columns and {meta.num_rows:,} rows; a table has up to {COLUMNS:,} columns and "
            f"{ROWS:,} rows"
        )
    texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]

    def rows() -> Iterator[tuple[int, list[str]]]:
        line = 0
        try:
            with opened(path) as source, pq.ParquetFile(source, read_dictionary=texts, buffer_size=2**20) as file:
                for batch in file.iter_batches(batch_size=8192):
                    columns = [_texts(path, column) for column in batch.columns]
                    for cells in zip(*columns, strict=True):
                        line += 1
                        yield line, list(cells)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{path} cannot be read: {why(error)}") from error

    return [column_name(name) for name in schema.names], rows()


def _texts(path: Path, column: pa.Array) -> list[str]:
    """The cells of a column as text; "" for none."""
    places: list[int | None] | None = None
    if pa.types.is_dictionary(column.type):
        column, places = column.dictionary, column.indices.to_pylist()
    if column.nbytes > LARGEST:
        raise ValueError(f"{path} has cells of more than {LONGEST:,} letters; leave such columns out")
    cells = ["" if value is None else str(value).strip()[:LONGEST] for value in column.to_pylist()]
    return cells if places is None else ["" if place is None else cells[place] for place in places]


def _json_lines(path: Path) -> Found:
    """The keys and rows of a file with one JSON object per line, or with one list of objects."""
    try:
        text = content(path, LARGEST).decode("utf-8-sig")
    except (RefusedFile, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read ({error}); save it as JSON lines in UTF-8") from error
    found: list[tuple[int, dict[str, str]]] = []
    for line, row in _objects(path, text):
        cells = {column_name(str(key)): _cell(value) for key, value in row.items()}
        found.append((line, {name: cell for name, cell in cells.items() if cell is not None}))
        if len(found) > ROWS:
            raise ValueError(f"{path} has more than {ROWS:,} rows; split it")
    names = list(dict.fromkeys(name for _, row in found for name in row))
    if len(names) > COLUMNS:
        raise ValueError(
            f"{path} has {len(names):,} keys, more than {COLUMNS:,}; leave those out that say nothing here"
        )
    return names, ((line, [row.get(name, "") for name in names]) for line, row in found)


def _objects(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each object with the number of its line, or in a list its place."""
    listed = text.lstrip().startswith("[")
    for line, part in enumerate([text] if listed else text.splitlines(), start=1):
        if not part.strip():
            continue
        try:
            value = json.loads(part)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{path}, line {line}: no JSON that can be read ({error}); write one object per line"
            ) from error
        rows = list(enumerate(value, start=1)) if isinstance(value, list) else [(line, value)]
        for number, row in rows:
            if not isinstance(row, dict):
                raise ValueError(f'{path}, line {number}: no JSON object; write {{"file_name": …}}')
            yield number, row


def _cell(value: Any) -> str | None:
    """A value as text; None for lists and objects."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float | str):
        return str(value).strip()[:LONGEST]
    return None
