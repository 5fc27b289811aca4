"""Tables by hand, every row checked and all mistakes named with their lines; and tables that are safe in a spreadsheet.

A spreadsheet runs a cell that begins with one of `FORMULA`, quoted or not. Such a cell is written behind an apostrophe,
which makes it text (OWASP, "CSV Injection"), and read without it. So that every text comes back as it was, cells that
already look like that, and those with blanks around them, get one apostrophe more.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

SHOWN = 20
"""How many mistakes of one file are told."""
FORMULA = "=+-@\t\r\n＝＋－＠"
"""Characters with which a cell begins that a spreadsheet runs; the wide ones some of them take for the narrow."""


class CsvErrors(list[str]):
    """Mistakes of one file. `add` notes one; `check` raises `ValueError` with all of them, if there are any."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def add(self, line: int, message: str) -> None:
        """Note what is wrong in a line of the file, counted from 1."""
        self.append(f"{self.path}, line {line}: {message}")

    def check(self) -> None:
        """`ValueError` with one line per mistake; nothing if there is none."""
        if self:
            more = [f"and {len(self) - SHOWN} more"] if len(self) > SHOWN else []
            raise ValueError("\n".join([*self[:SHOWN], *more]))


def read_csv(
    path: Path, *, required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with a header, as (line, column → text without blanks around it); blank rows left out.

    Columns may stand in any order; those that are neither required nor optional are left out, and optional ones that
    are missing read as "". What `write_csv` wrote comes back as it was.
    `ValueError` naming file, line and mend for anything that is no such table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
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
    except csv.Error as error:
        raise ValueError(f"{path}, line {table.line_num}: {error}; save it as CSV in UTF-8") from error


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of text, numbers and None (left empty) under a header, safe to open in a spreadsheet."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(columns)
        for row in rows:
            table.writerow([_written(row[name]) for name in columns])


def _written(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and _hidden(value) else value


def _read(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _hidden(cell[1:]) else cell.strip()


def _hidden(text: str) -> bool:
    """Whether a text stands behind an apostrophe: the same answer with more apostrophes or fewer before it."""
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
    """`text` as a path below a folder, with "/"; `ValueError` if it is empty or leads out of the folder."""
    parts = PurePosixPath(text.replace("\\", "/")).parts
    absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).drive or PureWindowsPath(text).root
    if not parts or absolute or ".." in parts or "\0" in text:
        raise ValueError(f"{text!r} is no path below the folder; write it as in 'nurses/001.png'")
    return "/".join(parts)
