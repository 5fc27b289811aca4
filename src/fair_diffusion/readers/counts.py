"""Audit a table of counts, `prompt,attribute,group,count[,source][,target]`, such as somebody else published.

"unknown" is a group like others. A group without a row counts zero. `target` is the share that was asked for. The
files tallies.csv and tallies.parquet of a study have these columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fair_diffusion.audit.folder import FORMAT, UNKNOWN
from fair_diffusion.audit.study import Source, Study
from fair_diffusion.audit.tally import Tally
from fair_diffusion.files.csv_rows import CsvErrors, read_csv
from fair_diffusion.files.format_number import NewerFormatError, check_metadata
from fair_diffusion.files.guarded import opened, why
from fair_diffusion.files.text import printable
from fair_diffusion.policy.attributes import ordered_groups
from fair_diffusion.readers.findings import Findings

COLUMNS, OPTIONAL = ("prompt", "attribute", "group", "count"), ("source", "target")
MOST = 10**15
"""The largest count that is taken."""
ROUNDING = 1e-3
"""Targets may differ from a sum of 1 by this much; they are scaled to 1."""

Key = tuple[str, str, str]
"""Source, prompt, attribute."""


def read_counts(path: Path) -> Findings:
    """Read a table of counts as a study.

    Raises:
        ValueError: the file cannot be read; or lines are wrong, and the message names each of them.
    """
    cells: dict[Key, dict[str, tuple[int, float | None]]] = {}
    first: dict[tuple[Key, str], int] = {}
    errors = CsvErrors(path)
    for line, row in _rows(path):
        row = {column: printable(text) for column, text in row.items()}
        key = (row["source"] or path.stem, row["prompt"], row["attribute"])
        empty = next((name for name in ("prompt", "attribute", "group") if not row[name]), None)
        if empty:
            errors.add(line, f"{empty} is empty; every row needs one")
        elif (count := _count(row["count"])) is None:
            errors.add(line, f"count is {row['count'][:40]!r}; write a whole number from 0 to {MOST}")
        elif (target := _share(row["target"])) is not None and not 0 <= target <= 1:
            errors.add(line, f"target is {row['target']!r}; write a share from 0 to 1, or nothing")
        elif (key, row["group"]) in first:
            errors.add(line, f"the same prompt, attribute and group as in line {first[key, row['group']]}; add them up")
        else:
            first[key, row["group"]] = line
            cells.setdefault(key, {})[row["group"]] = (count, target)
    errors.check()
    tallies = _tallies(path, cells)
    if not tallies:
        raise ValueError(f"{path} holds no counts; give one line per prompt and group")
    sources = dict.fromkeys(tally.source for tally in tallies)
    facts = {"counts": path.name}
    study = Study(
        title=f"Audit of {path.name}",
        sources=[Source(name=name, kind=kind_of(name), facts=facts) for name in sources],
        tallies=tallies,
    )
    return Findings(study)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of each line, and its values as text."""
    if path.suffix.lower() != ".parquet":
        yield from read_csv(path, required=COLUMNS, optional=OPTIONAL)
        return
    try:
        with opened(path) as file:
            table = pq.read_table(file)
        check_metadata(table.schema.metadata, FORMAT, path)
    except NewerFormatError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {why(error)}") from error
    for line, row in enumerate(table.to_pylist(), start=1):
        yield line, {name: "" if row.get(name) is None else str(row[name]).strip() for name in (*COLUMNS, *OPTIONAL)}


def kind_of(source: str) -> str:
    """The kind of a source, as in `Source.kind`, by its name."""
    return source if source in ("data", "plain", "instructed") else "other"


def _count(text: str) -> int | None:
    """A whole number up to `MOST`; None for anything else. Long texts are never converted."""
    digits = text.lstrip("0") or text[:1]
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(MOST)):
        return None
    return int(digits) if int(digits) <= MOST else None


def _share(text: str) -> float | None:
    """A number; None for an empty text; NaN, which lies in no range, for anything else."""
    try:
        return float(text) if text else None
    except ValueError:
        return math.nan


def _tallies(path: Path, cells: dict[Key, dict[str, tuple[int, float | None]]]) -> list[Tally]:
    """The tallies of a table's cells; rows without any count are left out."""
    seen: dict[str, list[str]] = {}
    for (_, _, attribute), row in cells.items():
        seen.setdefault(attribute, []).extend(row)
    groups = {
        attribute: ordered_groups(attribute, (name for name in names if name != UNKNOWN))
        for attribute, names in seen.items()
    }
    tallies = []
    for (source, prompt, attribute), row in cells.items():
        targets = {group: share for group, (_, share) in row.items() if share is not None and group != UNKNOWN}
        whole = sum(targets.values())
        if targets and abs(whole - 1) > ROUNDING:
            raise ValueError(f"{path}: the targets of {prompt!r} sum to {whole:g}; make them sum to 1")
        tally = Tally(
            source=source,
            concept=prompt,
            attribute=attribute,
            counts={group: row[group][0] if group in row else 0 for group in groups[attribute]},
            unknown=row[UNKNOWN][0] if UNKNOWN in row else 0,
            target={group: targets.get(group, 0.0) / whole for group in groups[attribute]} if targets else None,
        )
        if tally.n and tally.counts:
            tallies.append(tally)
    return tallies
