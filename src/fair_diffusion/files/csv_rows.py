"""Read CSV tables that people wrote, with all mistakes named by line, and write tables that are safe in a spreadsheet.

A spreadsheet runs a cell that begins with one of the characters in `FORMULA`, quoted or not. Such a cell is written
with an apostrophe in front, which makes it text (OWASP, "CSV Injection"), and is read without the apostrophe. Cells
that already begin with such an apostrophe, and cells with blanks around them, get one apostrophe more, so that every
text comes back as it was.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TextIO

from fair_diffusion.files.guarded import RefusedFile, content

SHOWN = 20
"""How many mistakes of one file a message names."""
FORMULA = "=+-@\t\r\n＝＋－＠"
"""A spreadsheet runs a cell that begins with one of these. Some programs treat the wide characters like the narrow."""

COLUMNS, ROWS, LARGEST = 1_000, 1_000_000, 64 * 2**20
"""The most columns, rows and bytes of a table."""
LONGEST_HEADER = 2**20
"""The most letters before the end of the first line that tell which sign separates the columns."""
Also = Mapping[str, Sequence[str]]
"""Other names of columns, by the name that they have here."""
Row = tuple[int, dict[str, str]]
"""The number of a line, and the text of each column."""

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "such bars"}
"""What stands between values; the first one is taken where several fit."""
_SEPARATED = re.compile(r"\"?sep=(.)\"?[,;\t]*", re.IGNORECASE)
_NO_NAME = re.compile(r"[\s\-]+")


class CsvErrors:
    """The mistakes in one file: `add` each of them, then `check`. Only those that are shown are kept."""

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.shown = path, 0, list[str]()

    def add(self, line: int, message: str) -> None:
        """Add a mistake in a line of the file, counted from 1."""
        self.count += 1
        if self.count <= SHOWN:
            self.shown.append(f"{self.path}, line {line}: {message}")

    def check(self) -> None:
        """Raise `ValueError` with one line per mistake, if there are any."""
        if self.count:
            more = [f"and {self.count - SHOWN} more"] if self.count > SHOWN else []
            raise ValueError("\n".join([*self.shown, *more]))


def read_csv(
    path: Path,
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
    also: Also | None = None,
) -> Iterator[Row]:
    """Yield the rows of a CSV file with a header. Blank rows are left out.

    Args:
        path: the file. Columns may stand in any order, with commas, semicolons or tabs between them.
        required: columns that the file must have.
        optional: columns that read as "" if the file lacks them. Other columns are left out.
        also: other names of a column, which count where the column itself is not there.

    Yields:
        The number of the line, and the text of each column without blanks around it. Text that `write_csv` wrote comes
        back as it was.

    Raises:
        ValueError: the file is no such table; the message names file, line and mend.
    """
    return chosen(path, *csv_rows(path, required, also), required=required, optional=optional, also=also)


def csv_rows(
    path: Path, expected: Sequence[str] = (), also: Also | None = None
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The names of a CSV file's columns, and its rows with the numbers of their lines.

    Args:
        path: the file, in UTF-8, or in UTF-16 with a byte order mark. A line `sep=;` may stand before the header.
        expected: columns that tell which sign stands between the values.
        also: other names of columns.

    Raises:
        ValueError: as for `read_csv`; while rows are read, too.
    """
    text = _decoded(path)
    first, _, rest = text.partition("\n")
    lines, between = 0, None
    if said := _SEPARATED.fullmatch(first.strip("\r")):
        text, lines, between = rest, 1, said[1]
    between = between or _separator(text, {*expected, *(name for names in (also or {}).values() for name in names)})
    table = csv.reader(StringIO(text, newline=""), strict=True, delimiter=between)
    try:
        header = [column_name(name) for name in next(table, [])]
    except csv.Error as error:
        raise ValueError(f"{path}, line {lines + table.line_num}: {error}; save it as CSV in UTF-8") from error
    if len(header) > COLUMNS:
        raise ValueError(
            f"{path} has {len(header):,} columns, more than {COLUMNS:,}; leave those out that say nothing here"
        )

    def rows() -> Iterator[tuple[int, list[str]]]:
        count = 0
        try:
            for row in table:
                if not any(cell.strip() for cell in row):
                    continue
                line, count = lines + table.line_num, count + 1
                if len(row) != len(header):
                    raise ValueError(
                        f"{path}, line {line}: {len(row)} values for {len(header)} columns; put values with "
                        f"{_SEPARATORS.get(between, 'such signs')} in double quotes"
                    )
                if count > ROWS:
                    raise ValueError(f"{path} has more than {ROWS:,} rows; split it")
                yield line, [_read(cell) for cell in row]
        except csv.Error as error:
            raise ValueError(f"{path}, line {lines + table.line_num}: {error}; save it as CSV in UTF-8") from error

    return header, rows()


def chosen(
    path: Path,
    header: Sequence[str],
    rows: Iterable[tuple[int, Sequence[str]]],
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
    also: Also | None = None,
) -> Iterator[Row]:
    """Yield the wanted columns of a table; arguments and errors as for `read_csv`."""
    names = {column_name(name): name for name in (*required, *optional)}
    for name in (*required, *optional):
        if column_name(name) not in header:
            known = [other for other in (also or {}).get(name, ()) if other in header]
            names.update(dict.fromkeys(known[:1], name))
    _check_header(
        path, header, [name for name in required if name not in (names[n] for n in header if n in names)], required
    )
    wanted = {names[column]: k for k, column in enumerate(header) if column in names}
    missing = {name: "" for name in optional if name not in wanted}
    for line, row in rows:
        yield line, {name: row[k] for name, k in wanted.items()} | missing


def column_name(text: str) -> str:
    """The name of a column as tables are compared: "File Name" gives "file_name"."""
    return "_".join(_NO_NAME.split(text.strip().lower()))


def _decoded(path: Path) -> str:
    """The text of a file, without a byte order mark."""
    try:
        data = content(path, LARGEST)
    except RefusedFile as error:
        raise ValueError(f"{path} cannot be read ({error}); name a CSV file") from error
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text; save it as CSV in UTF-8") from error


def _separator(text: str, expected: set[str]) -> str:
    """The sign between the values, by the header: the one that gives the most of the expected columns, or columns."""
    header = next((line for line in StringIO(text[:LONGEST_HEADER]) if line.strip()), "")

    def fit(between: str) -> tuple[int, int]:
        try:
            names = [column_name(name) for name in next(csv.reader([header], delimiter=between), [])]
        except csv.Error:
            names = []
        return len(expected & {*names}), len(names)

    return max(_SEPARATORS, key=fit)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of text, numbers and None (an empty cell) under a header, safe to open in a spreadsheet."""
    with path.open("w", newline="", encoding="utf-8") as file:
        _write(file, columns, rows)


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """The same as a text."""
    file = StringIO(newline="")
    _write(file, columns, rows)
    return file.getvalue()


def _write(file: TextIO, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    table = csv.writer(file)
    table.writerow(columns)
    for row in rows:
        table.writerow([_written(row[name]) for name in columns])


def _written(value: Any) -> Any:
    """A value as its cell is written."""
    return f"'{value}" if isinstance(value, str) and _hidden(value) else value


def _read(cell: str) -> str:
    """The text of a cell."""
    return cell[1:] if cell.startswith("'") and _hidden(cell[1:]) else cell.strip()


def _hidden(text: str) -> bool:
    """Whether a text is written with an apostrophe in front. Apostrophes at its start do not change the answer."""
    bare = text.lstrip("'")
    return bare[:1] in tuple(FORMULA) or bare != bare.strip()


def _check_header(path: Path, header: Sequence[str], lacking: Sequence[str], required: Sequence[str]) -> None:
    if lacking:
        seen = ", ".join(name[:30] for name in header[:8] if name) + (", …" if len(header) > 8 else "")
        raise ValueError(
            f"{path} lacks the column {lacking[0]!r}; its first line must name the columns {', '.join(required)}, "
            f"and names {seen or 'nothing'}"
        )
    twice = sorted(name for name, count in Counter(header).items() if name and count > 1)
    if twice:
        raise ValueError(f"{path} has two columns {twice[0]!r}; keep one")


def inner_path(text: str) -> str:
    """Read a path below a folder, and give it with "/".

    Raises:
        ValueError: the path is empty or leads out of the folder.
    """
    parts = PurePosixPath(text.replace("\\", "/")).parts
    absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).drive or PureWindowsPath(text).root
    if not parts or absolute or ".." in parts or "\0" in text:
        raise ValueError(f"{text!r} is no path below the folder; write it as in 'nurses/001.png'")
    return "/".join(parts)
