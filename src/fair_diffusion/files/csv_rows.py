"""Read CSV tables that people wrote, with all mistakes named by line, and write tables that are safe in a spreadsheet.

A spreadsheet runs a cell that begins with one of the characters in `FORMULA`, quoted or not. Such a cell is written
with an apostrophe in front, which makes it text (OWASP, "CSV Injection"), and is read without the apostrophe. Cells
that already begin with such an apostrophe, and cells with blanks around them, get one apostrophe more, so that every
text comes back as it was.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from fair_diffusion.files.guarded import RefusedFile, opened

SHOWN = 20
"""How many mistakes of one file a message names."""
FORMULA = "=+-@\t\r\n＝＋－＠"
"""A spreadsheet runs a cell that begins with one of these. Some programs treat the wide characters like the narrow."""


class CsvErrors(list[str]):
    """The mistakes in one file: `add` each of them, then `check`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def add(self, line: int, message: str) -> None:
        """Add a mistake in a line of the file, counted from 1."""
        self.append(f"{self.path}, line {line}: {message}")

    def check(self) -> None:
        """Raise `ValueError` with one line per mistake, if there are any."""
        if self:
            more = [f"and {len(self) - SHOWN} more"] if len(self) > SHOWN else []
            raise ValueError("\n".join([*self[:SHOWN], *more]))


def read_csv(
    path: Path, *, required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV file with a header. Blank rows are left out.

    Args:
        path: the file, in UTF-8. Columns may stand in any order.
        required: columns that the file must have.
        optional: columns that read as "" if the file lacks them. Other columns are left out.

    Yields:
        The number of the line, and the text of each column without blanks around it. Text that `write_csv` wrote comes
        back as it was.

    Raises:
        ValueError: the file is no such table; the message names file, line and mend.
    """
    try:
        with TextIOWrapper(opened(path), encoding="utf-8-sig", newline="") as file:
            table = csv.reader(file, strict=True)
            header = [name.strip().lower() for name in next(table, [])]
            _check_header(path, header, required)
            wanted = {name: header.index(name) for name in (*required, *optional) if name in header}
            missing = {name: "" for name in optional if name not in wanted}
            for row in table:
                if not any(cell.strip() for cell in row):
                    continue
                if len(row) != len(header):
                    raise ValueError(
                        f"{path}, line {table.line_num}: {len(row)} values for {len(header)} columns; "
                        "put values with commas in double quotes"
                    )
                yield table.line_num, {name: _read(row[k]) for name, k in wanted.items()} | missing
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text; save it as CSV in UTF-8") from error
    except RefusedFile as error:
        raise ValueError(f"{path} cannot be read ({error}); name a CSV file") from error
    except csv.Error as error:
        raise ValueError(f"{path}, line {table.line_num}: {error}; save it as CSV in UTF-8") from error


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of text, numbers and None (an empty cell) under a header, safe to open in a spreadsheet."""
    with path.open("w", newline="", encoding="utf-8") as file:
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


def _check_header(path: Path, header: Sequence[str], required: Sequence[str]) -> None:
    lacking = [name for name in required if name not in header]
    if lacking:
        raise ValueError(
            f"{path} lacks the column {lacking[0]!r}; its first line must name the columns {', '.join(required)}"
        )
    twice = sorted({name for name in header if name and header.count(name) > 1})
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
